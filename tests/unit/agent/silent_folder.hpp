// A file system that takes every question and never answers: what a path on a dead server is like.
//
// FUSE with nobody behind it. Once its server has read a request, whoever asked can't even be
// killed, until the connection ends; this is what makes it a harder test than a hung NFS. The
// kernel's device is read by the test's own thread, when take() is called.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>

namespace skep::agent::test {

class SilentFolder {
 public:
  // `folder` exists.
  explicit SilentFolder(std::string folder) : folder_(std::move(folder)) {
    device_ = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    REQUIRE(device_ >= 0);
    const std::string options =
        "fd=" + std::to_string(device_) + ",rootmode=40000,user_id=0,group_id=0";
    REQUIRE(mount("silent", folder_.c_str(), "fuse", 0, options.c_str()) == 0);
    const auto* request = reinterpret_cast<const fuse_in_header*>(next());
    REQUIRE(request != nullptr);
    struct {
      fuse_out_header header;
      fuse_init_out init;
    } reply{};
    reply.header = {sizeof reply, 0, request->unique};
    reply.init.major = FUSE_KERNEL_VERSION;
    reply.init.minor = 31;
    reply.init.max_write = 4096;
    reply.init.flags = FUSE_PARALLEL_DIROPS;  // many at once in one folder
    REQUIRE(write(device_, &reply, sizeof reply) == sizeof reply);
  }
  ~SilentFolder() { end(); }
  SilentFolder(const SilentFolder&) = delete;
  SilentFolder& operator=(const SilentFolder&) = delete;

  // Takes what was asked meanwhile; how many questions there were so far.
  int take() {
    while (next() != nullptr) ++taken_;
    return taken_;
  }

  // The server dies: who waits gets an error, and so does who asks from now on.
  void die() {
    if (device_ >= 0) close(device_);
    device_ = -1;
  }

  // It is unmounted; what was there before can be seen again.
  void end() {
    die();
    if (!folder_.empty()) umount2(folder_.c_str(), MNT_DETACH);
    folder_.clear();
  }

  static bool can_be() {
    if (geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0) return true;
    WARN("skipped: a file system that does not answer needs root and /dev/fuse");
    return false;
  }

 private:
  // Nullptr: nothing was asked.
  const char* next() {
    return read(device_, request_.data(), request_.size()) > 0 ? request_.data() : nullptr;
  }

  std::string folder_;
  int device_ = -1;
  int taken_ = 0;
  alignas(fuse_in_header) std::array<char, FUSE_MIN_READ_BUFFER + 4096> request_{};
};

}  // namespace skep::agent::test
