// Small files, renamed.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/populate_record.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <string_view>

namespace skep::containerd {
namespace {

constexpr std::string_view gathering_suffix = ".gathering";
constexpr std::string_view moving_suffix = ".moving";
constexpr std::string_view unwritten_suffix = ".new";  // nothing was made in a volume for it yet
constexpr const char* lock_file = "locks";
constexpr int lock_interval_ms = 20;

std::string file_of(const FillingRecords::Filling& filling) {
  return filling.name + std::string(filling.moving ? moving_suffix : gathering_suffix);
}

std::string unguessable_name() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw filling_failed("getrandom");
  }
  std::string name = ".skep-";
  for (const unsigned char byte : bytes) {
    name += "0123456789abcdef"[byte >> 4];
    name += "0123456789abcdef"[byte & 15];
  }
  return name;
}

void rename_in(int folder, const std::string& from, const std::string& to) {
  if (renameat(folder, from.c_str(), folder, to.c_str()) != 0) throw filling_failed(to);
}

// A path; empty when the record went meanwhile.
std::string read_record(int folder, const std::string& name) {
  const File file(openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return {};
  if (!file) throw filling_failed(name);
  std::string text;
  char bytes[4096];
  ssize_t size = 0;
  while ((size = read(file.number(), bytes, sizeof bytes)) > 0 || (size < 0 && errno == EINTR)) {
    if (size > 0) text.append(bytes, static_cast<size_t>(size));
  }
  if (size < 0) throw filling_failed(name);
  return text;
}

}  // namespace

FillingRecords::FillingRecords(const std::filesystem::path& folder)
    : folder_([&] {
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        return open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      }()) {
  if (!folder_) throw filling_failed(folder.string());
}

std::optional<FillingRecords::Filling> FillingRecords::find(const std::string& volume) const {
  for (const std::string& name : names_in(folder_.number())) {
    const bool moving = name.ends_with(moving_suffix);
    if (!moving && !name.ends_with(gathering_suffix)) continue;
    if (read_record(folder_.number(), name) != volume) continue;
    return Filling{name.substr(0, name.size() - (moving ? moving_suffix : gathering_suffix).size()),
                   moving};
  }
  return std::nullopt;
}

FillingRecords::Filling FillingRecords::begin(const std::string& volume) const {
  const Filling filling{unguessable_name(), false};
  const std::string unwritten = filling.name + std::string(unwritten_suffix);
  {
    const File file(
        openat(folder_.number(), unwritten.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file ||
        write(file.number(), volume.data(), volume.size()) != static_cast<ssize_t>(volume.size()) ||
        fsync(file.number()) != 0) {
      throw filling_failed(unwritten);
    }
  }
  rename_in(folder_.number(), unwritten, file_of(filling));
  flush();
  return filling;
}

void FillingRecords::set_moving(Filling& filling) const {
  Filling next = filling;
  next.moving = true;
  rename_in(folder_.number(), file_of(filling), file_of(next));
  flush();
  filling = next;
}

void FillingRecords::end(const Filling& filling) const {
  if (unlinkat(folder_.number(), file_of(filling).c_str(), 0) != 0 && errno != ENOENT) {
    throw filling_failed(file_of(filling));
  }
  flush();
}

void FillingRecords::flush() const {
  if (fsync(folder_.number()) != 0) throw filling_failed("its record");
}

File FillingRecords::lock(int volume, const Stop& stop) const {
  struct stat of {};
  if (fstat(volume, &of) != 0) throw filling_failed("lock");
  File file(openat(folder_.number(), lock_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) throw filling_failed(lock_file);
  struct flock wanted {};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_SET;
  wanted.l_start = static_cast<off_t>((uint64_t{of.st_ino} * 0x9e3779b97f4a7c15 + of.st_dev) &
                                      uint64_t{std::numeric_limits<int32_t>::max()});
  wanted.l_len = 1;
  while (fcntl(file.number(), F_OFD_SETLK, &wanted) != 0) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) throw filling_failed(lock_file);
    pollfd ended = {stop.descriptor(), POLLIN, 0};
    poll(&ended, 1, lock_interval_ms);
    stop.check();
  }
  return file;
}

}  // namespace skep::containerd
