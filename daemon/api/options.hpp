// How the API is set up and what it says of this machine. Plain values from the daemon's
// configuration.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "core/model/time.hpp"

namespace skep::api {

inline constexpr char kApiVersion[] = "1.47";
inline constexpr char kMinApiVersion[] = "1.24";

struct Options {
  std::string socket_path;               // at most 107 bytes, the kernel's limit
  std::string group = "skep";            // owns the socket if the group exists; else root alone
  std::string version;                   // of skep, "0.1.0"
  std::string git_commit;                // may be empty
  std::string data_dir;                  // shown as the docker root directory
  std::string hostname;                  // empty: the machine's
  std::function<model::WallTime()> now;  // the daemon's clock; needed
};

}  // namespace skep::api
