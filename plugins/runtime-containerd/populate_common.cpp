// Descriptors, errors, and an eventfd.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/populate_common.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace skep::containerd {

File::~File() {
  if (descriptor_ >= 0) close(descriptor_);
}

sdk::Failure filling_failed(const std::string& what) {
  const int why = errno;
  const skep_status code = why == ENOSPC || why == EDQUOT ? SKEP_E_EXHAUSTED : SKEP_E_INTERNAL;
  return sdk::Failure(code, "filling the empty volume: " + what + ": " + std::strerror(why));
}

std::vector<std::string> names_in(int folder) {
  const int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> list(again < 0 ? nullptr : fdopendir(again), &closedir);
  if (!list) throw filling_failed("reading its folder");
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(list.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) throw filling_failed("reading its folder");
  return names;
}

bool move_if_free(int from, int to, const std::string& name, unsigned how) {
  if (renameat2(from, name.c_str(), to, name.c_str(), how) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EINVAL) throw filling_failed(name);
  struct stat there {};
  if (fstatat(to, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0) return false;
  if (errno != ENOENT || renameat(from, name.c_str(), to, name.c_str()) != 0) {
    throw filling_failed(name);
  }
  return true;
}

Stop::Stop() : told_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!told_) throw filling_failed("eventfd");
}

void Stop::tell() const {
  eventfd_write(told_.number(), 1);  // fails only when it was told 2^64 times
}

bool Stop::is_told() const {
  pollfd told = {told_.number(), POLLIN, 0};
  return poll(&told, 1, 0) == 1;
}

void Stop::check() const {
  if (is_told()) throw sdk::Failure(SKEP_E_CANCELLED, "filling the empty volume was ended");
}

}  // namespace skep::containerd
