// How long a checked file is held, and what dlopen is told; the checks themselves are in note.cpp.
//
// Apart from them on purpose: the helper process is handed a file that was checked, so it links
// this and neither OpenSSL nor the ELF reader.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <utility>

#include "sdk/host/note.hpp"

namespace skep::host {

CheckedFile::CheckedFile(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

CheckedFile::CheckedFile(CheckedFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      by_descriptor_(other.by_descriptor_) {}

CheckedFile& CheckedFile::operator=(CheckedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(by_descriptor_, other.by_descriptor_);
  return *this;
}

CheckedFile::~CheckedFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

CheckedFile CheckedFile::adopt(std::string path, int descriptor, LoadBy by) {
  CheckedFile file(std::move(path), descriptor);
  file.by_descriptor_ = by == LoadBy::descriptor;
  return file;
}

std::string CheckedFile::load_path() const {
  return by_descriptor_ ? "/proc/self/fd/" + std::to_string(descriptor_) : path_;
}

}  // namespace skep::host
