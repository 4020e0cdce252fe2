// Who a plugin file says it is, found out before any code of it has run.
//
// Opening a file checks what the operator could have got wrong: the kind of file, its owner and
// mode and those of every folder above it, the pinned hash. The identity then comes from the ELF
// note (SKEP_DECLARE_NOTE in skep/abi.h), which survives strip. Static constructors run at dlopen,
// so nothing here ever loads the file.
//
// Every refusal is one sentence: a stable code word, a colon, the fact, a semicolon, the remedy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace skep::host {

// The code words of every refusal of a driver, here and in the daemon. They never change: programs
// look for them. docs/drivers/trust.md has a remedy for each.
inline constexpr std::array<std::string_view, 16> refusal_words = {
    "not_a_file",   "bad_owner",       "bad_mode",       "bad_hash",
    "not_elf",      "wrong_machine",   "no_note",        "abi_major",
    "host_too_old", "missing_library", "missing_symbol", "note_differs",
    "init_failed",  "config_rejected", "init_timed_out", "duplicate_id"};

struct PluginIdentity {
  uint32_t abi_major = 0;
  uint32_t abi_minor = 0;
  uint32_t host_minor_needed = 0;
  std::string id;
  std::string version;
  std::vector<std::string> interfaces;  // in the order of the note

  bool operator==(const PluginIdentity&) const = default;
};

// A file that passed the checks, held open so that what was checked is what gets loaded.
class CheckedFile {
 public:
  // What dlopen is given: the open descriptor, or the path itself, so that a debugger finds
  // symbols.
  enum class LoadBy : uint8_t { descriptor, path };

  // Opens `path` without following a last symbolic link, and checks owner, mode and, when given,
  // hash. The content is copied into a sealed memory file first, which nobody can change any more;
  // load_path() is that copy, unless `by` asks for the path. Blocks on the disk.
  static Result<CheckedFile> open(const std::string& path, const std::optional<std::string>& sha256,
                                  LoadBy by = LoadBy::descriptor);

  // A file that another process has checked and handed over. Takes `descriptor` over. `path` is for
  // messages, and what dlopen gets when the path itself is to be loaded, so that a debugger finds
  // its symbols.
  static CheckedFile adopt(std::string path, int descriptor, LoadBy by);

  CheckedFile(CheckedFile&& other) noexcept;
  CheckedFile& operator=(CheckedFile&& other) noexcept;
  ~CheckedFile();

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }
  // What dlopen gets. Valid while this object lives.
  std::string load_path() const;

 private:
  CheckedFile(std::string path, int descriptor);

  std::string path_;
  int descriptor_ = -1;
  bool by_descriptor_ = false;  // dlopen gets the descriptor's name, not the path
};

// One place on the way to a plugin: the file, or a folder above it.
struct Place {
  std::string path;
  uint32_t owner = 0;  // user id
  uint32_t mode = 0;   // permission bits
  Status verdict;      // whether owner and mode let a plugin be loaded from here
};

// The file, then every folder from its own up to the root. The same judgement as CheckedFile::open,
// for a person who wants to see all of it at once.
Result<std::vector<Place>> places_of(const std::string& path);

// Reads the note. Refuses what this host cannot load: another machine, another ABI major, a plugin
// that needs a newer host. `file` is only read.
Result<PluginIdentity> read_note(const CheckedFile& file);
// The same of a file that is only looked at and never loaded. `path` is for messages.
Result<PluginIdentity> read_note(int descriptor, const std::string& path);

// The same for a note's text, "abi=1.0;host=0;id=..;ver=..;ifs=..". `path` is for the message.
Result<PluginIdentity> parse_note(std::string_view text, std::string_view path);

// SHA-256 of an open file as 64 lower-case hex digits.
Result<std::string> sha256_of(int descriptor);

}  // namespace skep::host
