// Checks the words, fills in the name, writes the files, and gives the folder its name last.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/project.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

namespace skep::cli {
namespace {

namespace fs = std::filesystem;

// Leaves room in the identity note (256 bytes) for versions and interfaces.
constexpr size_t kNameBytesMax = 64;
constexpr std::string_view kPlaceholder = "@name@";

Status check_name(const std::string& name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto allowed = [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '-'; };
  if (name.empty() || name.size() > kNameBytesMax || !lower(name.front()) ||
      !std::ranges::all_of(name, allowed)) {
    return fail(ErrorKind::invalid,
                fmt::format("\"{}\" can't be the name of a plugin: it begins with a letter from a "
                            "to z and goes on with those, digits and '-', at most {} in all",
                            name, kNameBytesMax));
  }
  return {};
}

// What there is before or after the last '-' of the templates' names, for one language or all.
std::set<std::string_view> kinds_of(std::span<const PluginTemplateFile> files,
                                    std::string_view language) {
  std::set<std::string_view> kinds;
  for (const PluginTemplateFile& file : files) {
    const size_t dash = file.project.rfind('-');
    if (language.empty() || file.project.substr(dash + 1) == language) {
      kinds.insert(file.project.substr(0, dash));
    }
  }
  return kinds;
}

Status check_template(const NewPlugin& wanted, std::span<const PluginTemplateFile> files) {
  if (wanted.language != "c" && wanted.language != "cpp") {
    return fail(ErrorKind::invalid,
                fmt::format("there is no template in \"{}\"; --lang knows c and cpp; any language "
                            "that can make a C symbol will do, by hand",
                            wanted.language));
  }
  const std::set<std::string_view> kinds = kinds_of(files, wanted.language);
  if (kinds.contains(wanted.kind)) return {};
  return fail(ErrorKind::invalid,
              fmt::format("there is no template for kind \"{}\" in {}; there are: {}", wanted.kind,
                          wanted.language == "c" ? "C" : "C++", fmt::join(kinds, ", ")));
}

std::string filled(std::string_view text, const std::string& name) {
  std::string out;
  for (size_t at; (at = text.find(kPlaceholder)) != std::string_view::npos;) {
    out += text.substr(0, at);
    out += name;
    text.remove_prefix(at + kPlaceholder.size());
  }
  return out += text;
}

Status write_text(const fs::path& path, const std::string& text) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return fail(ErrorKind::internal, path.string() + ": " + error.message());
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) return fail(ErrorKind::internal, path.string() + ": can't be written");
  return {};
}

// A folder that goes away again unless it gets its name.
class Unfinished {
 public:
  explicit Unfinished(fs::path path) : path_(std::move(path)) {}
  ~Unfinished() {
    std::error_code ignored;  // a folder that can't be removed is still not the one asked for
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;

  const fs::path& path() const { return path_; }

  Status name_it(const fs::path& target) {
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
      const int number = errno;
      if (number == EEXIST) {
        return fail(ErrorKind::conflict, target.filename().string() +
                                             " already exists; take another name or another "
                                             "folder");
      }
      return fail(ErrorKind::internal, target.string() + ": " + std::strerror(number));
    }
    path_.clear();
    return {};
  }

 private:
  fs::path path_;
};

}  // namespace

Status make_plugin_project(const NewPlugin& wanted, const std::string& inside,
                           std::span<const PluginTemplateFile> files) {
  SKEP_TRY(check_name(wanted.name));
  SKEP_TRY(check_template(wanted, files));
  const fs::path target = fs::path(inside) / wanted.name;
  std::error_code error;
  if (fs::symlink_status(target, error).type() != fs::file_type::not_found) {
    return fail(ErrorKind::conflict,
                wanted.name + " already exists; take another name or another folder");
  }
  std::string pattern = (fs::path(inside) / ("." + wanted.name + "-XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    return fail(ErrorKind::internal, inside + ": " + std::strerror(errno));
  }
  Unfinished folder(pattern);
  const std::string project = wanted.kind + "-" + wanted.language;
  for (const PluginTemplateFile& file : files) {
    if (file.project != project) continue;
    SKEP_TRY(
        write_text(folder.path() / filled(file.path, wanted.name), filled(file.text, wanted.name)));
  }
  // As mkdir would have made it, but never writable by others: nothing is loaded from there then.
  if (::chmod(folder.path().c_str(), 0755) != 0) {
    return fail(ErrorKind::internal, target.string() + ": " + std::strerror(errno));
  }
  return folder.name_it(target);
}

}  // namespace skep::cli
