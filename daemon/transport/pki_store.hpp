// A node's credentials on disk: the folder pki/ of its data directory.
//
//   root.crt   the roots it trusts: one, or two while the cluster changes its root
//   node.pem   the node's private key, then its certificate and the chain behind it
//
// A manager of a locked swarm has its key there sealed: with the swarm's unlock key, and while that
// changes with the old one and the new one, so that whichever of them the raft log needs opens this
// too. Sealing and opening is the caller's; here a sealed key is bytes in a PEM armour.
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
#include <string>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/transport/pki.hpp"

namespace skep::transport {

// What the disk tells of a node whose key is sealed. The certificate is not checked against the
// roots before the key is there: check_credentials does both.
struct SealedCredentials {
  std::string root_pem;
  std::string certificate_pem;
  std::vector<std::string> sealed_keys;  // the same key, sealed in different ways; one at least
  PeerIdentity identity;
};

// Makes the folder if it isn't there. If there are `sealed_keys`, they are written and the plain
// key is not. Errors (internal, exhausted) name the path and the reason.
Status save_credentials(const std::filesystem::path& folder, const NodeCredentials& credentials,
                        const std::vector<std::string>& sealed_keys = {});

// nullopt: this node has none. Errors: unreadable, or not a key and certificate of that root;
// precondition: the key is sealed.
Result<std::optional<NodeCredentials>> load_credentials(const std::filesystem::path& folder);

// nullopt: this node has none, or they are not sealed. Errors: unreadable.
Result<std::optional<SealedCredentials>> load_sealed_credentials(
    const std::filesystem::path& folder);

// Forgets them (leaving a cluster). Not having any is no error.
Status remove_credentials(const std::filesystem::path& folder);

}  // namespace skep::transport
