// What can be told of a driver's file without running it, and the watches.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/generic/generic_cases.hpp"
#include "sdk/conformance/kinds.hpp"
#include "sdk/host/elf_facts.hpp"

namespace skep::conformance {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return shortened(text);
}

Result<host::ElfFacts> facts_of(Run& run) {
  SKEP_TRY_ASSIGN(const host::CheckedFile file,
                  host::CheckedFile::open(run.plugin().path, std::nullopt));
  return host::read_elf_facts(file.descriptor(), file.path());
}

Status one_symbol(Run& run) {
  SKEP_TRY_ASSIGN(const host::ElfFacts facts, facts_of(run));
  return run.that(facts.exported == std::vector<std::string>{"skep_plugin_query"},
                  "exactly one exported symbol, skep_plugin_query (link with the SDK's version "
                  "script)",
                  fmt::format("{} exported: {}", facts.exported.size(), joined(facts.exported)));
}

Status no_unique_symbols(Run& run) {
  SKEP_TRY_ASSIGN(const host::ElfFacts facts, facts_of(run));
  return run.that(facts.unique.empty(), "no symbol of binding UNIQUE (use the version script)",
                  joined(facts.unique));
}

Status no_writable_code(Run& run) {
  SKEP_TRY_ASSIGN(const host::ElfFacts facts, facts_of(run));
  SKEP_TRY(run.that(!facts.text_relocations, "no text relocations (compile with -fPIC)",
                    "the library has some"));
  return run.that(!facts.writable_code, "no segment that is writable and executable",
                  "the library has one");
}

// The host loads with everything bound at once and compares note and descriptor.
Status loads(Run& run) {
  return run.driver().load();
}

Case watch(std::string name, int number) {
  return {std::move(name), "seen broken by no other case", {rule(number)}, {}};
}

}  // namespace

std::vector<Case> file_cases() {
  return {
      {"generic.file.one-symbol",
       "exactly one symbol is exported",
       {rule(1), rule(22)},
       one_symbol},
      {"generic.file.unique-symbols",
       "nothing is shared with other copies",
       {rule(22)},
       no_unique_symbols},
      {"generic.file.writable-code", "code is never written", {rule(23)}, no_writable_code},
      {"generic.file.loads",
       "the library loads, and note and descriptor agree",
       {rule(2), rule(23)},
       loads},
  };
}

namespace {

std::vector<Case> watches() {
  return {
      watch("generic.watch.completion", 11), watch("generic.watch.replies", 9),
      watch("generic.watch.errors", 18),     watch("generic.watch.log", 44),
      watch("generic.watch.metrics", 45),
  };
}

}  // namespace

std::vector<Case> generic_cases() {
  std::vector<Case> all;
  for (const std::vector<Case>& some :
       {file_cases(), load_cases(), table_cases(), config_cases(), base_cases(), watches()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace skep::conformance
