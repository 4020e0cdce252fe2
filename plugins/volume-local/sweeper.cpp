// unlink, rename, rmdir.
// SPDX-License-Identifier: Apache-2.0
#include "sweeper.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <system_error>

#include "mounts.hpp"
#include "skep/cpp/volume.hpp"

namespace skep::volume_local {
namespace {

struct Closer {
  void operator()(DIR* folder) const { closedir(folder); }
};
using Folder = std::unique_ptr<DIR, Closer>;

[[noreturn]] void fail(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), path);
}

// Empty when there is none: the driver of an earlier process may still delete the same tree.
Folder open_folder(int in, const std::string& name) {
  const int descriptor = openat(in, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) return nullptr;
  if (descriptor < 0) fail(name);
  Folder folder(fdopendir(descriptor));
  if (!folder) {
    const int number = errno;
    close(descriptor);
    errno = number;
    fail(name);
  }
  return folder;
}

// Moves the folder `name` of `from` to `top`, by a name that is free there or an empty folder's,
// which may go as well.
void move_up(int from, const std::string& name, int top, uint64_t& last) {
  for (;;) {
    const std::string free = ".sweep-" + std::to_string(++last);
    if (renameat(from, name.c_str(), top, free.c_str()) == 0 || errno == ENOENT) return;
    if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) fail(name);
  }
}

// Calls `each` with every name in the folder, until none comes that wasn't there before; true when
// it is to go on.
template <class Each>
bool for_each_name(DIR* folder, Each each) {
  rewinddir(folder);
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(folder);
    if (entry == nullptr && errno != 0) fail("reading a folder");
    if (entry == nullptr) return true;
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !each(name)) return false;
  }
}

// True when `name` was no folder, and is gone.
bool unlinked(int in, const std::string& name) {
  if (unlinkat(in, name.c_str(), 0) == 0 || errno == ENOENT) return true;
  if (errno == EISDIR) return false;
  fail(name);
}

// True when `name` was an empty folder, and is gone.
bool removed(int in, const std::string& name) {
  if (unlinkat(in, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno == ENOTEMPTY || errno == EEXIST) return false;
  fail(name);
}

}  // namespace

Sweeper::~Sweeper() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Sweeper::sweep(std::string path) {
  const std::scoped_lock lock(mutex_);
  paths_.push_back(std::move(path));
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  changed_.notify_all();
}

bool Sweeper::is_stopping() {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

void Sweeper::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !paths_.empty(); });
    if (stopping_) return;
    const std::string path = std::move(paths_.front());
    paths_.pop_front();
    lock.unlock();
    try {
      delete_tree(path);
    } catch (const std::exception& error) {
      log_(SKEP_LOG_WARNING,
           path + " can't be deleted, and is tried again at the next start: " + error.what());
    }
    lock.lock();
  }
}

void Sweeper::delete_tree(const std::string& path) {
  unmount_below(path, false);
  const Folder top = open_folder(AT_FDCWD, path);
  if (!top) return;
  const int top_number = dirfd(top.get());
  uint64_t last = 0;
  // Empties one folder of the top; what it holds of folders comes to the top.
  const auto empty = [&](const std::string& name) {
    const Folder folder = open_folder(top_number, name);
    if (!folder) return true;
    const int number = dirfd(folder.get());
    return for_each_name(folder.get(), [&](const std::string& below) {
      if (is_stopping()) return false;
      if (!unlinked(number, below) && !removed(number, below)) {
        move_up(number, below, top_number, last);
      }
      return true;
    });
  };
  bool more = true;
  while (more) {
    more = false;
    const bool seen = for_each_name(top.get(), [&](const std::string& name) {
      if (is_stopping()) return false;
      more = true;
      if (unlinked(top_number, name) || removed(top_number, name)) return true;
      return empty(name);  // the next round removes it
    });
    if (!seen) return;
  }
  if (rmdir(path.c_str()) != 0 && errno != ENOENT) fail(path);
}

}  // namespace skep::volume_local
