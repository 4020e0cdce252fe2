// Folders, made and taken away so that a crash is never seen.
// SPDX-License-Identifier: Apache-2.0
#include "folders.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace skep::volume_local {
namespace {

namespace fs = std::filesystem;
using sdk::Failure;
using sdk::json;

constexpr int record_version = 1;
constexpr const char* unfinished_prefix = ".new-";
constexpr const char* old_prefix = ".old-";

[[noreturn]] void fail(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), path);
}

void flush(const std::string& path, int flags) {
  const int descriptor = open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) fail(path);
  const int outcome = fsync(descriptor);
  const int number = errno;
  close(descriptor);
  errno = number;
  if (outcome != 0) fail(path);
}

void flush_folder(const std::string& path) {
  flush(path, O_RDONLY | O_DIRECTORY);
}

// umask must not decide who reads a volume.
void make_folder(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) != 0 || chmod(path.c_str(), mode) != 0) fail(path);
}

void write_record(const std::string& path, const Record& record) {
  json document = {{"version", record_version}, {"options", record.options}};
  if (record.capacity_bytes) document["capacity_bytes"] = *record.capacity_bytes;
  if (record.project != 0) document["project"] = record.project;
  std::ofstream file(path);
  file << document.dump() << "\n" << std::flush;
  if (!file) fail(path);
  file.close();
  flush(path, O_WRONLY);
}

}  // namespace

std::vector<std::string> Folders::names() const {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
    std::string name = entry.path().filename();
    if (name[0] != '.' && has(name)) names.push_back(std::move(name));
  }
  return names;
}

bool Folders::has(const std::string& volume) const {
  struct stat entry = {};
  return lstat(data(volume).c_str(), &entry) == 0 && S_ISDIR(entry.st_mode);
}

std::optional<Record> Folders::read(const std::string& volume) const {
  if (!has(volume)) return std::nullopt;
  const std::string path = folder(volume) + "/volume.json";
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  const json document = json::parse(text.str(), nullptr, false);
  try {
    const sdk::Members members(document);
    if (members.integer("version") != record_version) {
      throw Failure(SKEP_E_INTERNAL, path + " was written by another version of the driver");
    }
    return Record{members.text_map("options"), members.maybe_integer("capacity_bytes"),
                  static_cast<uint32_t>(members.integer("project", 0))};
  } catch (const Failure& failure) {
    throw Failure(SKEP_E_INTERNAL, path + ": " + failure.what());
  }
}

void Folders::make(
    const std::string& volume, Record record,
    const std::function<void(const std::string& data, Record& record)>& prepare) const {
  const std::string unfinished = root_ + "/" + unfinished_prefix + volume;
  fs::remove_all(unfinished);  // at most empty folders and a record
  bool made = false;
  try {
    make_folder(unfinished, 0701);
    make_folder(unfinished + "/_data", 0755);
    prepare(unfinished + "/_data", record);
    write_record(unfinished + "/volume.json", record);
    flush_folder(unfinished);
    if (renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, folder(volume).c_str(),
                  RENAME_NOREPLACE) != 0) {
      fail(folder(volume));
    }
    made = true;
    flush_folder(root_);
  } catch (...) {
    std::error_code ignored;  // what can't be taken away now has a name that is swept
    if (made) fs::rename(folder(volume), unfinished, ignored);
    fs::remove_all(unfinished, ignored);
    throw;
  }
}

std::optional<std::string> Folders::take_away(const std::string& volume) const {
  try {
    std::string path = put_aside(folder(volume), volume);
    flush_folder(root_);
    return path;
  } catch (const std::system_error& error) {
    if (error.code().value() == ENOENT) return std::nullopt;
    throw;
  }
}

std::vector<std::string> Folders::unfinished() const {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
    names.push_back(entry.path().filename());
  }
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    if (name.starts_with(old_prefix)) paths.push_back(root_ + "/" + name);
    // By another name, because one of this may be made again while it is deleted.
    if (name.starts_with(unfinished_prefix)) {
      paths.push_back(put_aside(root_ + "/" + name, name.substr(strlen(unfinished_prefix))));
    }
  }
  return paths;
}

// By a name that is free: volumes of one name may come and go faster than their data.
std::string Folders::put_aside(const std::string& path, const std::string& name) const {
  for (uint64_t number = 1;; ++number) {
    std::string aside = root_ + "/" + old_prefix + std::to_string(number) + "-" + name;
    if (renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, aside.c_str(), RENAME_NOREPLACE) == 0) {
      return aside;
    }
    if (errno != EEXIST) fail(path);
  }
}

}  // namespace skep::volume_local
