// skepd.toml, read once at start.
//
// A mistake is told with file, line and key, and nothing is started: a key that is silently ignored
// is how clusters end up with two configurations. The sections of plugins are not understood here;
// they go to the plugin as JSON, which validates them against its own schema.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace skep::base {

struct PluginSection {
  std::string name;
  std::string path;    // absolute, or relative to the shipped plugins' folder
  std::string sha256;  // empty: not pinned
  std::string config_json = "{}";
  // Whether it runs in the daemon's process; empty: only the shipped runtime, network and balancer
  // drivers do.
  std::string isolation;  // "process", "in-process" or empty
  bool debug = false;     // mapped from its path, so that a debugger finds symbols
  // Limits of its own process.
  int64_t address_space_bytes = int64_t{512} << 20;  // 0: none
  int64_t open_files = 1024;
};

struct Config {
  std::string path;  // the file it was read from; empty: none
  std::string data_dir = "/var/lib/skep";
  std::string run_dir = "/run/skep";
  std::string hostname;    // empty: the machine's
  std::string api_socket;  // empty: RUN_DIR/skep.sock
  std::string api_group = "skep";
  std::string log_level = "info";  // debug, info, warning, error
  std::map<std::string, std::string> engine_labels;
  std::map<std::string, PluginSection> plugins;  // by name
  // Names of balancers, in the order in which they are tried; empty: all, by name.
  std::vector<std::string> lb;
};

// What a fresh installation runs with: containerd and the node-local bridge.
Config default_config();

// `path` empty: /etc/skep/skepd.toml if it exists, else the defaults.
Result<Config> load_config(const std::string& path);
// The same from text; `origin` stands for the file in messages.
Result<Config> parse_config(std::string_view text, std::string_view origin);

// Every key with its default and a comment; parse_config of it gives default_config().
std::string default_config_text();

}  // namespace skep::base
