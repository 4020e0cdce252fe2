// The text of every template, which is an example of sdk/examples without its name, carried inside the program.
//
// embed.cmake writes the only definition at build time. `@name@` stands for the plugin's name, in
// paths and in texts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace skep::cli {

struct PluginTemplateFile {
  std::string_view project;  // "volume-cpp": kind and language
  std::string_view path;     // inside the project: "src/@name@.cpp"
  std::string_view text;
};

// Sorted by project, then path.
std::span<const PluginTemplateFile> plugin_template_files();

}  // namespace skep::cli
