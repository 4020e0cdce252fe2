// The process's last words, if any.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/process/leave.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace skep::host {
namespace {

constexpr int exit_host_gone = 0;
constexpr int exit_cut_off = 3;

}  // namespace

void leave(int error) {
  if (error != EBADF && error != ENOTSOCK) _exit(exit_host_gone);
  std::fputs("skep-plugin-host: the driver has closed descriptor 3, which is not its own\n",
             stderr);
  _exit(exit_cut_off);
}

}  // namespace skep::host
