// O_TMPFILE, where the file system has it; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/nameless_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace skep::storage {
namespace {

tl::unexpected<Error> failure(const std::string& what) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return fail(full ? ErrorKind::exhausted : ErrorKind::internal,
              what + ": " + std::strerror(errno));
}

}  // namespace

Result<NamelessFile> NamelessFile::create(const std::string& folder) {
  int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    // Not every file system can; a name for a moment then.
    std::string path = folder + "/nameless.XXXXXX";
    file = ::mkostemp(path.data(), O_CLOEXEC);
    if (file >= 0) ::unlink(path.c_str());
  }
  if (file < 0) return failure("a temporary file in " + folder);
  return NamelessFile(file);
}

NamelessFile::NamelessFile(NamelessFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)), size_(other.size_) {}

NamelessFile::~NamelessFile() {
  if (file_ >= 0) ::close(file_);
}

Status NamelessFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure("writing a temporary file");
    size_ += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<std::string> NamelessFile::read(uint64_t offset, size_t most) const {
  std::string bytes(most, '\0');
  size_t have = 0;
  while (have < most) {
    const ssize_t got =
        ::pread(file_, bytes.data() + have, most - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("reading a temporary file");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace skep::storage
