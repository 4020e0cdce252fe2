// What can be known of a plugin's file without running any of it.
//
// The daemon stops at the first thing that is wrong; an author or an operator wants all of it at
// once. So everything is gathered here that can be, and each fault is told in the sentence the
// daemon would use. What only the dynamic linker finds out (a missing library, a missing symbol) is
// not here: that takes `skep plugin run` or `test`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/json.hpp"
#include "core/model/result.hpp"
#include "sdk/host/elf_facts.hpp"
#include "sdk/host/note.hpp"

namespace skep::cli {

struct PluginFileReport {
  std::string path;                              // absolute
  std::optional<host::PluginIdentity> identity;  // absent when the note is missing or refused
  std::optional<host::ElfFacts> elf;             // absent when the file is no shared object
  std::string sha256;
  std::vector<host::Place> places;    // the file, then each folder up to the root
  std::vector<std::string> problems;  // why a daemon would not load it: "code: fact; remedy"
  std::vector<std::string> warnings;  // what will get in somebody's way later, in the same form
};

// Errors only when there is no file to look at; all else is in the report.
Result<PluginFileReport> examine_plugin_file(const std::string& path);

// snake_case, as the daemon's own documents.
Json to_json(const PluginFileReport& report);

// A page for a person, ending in a newline.
std::string to_text(const PluginFileReport& report);

}  // namespace skep::cli
