// What a Grammar keeps of each command, between the file that parses and the one that prints help.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/grammar.hpp"

namespace skep::cli {

struct OptionRecord {
  std::string short_name;  // "-f" or empty
  std::string long_name;   // "--filter"
  std::string kind;        // empty for a flag
  std::string about;
};

struct CommandRecord {
  CLI::App* app = nullptr;  // owned by its parent; the root's by `owned_app`
  std::shared_ptr<CLI::App> owned_app;
  CommandRecord* parent = nullptr;
  std::string name;
  std::string path;  // "skep service ls"
  std::string about;
  Words aliases;
  bool is_group = false;
  Positionals takes;
  Words given;  // positional arguments as parsed
  Action action;
  std::vector<OptionRecord> options;
  std::vector<std::unique_ptr<CommandRecord>> children;
  std::vector<std::shared_ptr<void>> kept;
};

// "Usage:  skep service ls [OPTIONS]"
std::string usage_line(const CommandRecord& command);

// The whole answer to --help.
std::string help_text(const CommandRecord& command);

}  // namespace skep::cli
