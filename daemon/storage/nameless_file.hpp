// A file that has no name: room on the disk that is given back when the object goes, whatever
// happens. For what is made whole before its first byte is sent.
//
// Blocking; one thread at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/model/result.hpp"

namespace skep::storage {

class NamelessFile {
 public:
  static Result<NamelessFile> create(const std::string& folder);
  NamelessFile(NamelessFile&& other) noexcept;
  NamelessFile& operator=(NamelessFile&&) = delete;
  ~NamelessFile();

  // All of it or an error; exhausted when the disk is full.
  Status append(std::string_view bytes);
  // Fewer than `most` bytes only at the end.
  Result<std::string> read(uint64_t offset, size_t most) const;
  uint64_t size() const { return size_; }

 private:
  explicit NamelessFile(int file) : file_(file) {}
  int file_;
  uint64_t size_ = 0;
};

}  // namespace skep::storage
