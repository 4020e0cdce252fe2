// What a shared object offers the world and asks of it, read from the file without running it.
//
// The loader needs none of this: it is for people and for the conformance kit, who want to know why
// two plugins would get in each other's way. An author who exports more than skep_plugin_query
// forgot the SDK's version script; a unique symbol (STB_GNU_UNIQUE) is shared by all libraries of
// the process and keeps its own from ever being unloaded.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/model/result.hpp"

namespace skep::host {

struct ElfFacts {
  std::vector<std::string> exported;  // defined dynamic symbols others can bind to, sorted
  std::vector<std::string> unique;    // those of them that are STB_GNU_UNIQUE, sorted
  std::vector<std::string> needed;    // DT_NEEDED, in the file's order
  bool text_relocations = false;      // the loader would have to write into code
  bool writable_code = false;         // a segment that is both writable and executable
};

// `descriptor` is only read and stays open; `path` is for messages. Errors are sentences of
// note.hpp's form, code word not_elf.
Result<ElfFacts> read_elf_facts(int descriptor, const std::string& path);

}  // namespace skep::host
