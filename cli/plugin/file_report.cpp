// Looks at a file with the eyes of the loader (sdk/host/note.hpp) and words what it saw.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/file_report.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "skep/abi.h"

namespace skep::cli {
namespace {

constexpr const char* kEntry = "skep_plugin_query";

class File {
 public:
  explicit File(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }
  bool is_regular() const {
    struct stat status {};
    return descriptor_ >= 0 && ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  }

 private:
  int descriptor_;
};

std::string owner_name(uint32_t user) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return entry.pw_name;
  }
  return std::to_string(user);
}

std::string joined(const std::vector<std::string>& words, const char* separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

void judge_places(PluginFileReport& report, const Status& as_loaded) {
  for (const host::Place& place : report.places) {
    if (!place.verdict) report.problems.push_back(place.verdict.error().message);
  }
  // What else the loader minds, e.g. the size.
  if (!as_loaded && report.problems.empty()) report.problems.push_back(as_loaded.error().message);
  const uint32_t self = ::geteuid();
  for (const host::Place& place : report.places) {
    if (self == 0 || place.owner != self) continue;
    report.warnings.push_back(
        fmt::format("bad_owner: {} belongs to {}, which suits a daemon of {} only; chown it to "
                    "root before a daemon of root is to load it",
                    place.path, owner_name(self), owner_name(self)));
    break;
  }
}

void judge_symbols(PluginFileReport& report) {
  const std::vector<std::string>& exported = report.elf->exported;
  const bool has_entry = std::find(exported.begin(), exported.end(), kEntry) != exported.end();
  if (!has_entry) {
    report.problems.push_back(
        fmt::format("missing_symbol: {} does not export {}; its author defines it as skep/abi.h "
                    "declares it and links with the SDK's version script",
                    report.path, kEntry));
  }
  const size_t others = exported.size() - (has_entry ? 1 : 0);
  if (others > 0) {
    const std::string& example = exported.front() == kEntry ? exported.back() : exported.front();
    report.warnings.push_back(fmt::format(
        "extra_symbols: {} exports {} symbol{} beside {} ({}{}); link with the SDK's version "
        "script, as skep_add_plugin() does",
        report.path, others, others == 1 ? "" : "s", kEntry, example, others == 1 ? "" : ", ..."));
  }
  if (!report.elf->unique.empty()) {
    report.warnings.push_back(fmt::format(
        "unique_symbols: {} exports {} unique symbol{} ({}), which two plugins would share; link "
        "with the SDK's version script",
        report.path, report.elf->unique.size(), report.elf->unique.size() == 1 ? "" : "s",
        report.elf->unique.front()));
  }
}

Json texts(const std::vector<std::string>& words) {
  return words.empty() ? Json::array() : Json(words);
}

std::string abi_text(uint32_t minor) {
  return fmt::format("{}.{}", SKEP_ABI_MAJOR, minor);
}

void append_lines(std::string& out, const char* heading, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out += heading;
  for (const std::string& line : lines) out += "  " + line + "\n";
}

}  // namespace

Result<PluginFileReport> examine_plugin_file(const std::string& path) {
  std::error_code error;
  PluginFileReport report;
  // lexically_normal would be wrong across symbolic links; ".." in a path harms nobody.
  report.path = std::filesystem::absolute(path, error).string();
  if (error) return fail(ErrorKind::invalid, path + ": " + error.message());

  const Result<host::CheckedFile> loadable = host::CheckedFile::open(report.path, std::nullopt);
  const File file(report.path);
  if (!file.is_regular()) {
    if (!loadable) return fail(loadable.error());
    return fail(ErrorKind::not_found, "not_a_file: " + report.path + " went away; try again");
  }
  SKEP_TRY_ASSIGN(report.places, host::places_of(report.path));
  judge_places(report, loadable ? Status() : Status(fail(loadable.error())));
  SKEP_TRY_ASSIGN(report.sha256, host::sha256_of(file.descriptor()));

  Result<host::PluginIdentity> identity = host::read_note(file.descriptor(), report.path);
  if (identity) {
    report.identity = std::move(*identity);
  } else {
    report.problems.push_back(identity.error().message);
  }
  Result<host::ElfFacts> elf = host::read_elf_facts(file.descriptor(), report.path);
  if (elf) {
    report.elf = std::move(*elf);
    judge_symbols(report);
  } else if (report.identity) {  // else the note's sentence has said it
    report.problems.push_back(elf.error().message);
  }
  return report;
}

Json to_json(const PluginFileReport& report) {
  Json out = Json::object();
  out["path"] = report.path;
  if (const auto& identity = report.identity) {
    out["id"] = identity->id;
    out["version"] = identity->version;
    out["abi"] = fmt::format("{}.{}", identity->abi_major, identity->abi_minor);
    out["host_needed"] = abi_text(identity->host_minor_needed);
    out["interfaces"] = texts(identity->interfaces);
  }
  if (const auto& elf = report.elf) {
    out["exported_symbols"] = texts(elf->exported);
    out["needed_libraries"] = texts(elf->needed);
  }
  out["sha256"] = report.sha256;
  Json places = Json::array();
  for (const host::Place& place : report.places) {
    Json entry = {{"path", place.path},
                  {"owner", owner_name(place.owner)},
                  {"mode", fmt::format("{:04o}", place.mode)},
                  {"ok", place.verdict.has_value()}};
    places.push_back(std::move(entry));
  }
  out["places"] = std::move(places);
  out["problems"] = texts(report.problems);
  out["warnings"] = texts(report.warnings);
  return out;
}

std::string to_text(const PluginFileReport& report) {
  std::string out;
  const auto line = [&out](const char* name, const std::string& value) {
    out += fmt::format("{:<13}{}\n", name, value);
  };
  if (const auto& identity = report.identity) {
    line("Plugin:", identity->id + " " + identity->version);
    line("ABI:", fmt::format("{}.{} (this host has {})", identity->abi_major, identity->abi_minor,
                             abi_text(SKEP_ABI_MINOR)));
    line("Host needed:", abi_text(identity->host_minor_needed) + " or later");
    line("Interfaces:", joined(identity->interfaces, " "));
  }
  line("File:", report.path);
  line("SHA-256:", report.sha256);
  if (const auto& elf = report.elf) {
    const size_t count = elf->exported.size();
    line("Exports:", fmt::format("{} symbol{}{}", count, count == 1 ? "" : "s",
                                 count == 1 ? " (" + elf->exported.front() + ")" : ""));
    line("Needs:", elf->needed.empty() ? "no library" : joined(elf->needed, " "));
  }
  out += "Owner and mode:\n";
  for (const host::Place& place : report.places) {
    out += fmt::format("  {:<4} {:<8} {:04o}  {}\n", place.verdict ? "ok" : "BAD",
                       owner_name(place.owner), place.mode, place.path);
  }
  append_lines(out, "Warnings:\n", report.warnings);
  append_lines(out, "Problems:\n", report.problems);
  if (report.problems.empty()) out += "Nothing here keeps a daemon from loading it.\n";
  return out;
}

}  // namespace skep::cli
