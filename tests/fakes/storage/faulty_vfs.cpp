// A SQLite VFS without locks and shared memory (one connection, exclusive mode) over a FaultyDisk.
//
// It promises what SQLite's own VFS for Unix promises: a write does not harm the bytes beside it
// (powersafe overwrite), and nothing about atomic or ordered writes.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/storage/faulty_vfs.hpp"

#include <sqlite3.h>

#include <cstdio>
#include <cstring>
#include <new>

#include "tests/fakes/storage/faulty_disk.hpp"

namespace skep::testing {

// A friend of the disk: all of it works on its inodes.
struct FaultyVfs {
  struct File {
    sqlite3_file base;
    FaultyDisk* disk;
    std::string path;
    FaultyDisk::Node node;
    bool journal;
    int keeps_log = 0;
  };
  static File& self(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static FaultyDisk& disk(sqlite3_vfs* vfs) { return *static_cast<FaultyDisk*>(vfs->pAppData); }

  static int code(FaultyDisk::Outcome outcome, int failure) {
    if (outcome == FaultyDisk::Outcome::full) return SQLITE_FULL;
    return outcome == FaultyDisk::Outcome::done ? SQLITE_OK : failure;
  }

  static int close(sqlite3_file* file) {
    self(file).~File();
    return SQLITE_OK;
  }
  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
    const std::unique_lock lock(self(file).disk->mutex_);
    if (!self(file).disk->powered_) return SQLITE_IOERR_READ;
    const std::string& all = self(file).node->current;
    const auto at = static_cast<size_t>(offset);
    const auto want = static_cast<size_t>(size);
    const size_t have = at >= all.size() ? 0 : std::min(want, all.size() - at);
    if (have != 0) std::memcpy(to, all.data() + at, have);
    std::memset(static_cast<char*>(to) + have, 0, want - have);
    return have == want ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
    const std::unique_lock lock(self(file).disk->mutex_);
    const std::string_view bytes(static_cast<const char*>(from), static_cast<size_t>(size));
    return code(self(file).disk->write(self(file).path, *self(file).node,
                                       static_cast<uint64_t>(offset), bytes),
                SQLITE_IOERR_WRITE);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    const std::unique_lock lock(self(file).disk->mutex_);
    return code(
        self(file).disk->truncate(self(file).path, *self(file).node, static_cast<uint64_t>(size)),
        SQLITE_IOERR_TRUNCATE);
  }
  static int sync(sqlite3_file* file, int) {
    std::unique_lock lock(self(file).disk->mutex_);
    const auto outcome = self(file).disk->sync(self(file).path, *self(file).node, lock);
    if (outcome == FaultyDisk::Outcome::done && self(file).journal) {
      self(file).disk->sync_name(self(file).path);
    }
    return code(outcome, SQLITE_IOERR_FSYNC);
  }
  static int size(sqlite3_file* file, sqlite3_int64* size) {
    const std::unique_lock lock(self(file).disk->mutex_);
    *size = static_cast<sqlite3_int64>(self(file).node->current.size());
    return SQLITE_OK;
  }
  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int check_lock(sqlite3_file*, int* held) {
    *held = 0;
    return SQLITE_OK;
  }
  // As SQLite's VFS for Unix: asked with a negative number, told with any other.
  static int control(sqlite3_file* file, int operation, void* argument) {
    if (operation != SQLITE_FCNTL_PERSIST_WAL) return SQLITE_NOTFOUND;
    int& keep = *static_cast<int*>(argument);
    if (keep < 0) {
      keep = self(file).keeps_log;
    } else {
      self(file).keeps_log = keep;
    }
    return SQLITE_OK;
  }
  static int sector_size(sqlite3_file*) { return FaultyDisk::kSectorBytes; }
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags,
                  int* flags_out) {
    static constexpr sqlite3_io_methods kMethods = {
        1,       close,      read,    write,       truncate,        sync,    size,    lock,
        lock,    check_lock, control, sector_size, characteristics, nullptr, nullptr, nullptr,
        nullptr, nullptr,    nullptr};
    file->pMethods = nullptr;
    FaultyDisk& on = disk(vfs);
    const std::unique_lock held(on.mutex_);
    if (!on.powered_ || name == nullptr) return SQLITE_CANTOPEN;
    const std::string path = name;
    if (on.names_.count(path) == 0) {
      if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
      const auto made = std::make_shared<FaultyDisk::Inode>();
      const auto outcome = on.change_name({"", path, made}, path);
      if (outcome != FaultyDisk::Outcome::done) return SQLITE_CANTOPEN;
    }
    constexpr int kJournals =
        SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
    new (file) File{{&kMethods}, &on, path, on.names_.at(path), (flags & kJournals) != 0};
    if (flags_out != nullptr) *flags_out = flags;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
    FaultyDisk& on = disk(vfs);
    const std::unique_lock held(on.mutex_);
    if (on.names_.count(name) == 0) return SQLITE_IOERR_DELETE_NOENT;
    auto outcome = on.change_name({name, "", nullptr}, name);
    if (outcome == FaultyDisk::Outcome::done && sync_folder != 0) {
      outcome = on.sync_folder(storage::folder_of(name));
    }
    return code(outcome, SQLITE_IOERR_DELETE);
  }
  static int access(sqlite3_vfs* vfs, const char* name, int, int* found) {
    FaultyDisk& on = disk(vfs);
    const std::unique_lock held(on.mutex_);
    *found = on.names_.count(name) != 0 ? 1 : 0;
    return SQLITE_OK;
  }
  static int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
    std::snprintf(out, static_cast<size_t>(size), "%s", name);
    return SQLITE_OK;
  }
  static int randomness(sqlite3_vfs*, int size, char* out) {
    std::memset(out, 4, static_cast<size_t>(size));
    return size;
  }
  static int sleep(sqlite3_vfs*, int microseconds) { return microseconds; }
  static int time(sqlite3_vfs*, double* julian_day) {
    *julian_day = 2460000.5;
    return SQLITE_OK;
  }
};

std::string unique_vfs_name(const FaultyDisk* disk) {
  char name[40];
  std::snprintf(name, sizeof name, "faulty-disk-%p", static_cast<const void*>(disk));
  return name;
}

std::unique_ptr<sqlite3_vfs> register_vfs(FaultyDisk& disk, const std::string& name) {
  auto vfs = std::make_unique<sqlite3_vfs>();
  *vfs = {};
  vfs->iVersion = 1;
  vfs->szOsFile = sizeof(FaultyVfs::File);
  vfs->mxPathname = 512;
  vfs->zName = name.c_str();
  vfs->pAppData = &disk;
  vfs->xOpen = FaultyVfs::open;
  vfs->xDelete = FaultyVfs::remove;
  vfs->xAccess = FaultyVfs::access;
  vfs->xFullPathname = FaultyVfs::full_path;
  vfs->xRandomness = FaultyVfs::randomness;
  vfs->xSleep = FaultyVfs::sleep;
  vfs->xCurrentTime = FaultyVfs::time;
  const int registered = sqlite3_vfs_register(vfs.get(), 0);
  SKEP_ASSERT(registered == SQLITE_OK, "a VFS can be registered");
  return vfs;
}

}  // namespace skep::testing
