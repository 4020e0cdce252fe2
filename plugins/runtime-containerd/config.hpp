// What configure() hands over: where containerd is, under which namespace and snapshotter to work,
// and which node this is. A member nobody knows is refused, because a misspelt one would otherwise
// silently mean its default.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "skep/cpp/driver.hpp"

namespace skep::containerd {

// The JSON Schema of configure's "config" member.
extern const char* const config_schema;

struct Config {
  std::string address = "/run/containerd/containerd.sock";
  std::string space = "k8s.io";  // containerd's namespace; CRI pulls into k8s.io alone
  std::string snapshotter = "overlayfs";
  std::string runtime = "io.containerd.runc.v2";
  std::filesystem::path log_program;  // skep-log; empty when it was not found
  std::filesystem::path data_dir;
  std::string node;

  // From configure's request. Throws Failure(SKEP_E_INVALID), naming the member.
  static Config parse(const sdk::json& request);
  bool operator==(const Config&) const = default;
};

}  // namespace skep::containerd
