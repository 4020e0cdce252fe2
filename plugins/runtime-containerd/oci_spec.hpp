// The OCI runtime specification (config.json of runc) for a container or a further process in one:
// a pure function of the host's request, the image's config and the resolved user. What nobody
// asked for is what Docker gives: its capabilities, masked paths, devices and mounts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "runtime-containerd/user.hpp"
#include "skep/cpp/driver.hpp"

namespace skep::containerd {

// The whole specification. `image` is the image's run configuration (Env, Cmd, ...). Throws
// Failure(SKEP_E_INVALID or SKEP_E_UNIMPLEMENTED).
sdk::json container_spec(const sdk::json& request, const sdk::json& image, const User& user);

// The process member for an exec: the container's own, with what the request changes.
sdk::json exec_process(const sdk::json& request, const sdk::json& container_spec, const User& user);

// The user text that holds for a container: the request's, else the image's.
std::string user_text(const sdk::json& request, const sdk::json& image);

// A member that is a list of texts; empty when it is absent or null.
std::vector<std::string> text_list(const sdk::json& object, const char* member);

}  // namespace skep::containerd
