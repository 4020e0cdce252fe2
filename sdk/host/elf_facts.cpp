// ELF by way of libelf, which survives files that lie about their sizes.
//
// Symbols and entries of the dynamic section are found by section headers; a linker writes them and
// strip keeps those. A file without them (made by hand) is told as such rather than as empty.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/elf_facts.hpp"

#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <functional>
#include <memory>

namespace skep::host {
namespace {

using ElfHandle = std::unique_ptr<Elf, int (*)(Elf*)>;

// A name out of a section of strings, or nullptr.
using Names = std::function<const char*(size_t offset)>;

bool is_exported(const GElf_Sym& symbol) {
  const auto binding = GELF_ST_BIND(symbol.st_info);
  const auto visibility = GELF_ST_VISIBILITY(symbol.st_other);
  return symbol.st_shndx != SHN_UNDEF && binding != STB_LOCAL &&
         (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

bool read_symbols(Elf_Data* data, size_t count, const Names& name_at, ElfFacts& facts) {
  for (size_t i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) return false;
    if (!is_exported(symbol)) continue;
    const char* name = name_at(symbol.st_name);
    if (name == nullptr) return false;
    facts.exported.emplace_back(name);
    if (GELF_ST_BIND(symbol.st_info) == STB_GNU_UNIQUE) facts.unique.emplace_back(name);
  }
  return true;
}

bool read_dynamic(Elf_Data* data, size_t count, const Names& name_at, ElfFacts& facts) {
  for (size_t i = 0; i < count; ++i) {
    GElf_Dyn entry;
    if (gelf_getdyn(data, static_cast<int>(i), &entry) == nullptr) return false;
    if (entry.d_tag == DT_NULL) return true;
    if (entry.d_tag == DT_TEXTREL) facts.text_relocations = true;
    if (entry.d_tag == DT_FLAGS && (entry.d_un.d_val & DF_TEXTREL) != 0) {
      facts.text_relocations = true;
    }
    if (entry.d_tag != DT_NEEDED) continue;
    const char* name = name_at(entry.d_un.d_val);
    if (name == nullptr) return false;
    facts.needed.emplace_back(name);
  }
  return true;
}

// Both tables by their sections; false when one is missing or damaged.
bool read_sections(Elf* elf, ElfFacts& facts) {
  bool symbols = false;
  bool dynamic = false;
  for (Elf_Scn* section = elf_nextscn(elf, nullptr); section != nullptr;
       section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) return false;
    if (header.sh_type != SHT_DYNSYM && header.sh_type != SHT_DYNAMIC) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr || header.sh_entsize == 0) return false;
    const size_t count = header.sh_size / header.sh_entsize;
    const Names name_at = [&](size_t offset) { return elf_strptr(elf, header.sh_link, offset); };
    if (header.sh_type == SHT_DYNSYM) {
      symbols = read_symbols(data, count, name_at, facts);
    } else {
      dynamic = read_dynamic(data, count, name_at, facts);
    }
  }
  return symbols && dynamic;
}

bool read_segments(Elf* elf, ElfFacts& facts) {
  size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return false;
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, static_cast<int>(i), &segment) == nullptr) return false;
    const bool writable = (segment.p_flags & PF_W) != 0;
    const bool executable = (segment.p_flags & PF_X) != 0;
    if (segment.p_type == PT_LOAD && writable && executable) facts.writable_code = true;
  }
  return true;
}

}  // namespace

Result<ElfFacts> read_elf_facts(int descriptor, const std::string& path) {
  if (elf_version(EV_CURRENT) == EV_NONE) {
    return fail(ErrorKind::internal, "libelf does not know today's ELF");
  }
  const ElfHandle elf(elf_begin(descriptor, ELF_C_READ, nullptr), elf_end);
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF) {
    return fail(ErrorKind::invalid,
                "not_elf: " + path + " is not a shared object; give the path of a .so file");
  }
  ElfFacts facts;
  if (!read_segments(elf.get(), facts) || !read_sections(elf.get(), facts)) {
    return fail(ErrorKind::invalid, "not_elf: the tables of " + path +
                                        " are damaged or were cut off; install it again");
  }
  std::sort(facts.exported.begin(), facts.exported.end());
  std::sort(facts.unique.begin(), facts.unique.end());
  return facts;
}

}  // namespace skep::host
