// POSIX behind the seam; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/file_system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace skep::storage {
namespace {

tl::unexpected<Error> failure(const std::string& path, int reason) {
  ErrorKind kind = ErrorKind::unavailable;
  if (reason == ENOSPC || reason == EDQUOT || reason == EFBIG) kind = ErrorKind::exhausted;
  if (reason == ENOENT) kind = ErrorKind::not_found;
  return fail(kind, path + ": " + std::strerror(reason));
}

// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

class MachineFile final : public File {
 public:
  MachineFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

  Status write(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written =
          ::pwrite(descriptor_.number(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failure(path_, errno);
      offset += static_cast<uint64_t>(written);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }

  Result<std::string> read(uint64_t offset, size_t size) override {
    std::string bytes(size, '\0');
    size_t have = 0;
    while (have < size) {
      const ssize_t got = ::pread(descriptor_.number(), bytes.data() + have, size - have,
                                  static_cast<off_t>(offset + have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failure(path_, errno);
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }

  Status sync() override {
    if (::fdatasync(descriptor_.number()) != 0) return failure(path_, errno);
    return {};
  }

 private:
  Descriptor descriptor_;
  std::string path_;
};

class MachineFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> create(const std::string& path) override {
    return opened(path, O_RDWR | O_CREAT | O_TRUNC);
  }
  Result<std::unique_ptr<File>> open(const std::string& path) override {
    return opened(path, O_RDONLY);
  }
  Result<std::unique_ptr<File>> edit(const std::string& path) override {
    return opened(path, O_RDWR);
  }
  Status touch(const std::string& path) override {
    SKEP_TRY(opened(path, O_RDWR | O_CREAT));
    return {};
  }
  Status rename(const std::string& from, const std::string& to) override {
    if (std::rename(from.c_str(), to.c_str()) != 0) return failure(to, errno);
    return {};
  }
  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failure(path, errno);
    return {};
  }
  Status make_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failure(path, errno);
    return {};
  }
  Status sync_folder(const std::string& path) override {
    const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.number() < 0 || ::fsync(folder.number()) != 0) return failure(path, errno);
    return {};
  }
  Status forget_cached(const std::string& path) override {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.number() < 0 && errno == ENOENT) return {};
    if (file.number() < 0) return failure(path, errno);
    const int reason = ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_DONTNEED);
    if (reason != 0) return failure(path, reason);
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator it(folder, error);
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return failure(folder, error.value());
    std::sort(names.begin(), names.end());
    return names;
  }
  Status allocate(const std::string& path, uint64_t bytes) override {
    const Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (file.number() < 0) return failure(path, errno);
    // Its result is the reason; errno is not set.
    const int reason = ::posix_fallocate(file.number(), 0, static_cast<off_t>(bytes));
    if (reason != 0) return failure(path, reason);
    return {};
  }
  Result<uint64_t> free_bytes(const std::string& folder) override {
    struct statvfs found {};
    if (::statvfs(folder.c_str(), &found) != 0) return failure(folder, errno);
    return static_cast<uint64_t>(found.f_bavail) * found.f_frsize;
  }

 private:
  Result<std::unique_ptr<File>> opened(const std::string& path, int flags) {
    const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (descriptor < 0) return failure(path, errno);
    return std::unique_ptr<File>(std::make_unique<MachineFile>(descriptor, path));
  }
};

}  // namespace

std::unique_ptr<FileSystem> machine_files() {
  return std::make_unique<MachineFiles>();
}

std::string folder_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Status replace_file(FileSystem& files, const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    SKEP_TRY_ASSIGN(const std::unique_ptr<File> file, files.create(temporary));
    SKEP_TRY(file->write(0, content));
    SKEP_TRY(file->sync());
  }
  SKEP_TRY(files.rename(temporary, path));
  return files.sync_folder(folder_of(path));
}

}  // namespace skep::storage
