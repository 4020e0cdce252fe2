// Processes as the playground sees them: start one apart, run one to its end, find them again, end
// them.
//
// There are no pid files. A process is found by the exact arguments it was started with, read from
// /proc, and is signalled through a pidfd that was checked against those arguments: a recycled pid
// is never hit, and a process whose starter was killed half-way is found all the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/model/result.hpp"

namespace skep::cli::playground {

using std::chrono::milliseconds;

// A process as it was at one look; a zombie never appears.
struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';                    // as in /proc/PID/stat
  uint64_t start_time = 0;             // clock ticks since boot: with the pid, its identity
  std::vector<std::string> arguments;  // empty for kernel threads
  std::string pid_namespace;           // "pid:[4026531836]"; empty if it can't be read
};

std::vector<Process> list_processes();

// The processes whose arguments, program path left out, are exactly these.
std::vector<Process> find_processes(const std::vector<std::string>& arguments_after_program);

// Sends a signal unless the process has ended since it was seen (which is no error).
Status send_signal(const Process& process, int signal);

// SIGKILL, then waits until it has ended. For the init of a PID namespace that is when the last
// process in it has.
Status kill_and_wait(const Process& process, milliseconds limit);

// Polls until `state` holds; `false` at the deadline. For states nobody announces.
bool wait_until(milliseconds limit, const std::function<bool()>& state);

// Runs a program to its end; its output (stdout and stderr together) is the value, a non-zero exit
// an error that holds it. Killed at the deadline.
Result<std::string> run(const std::vector<std::string>& arguments, milliseconds limit);

struct DetachedOptions {
  std::vector<std::string> arguments;  // the first is the program's absolute path
  std::filesystem::path log;           // stdout and stderr are appended to it
  std::string netns;                   // a name in /run/netns
  bool own_namespaces = false;         // new mount, UTS and PID namespaces: it becomes PID 1
};

// Starts a program with no parent, terminal or open file of ours, and with a fixed small
// environment (so that a proxy or a DOCKER_HOST of the caller reaches no node).
Status spawn_detached(const DetachedOptions& options);

// The environment of all programs of a playground, for exec.
std::vector<std::string> plain_environment();

// The last lines of a log, to stderr, for a person looking for the reason of a failure.
void show_log_tail(const std::filesystem::path& log);

}  // namespace skep::cli::playground
