// A disk in memory that fails in every way a real one does, from one seed.
//
// It is both halves of what a log store stands on: a SQLite VFS and a storage::FileSystem over the
// same files. What was written is seen at once but survives a power cut only as far as it was
// synced: of the rest, any subset of the 512-byte sectors is there after restart(), sizes may be
// the old ones, and of the names made, renamed and removed since the last sync of their folder some
// first few (a journaling file system keeps their order, and a rename is one step).
//
// A sync that fails loses what it should have written, as Linux does: the pages still read back,
// count as clean, and a later sync says that all is well.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "daemon/storage/file_system.hpp"

struct sqlite3_vfs;

namespace skep::testing {

class FaultyDisk {
 public:
  static constexpr size_t kSectorBytes = 512;

  enum class Operation { write, sync, name };  // name: made, renamed, removed, folder synced
  enum class Times { once, for_ever };
  // The n-th such operation from now on (1 is the next) of a file whose path ends in `suffix` fails
  // with EIO.
  struct Fault {
    Operation operation = Operation::write;
    uint64_t nth = 1;
    Times times = Times::once;
    std::string suffix;
  };

  explicit FaultyDisk(uint64_t seed);
  ~FaultyDisk();  // every store on it is closed
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  // Any thread from here on.
  const std::string& vfs() const { return vfs_name_; }
  storage::FileSystem& files() { return *files_; }

  // Every operation that changes the disk counts.
  uint64_t operations() const;
  uint64_t syncs() const;
  uint64_t bytes_written() const;

  void fail(Fault fault);
  void heal();  // forgets all faults
  // Writes beyond it are refused with ENOSPC.
  void set_capacity(uint64_t bytes);
  // Every sync blocks until release().
  void hang();
  void release();

  // That many operations are carried out, the one after may be half; then there is no power, and
  // everything fails until restart().
  void cut_power_after(uint64_t operations);
  // Cuts the power now, if it isn't cut, and comes back with what has survived.
  void restart();

  std::vector<std::string> paths() const;
  std::string content(const std::string& path) const;
  // Damage at rest, durable at once. Requires: the file exists.
  void flip_bit(const std::string& path, uint64_t bit);
  void set_content(const std::string& path, const std::string& content);
  void erase(const std::string& path);

 private:
  friend class FaultyFiles;
  friend class FaultyFile;
  friend struct FaultyVfs;

  struct Inode {
    std::string durable;
    std::string current;
    std::set<uint64_t> dirty;  // sectors of `current` that a sync would write
  };
  using Node = std::shared_ptr<Inode>;
  struct NameChange {
    std::string gone;   // empty: none
    std::string there;  // empty: none
    Node node;
  };
  enum class Outcome { done, failed, full };

  // All with the lock held.
  Outcome admit(Operation operation, const std::string& path);
  Outcome write(const std::string& path, Inode& inode, uint64_t offset, std::string_view bytes);
  Outcome truncate(const std::string& path, Inode& inode, uint64_t size);
  Outcome sync(const std::string& path, Inode& inode, std::unique_lock<std::mutex>& lock);
  Outcome change_name(const NameChange& change, const std::string& path);
  Outcome sync_folder(const std::string& folder);
  void sync_name(const std::string& path);
  static void apply(const NameChange& change, std::map<std::string, Node>* names);
  uint64_t used() const;
  static void forget_cached(Inode& inode);
  void survive(Inode& inode);
  bool coin(double probability);

  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::mt19937_64 random_;
  std::map<std::string, Node> names_;
  std::map<std::string, Node> durable_names_;
  std::vector<NameChange> name_changes_;  // since their folder was synced, in order
  std::vector<Fault> faults_;
  std::optional<uint64_t> operations_left_;
  bool powered_ = true;
  bool hanging_ = false;
  uint64_t capacity_ = uint64_t{1} << 30;
  uint64_t operations_ = 0;
  uint64_t syncs_ = 0;
  uint64_t bytes_written_ = 0;
  std::string vfs_name_;
  std::unique_ptr<storage::FileSystem> files_;
  std::unique_ptr<sqlite3_vfs> vfs_;
};

}  // namespace skep::testing
