// What the operator says about one plugin: where the file lies, what it is to be configured with,
// and how far it is to be kept apart.
//
// The text of `config` is JSON, already converted from TOML by whoever read the file; it is checked
// against the schema that the plugin carries and goes to its configure(), so that a new setting of
// a driver never needs a change in the daemon.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sdk/host/helper.hpp"

namespace skep::drivers {

// A process of its own: a driver that crashes takes nothing along. In the daemon's: a driver is as
// trusted as the daemon itself.
enum class Isolation : uint8_t { process, in_process };

struct PluginConfig {
  std::string name;                   // the operator's, for messages and folders: [a-z0-9-]+
  std::string path;                   // absolute path of the .so
  std::optional<std::string> sha256;  // 64 hex digits: any other content is refused
  std::string config = "{}";          // a JSON object
  // Absent: in_process for the runtime, network and balancer drivers that are `shipped`, else
  // process.
  std::optional<Isolation> isolation;
  bool shipped = false;  // lies in the folder of the plugins that come with skep
  // Map the path itself instead of a sealed copy of the file, so that a debugger finds symbols.
  bool debug = false;
  host::HelperLimits limits;  // of its process
};

// Where drivers live on this node, and which node it is. The folders are the daemon's: each driver
// gets a folder of its own, plugins/NAME, below both of them.
struct PluginPlace {
  std::string run_dir;                // absolute; emptied by a reboot
  std::string data_dir;               // absolute; kept
  std::string node;                   // name of this node
  std::string helper;                 // path of skep-plugin-host
  int32_t log_level = SKEP_LOG_INFO;  // of every plugin, until it is changed
};

}  // namespace skep::drivers
