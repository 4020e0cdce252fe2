// The three files that every container gets from its node: /etc/hosts, /etc/hostname and
// /etc/resolv.conf, kept in DATA_DIR/containers/ID and bind-mounted.
//
// They must exist before the container is made; the address in `hosts` is known only after the
// network joined, so that file is written a second time, in place (a rename would leave the old one
// mounted). Nothing is flushed to disk: a crash loses nothing that isn't written anew.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::agent {

// Text of /etc/hosts. `address` empty: not known yet. Pure.
std::string hosts_text(const model::ContainerSpec& spec, std::string_view hostname,
                       std::string_view address);

// Text of /etc/resolv.conf: the spec's, else `node_text` (the node's own) without the name servers
// that only the node itself can reach (127.0.0.0/8 and ::1). Pure.
std::string resolv_text(const model::ContainerSpec& spec, std::string_view node_text);

// The node's resolv.conf; the one behind a local stub resolver when that is all the first names.
std::string node_resolv_text();

struct ContainerFiles {
  std::string folder;  // DATA_DIR/containers/ID
  std::string hosts() const { return folder + "/hosts"; }
  std::string hostname() const { return folder + "/hostname"; }
  std::string resolv() const { return folder + "/resolv.conf"; }
};

// Errors: internal, with path and reason.
Status write_container_files(const ContainerFiles& files, const model::ContainerSpec& spec,
                             std::string_view hostname, std::string_view address);
Status rewrite_hosts(const ContainerFiles& files, const model::ContainerSpec& spec,
                     std::string_view hostname, std::string_view address);
// Removes a folder with all that is in it; being gone already is success.
Status remove_folder(const std::string& folder);

}  // namespace skep::agent
