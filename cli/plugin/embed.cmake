# Writes a C++ file that holds the text of every template, so that `skep plugin new` needs no file.
#
# cmake -DFROM=sdk/examples -DTO=FILE -P embed.cmake. A template is an example whose name is left open: what is
# built and tested in the tree is what an author begins with. Each of an example's files becomes one row:
# template (KIND-LANGUAGE), path, text. Raw strings carry the text, so it may hold anything but their end mark.
# SPDX-License-Identifier: Apache-2.0
set(rows "")
foreach(pair volume-cpp=volume-dir volume-c=volume-dir-c lb-cpp=lb-null lb-c=lb-null-c network-cpp=net-ip)
  string(REGEX MATCH "^(.*)=(.*)$" pair ${pair})
  set(template ${CMAKE_MATCH_1})
  set(example ${CMAKE_MATCH_2})
  file(GLOB_RECURSE paths LIST_DIRECTORIES false RELATIVE ${FROM}/${example} ${FROM}/${example}/*)
  if(NOT paths)
    message(FATAL_ERROR "there is no example ${example}")
  endif()
  list(SORT paths)
  foreach(path ${paths})
    file(READ ${FROM}/${example}/${path} text)
    if(text MATCHES "\\)skep_template\"")
      message(FATAL_ERROR "${path} holds the end mark of a raw string")
    endif()
    string(REPLACE ${example} "@name@" text "${text}")
    string(APPEND rows "    {\"${template}\", \"${path}\", R\"skep_template(${text})skep_template\"},\n")
  endforeach()
endforeach()
file(WRITE ${TO} "// Made by cli/plugin/embed.cmake from sdk/examples.
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
