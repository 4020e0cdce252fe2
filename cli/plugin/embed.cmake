# Writes a C++ file that holds the text of every template, so that `skep plugin new` needs no file.
#
# cmake -DFROM=sdk/templates -DTO=FILE -P embed.cmake. A file sdk/templates/KIND-LANG/PATH becomes one row:
# template, path, text. Raw strings carry the text, so it may hold anything but their end mark.
# SPDX-License-Identifier: Apache-2.0
file(GLOB_RECURSE paths LIST_DIRECTORIES false RELATIVE ${FROM} ${FROM}/*)
list(SORT paths)
set(rows "")
foreach(path ${paths})
  file(READ ${FROM}/${path} text)
  if(text MATCHES "\\)skep_template\"")
    message(FATAL_ERROR "${path} holds the end mark of a raw string")
  endif()
  string(FIND "${path}" "/" slash)
  string(SUBSTRING "${path}" 0 ${slash} template)
  math(EXPR after "${slash} + 1")
  string(SUBSTRING "${path}" ${after} -1 inside)
  string(APPEND rows "    {\"${template}\", \"${inside}\", R\"skep_template(${text})skep_template\"},\n")
endforeach()
file(WRITE ${TO} "// Made by cli/plugin/embed.cmake from sdk/templates.
// SPDX-License-Identifier: Apache-2.0
#include \"cli/plugin/templates.hpp\"

namespace skep::cli {
namespace {
constexpr PluginTemplateFile kFiles[] = {
${rows}    {}};  // never empty, which C++ forbids
}  // namespace

std::span<const PluginTemplateFile> plugin_template_files() {
  return std::span(kFiles).first(std::size(kFiles) - 1);
}

}  // namespace skep::cli
")
