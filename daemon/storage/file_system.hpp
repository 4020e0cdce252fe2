// The one seam to the machine's file system for everything of the log that is not SQLite's.
//
// Snapshots, the key file and the ballast go through it, so that a test can hand in a disk that
// loses what was not synced, fills up or fails. SQLite has the same seam of its own (its VFS).
// Nothing here is durable before it was synced: a file's content by File::sync, its name by
// sync_folder. Calls block; one thread at a time. Errors are ErrorKind::unavailable, as a disk may
// do better later, unless said otherwise.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace skep::storage {

class File {
 public:
  virtual ~File() = default;
  // All of it or an error; ErrorKind::exhausted when the disk or the quota is full.
  virtual Status write(uint64_t offset, std::string_view bytes) = 0;
  // Fewer than `size` bytes only at the end of the file.
  virtual Result<std::string> read(uint64_t offset, size_t size) = 0;
  // Once it has failed, what was written before may be gone even if it is called again.
  virtual Status sync() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // For reading and writing, mode 0600; what was there is cut off.
  virtual Result<std::unique_ptr<File>> create(const std::string& path) = 0;
  // For reading. ErrorKind::not_found if there is none.
  virtual Result<std::unique_ptr<File>> open(const std::string& path) = 0;
  // For reading and writing; what is there stays. ErrorKind::not_found if there is none.
  virtual Result<std::unique_ptr<File>> edit(const std::string& path) = 0;
  // An empty file of mode 0600, if there is none; what is in one that exists stays.
  virtual Status touch(const std::string& path) = 0;
  // Takes the place of `to` in one step.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  // One that is not there is fine.
  virtual Status remove(const std::string& path) = 0;
  // Mode 0700; one that exists is fine.
  virtual Status make_folder(const std::string& path) = 0;
  virtual Status sync_folder(const std::string& path) = 0;
  // What is read next is what the disk holds. After a failed sync, memory may hold what the disk
  // does not, counted as written. One that is not there is fine.
  virtual Status forget_cached(const std::string& path) = 0;
  // Names, without a path, in rising order.
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
  // Makes a file that really owns that many bytes of the disk.
  virtual Status allocate(const std::string& path, uint64_t bytes) = 0;
  // What this process may still write to the disk under `folder`.
  virtual Result<uint64_t> free_bytes(const std::string& folder) = 0;
};

std::unique_ptr<FileSystem> machine_files();

// The folder a file is in; "." for a bare name.
std::string folder_of(const std::string& path);

// Puts `content` in the place of the file at `path`: after a crash there is the old one or the new
// one, whole. Uses `path`.tmp.
Status replace_file(FileSystem& files, const std::string& path, std::string_view content);

}  // namespace skep::storage
