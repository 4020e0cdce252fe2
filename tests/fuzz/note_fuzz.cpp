// Any bytes in the place of a plugin's file: its note and its tables, and the note's text alone.
//
// Nothing is expected but that a refusal is a sentence with a code word and a remedy, and that what
// is accepted keeps to the contract. A corpus is best begun with a small plugin.
// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/model/result.hpp"
#include "sdk/host/elf_facts.hpp"
#include "sdk/host/note.hpp"
#include "skep/abi.h"

namespace {

using namespace skep::host;

void check_refusal(const skep::Error& error) {
  const std::string_view sentence = error.message;
  const std::string_view word = sentence.substr(0, sentence.find(": "));
  SKEP_ASSERT(std::find(refusal_words.begin(), refusal_words.end(), word) != refusal_words.end(),
              "a refusal begins with its code word");
  SKEP_ASSERT(sentence.find("; ") != std::string_view::npos, "a refusal ends with a remedy");
  SKEP_ASSERT(sentence.find('\n') == std::string_view::npos, "a refusal is one line");
}

void check_note(const skep::Result<PluginIdentity>& note) {
  if (!note) return check_refusal(note.error());
  SKEP_ASSERT(!note->id.empty() && note->id.size() <= SKEP_ID_MAX, "an id has its bounds");
  SKEP_ASSERT(!note->interfaces.empty(), "a plugin offers something");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_note(parse_note(bytes, "/a.so"));
  const int file = memfd_create("fuzz", MFD_CLOEXEC);
  SKEP_ASSERT(file >= 0, "there is memory for a file");
  const bool written = write(file, data, size) == static_cast<ssize_t>(size);
  SKEP_ASSERT(written, "a memory file takes all");
  check_note(read_note(file, "/a.so"));
  const skep::Result<ElfFacts> facts = read_elf_facts(file, "/a.so");
  if (!facts) check_refusal(facts.error());
  close(file);
  return 0;
}
