// Lays down the folder of a new plugin: all of it or nothing.
//
// The files are written into a folder of another name beside the wanted one, which then takes its
// name in one step that fails rather than replaces. Who is interrupted finds no half-made project.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/plugin/templates.hpp"
#include "core/model/result.hpp"

namespace skep::cli {

struct NewPlugin {
  std::string kind;      // "volume"
  std::string language;  // "c" or "cpp"
  std::string name;      // also the name of the folder, under `inside`
};

// Makes the folder `inside`/NAME from the files of the template KIND-LANGUAGE. Errors: invalid for
// a bad name or an unknown kind or language (says which there are), conflict when the name is
// taken.
Status make_plugin_project(const NewPlugin& wanted, const std::string& inside,
                           std::span<const PluginTemplateFile> files);

}  // namespace skep::cli
