// A plain process as a container: in a network namespace that is given, control groups, and a view
// of the files with the bind mounts that were asked for; no image, no other isolation. A further
// process in a container is another one beside it.
//
// Between the driver and the process stands a keeper, a process of nobody's that waits for the end
// and writes it down, so that a driver that died and came back can tell it. All that is known is in
// the container's folder; a lock there is held from the decision to start until `started` is
// written.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wrong_driver {

struct Launch {
  std::string folder;                // the container's, or the further process's; there
  std::vector<std::string> cgroups;  // the folders of its control groups; made
  std::string program;               // absolute
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string netns;
  std::string working_dir;
  std::vector<std::pair<std::string, std::string>> binds;  // source, target
  // What it has as its first three files; empty: nothing. FIFOs are waited for.
  std::string input, output, errors;
  // A process whose namespaces and files it shares, in place of `netns` and `binds`; 0: none.
  pid_t beside = 0;
};

struct Moment {
  long seconds = 0;
  long nanoseconds = 0;
};
struct Started {
  pid_t pid = 0;
  pid_t keeper = 0;
  Moment at;
};
struct Exit {
  int code = 0;
  Moment at;
};

// Starts it unless it was started; true: this call did. Waits for a start that is under way.
// Throws std::system_error.
bool launch(const Launch& launch);
// Waits until no start is under way.
void settle(const std::string& folder);
// What the files say; nothing: not yet.
std::optional<Started> started_of(const std::string& folder);
std::optional<Exit> exit_of(const std::string& folder);

// The folders of control groups, for a path as a request names it: where its processes are counted,
// and where its memory is; the same one where there is one hierarchy.
std::string process_group(const std::string& path);
std::string memory_group(const std::string& path);
// Makes the memory group and sets the most that all in it may have. Throws std::system_error.
void limit_memory(const std::string& path, int64_t bytes);
// Whether something was killed for want of memory there; false without a group.
bool ran_out_of_memory(const std::string& path);

std::vector<pid_t> processes_in(const std::string& cgroup);
// Kills what is in the group until it is gone, and the group with it; false: it stayed for 5 s.
bool end_group(const std::string& cgroup);

}  // namespace wrong_driver
