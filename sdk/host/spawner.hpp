// The one thread that starts helper processes, and why there is one.
//
// A helper asks the kernel to be killed when its parent dies (PR_SET_PDEATHSIG). The kernel's idea
// of the parent is the *thread* that made the process: a helper spawned from a worker of a pool
// dies when that worker ends, while the host lives on. So one thread spawns them all; it is started
// on first use and never ends. tests/unit/plugin_host shows both.
//
// The thread is of use to the dead as well: a process that does not end at once when it is killed
// (a disk that does not answer) is left to it, so that nobody waits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "core/model/result.hpp"

namespace skep::host {

struct ChildPlan {
  std::string program;  // path
  std::string name;     // argv[1], for whoever lists processes
  // Descriptors of the caller's, which stay its own; the child gets copies.
  int socket = -1;  // becomes 3
  int file = -1;    // becomes 4
  int output = -1;  // becomes 1 and 2
};

struct Child {
  pid_t pid = -1;
  int pidfd = -1;  // the caller's to close
};

// Starts the process on the permanent thread; it has executed the program when this returns, or the
// error says why not. Everything but the five descriptors is closed in it, its signals are at their
// defaults, and it has a session of its own, so that Ctrl-C in a terminal is the daemon's alone.
// Blocks for about a millisecond. [any thread]
Result<Child> spawn_child(const ChildPlan& plan);

// The same on the thread that calls, with which the child dies. For the test that shows it.
Result<Child> spawn_child_here(const ChildPlan& plan);

// Reaps a process that was killed, at once or later; takes `pidfd` over. Never blocks. [any thread]
void reap_later(int pidfd);

}  // namespace skep::host
