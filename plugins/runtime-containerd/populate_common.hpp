// What the parts of populate share: descriptors with an owner, the one form of its errors, and the
// word that ends it early.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "skep/cpp/driver.hpp"

namespace skep::containerd {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File();
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&&) = delete;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  explicit operator bool() const { return descriptor_ >= 0; }
  int number() const { return descriptor_; }

 private:
  int descriptor_;
};

// The failure that errno tells: EXHAUSTED when something is full, INTERNAL else.
sdk::Failure filling_failed(const std::string& what);

// The names in an open folder, without "." and "..". Throws Failure when they can't all be read: a
// list that was cut short must never be taken for an empty folder.
std::vector<std::string> names_in(int folder);

// Renames `name` from one open folder to another, unless something of that name is there: false
// then. Throws Failure. File systems that know no such rename (`how`; NFS, Ceph, 9p) are asked
// first whether the name is free.
bool move_if_free(int from, int to, const std::string& name, unsigned how = RENAME_NOREPLACE);

// Told by one thread and heard by another. [any-thread]
class Stop {
 public:
  Stop();
  void tell() const;
  // Throws Failure(SKEP_E_CANCELLED) once it was told.
  void check() const;
  int descriptor() const { return told_.number(); }  // readable once it was told

 private:
  bool is_told() const;
  File told_;
};

}  // namespace skep::containerd
