// A node's credentials on disk: the folder pki/ of its data directory.
//
//   root.crt   the roots it trusts: one, or two while the cluster changes its root
//   node.pem   the node's private key, then its certificate and the chain behind it
//
// Key and certificate share a file because they change together: a crash between two renames could
// otherwise leave a pair that doesn't fit. Roots and certificate may change together too; then the
// old and the new roots are both there until the certificate is, so that at every moment what lies
// on the disk is a certificate that a root beside it vouches for. The folder is 0700, the files
// 0600; each is written beside its place, synced, renamed, and the folder synced. Blocking; call it
// at start, join and renewal only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>

#include "core/model/result.hpp"
#include "daemon/transport/pki.hpp"

namespace skep::transport {

// Makes the folder if it isn't there. Errors (internal, exhausted) name the path and the reason.
Status save_credentials(const std::filesystem::path& folder, const NodeCredentials& credentials);

// nullopt: this node has none. Errors: unreadable, or not a key and certificate of that root.
Result<std::optional<NodeCredentials>> load_credentials(const std::filesystem::path& folder);

// Forgets them (leaving a cluster). Not having any is no error.
Status remove_credentials(const std::filesystem::path& folder);

}  // namespace skep::transport
