// What the operator says about one plugin: where the file lies and what it is to be configured
// with.
//
// The text of `config` is JSON, already converted from TOML by whoever read the file; it goes to
// the plugin's configure() unread, so that a new setting of a driver never needs a change in the
// daemon.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace skep::drivers {

struct PluginConfig {
  std::string name;                   // the operator's, for messages and folders: [a-z0-9-]+
  std::string path;                   // absolute path of the .so
  std::optional<std::string> sha256;  // 64 hex digits: any other content is refused
  std::string config = "{}";          // a JSON object
};

// Where drivers live on this node, and which node it is. The folders are the daemon's: each driver
// gets a folder of its own, plugins/NAME, below both of them.
struct PluginPlace {
  std::string run_dir;   // absolute; emptied by a reboot
  std::string data_dir;  // absolute; kept
  std::string node;      // name of this node
};

}  // namespace skep::drivers
