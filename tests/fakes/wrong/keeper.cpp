// fork without exec in a process that may have threads: between the two only calls to the kernel,
// on texts that were made before.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/wrong/keeper.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {
namespace {

namespace fs = std::filesystem;

constexpr int lock_descriptor = 3;
constexpr int kill_rounds = 500;
constexpr int round_us = 10'000;
constexpr int cannot_run = 127;
constexpr const char* groups_root = "/sys/fs/cgroup";

[[noreturn]] void refuse(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// All that the two children need, made before the fork.
struct Prepared {
  const Launch& launch;
  std::string root, started, started_new, exited, exited_new;
  std::string beside_net, beside_files, beside_root;
  std::vector<std::string> group_lists;
  std::vector<std::pair<std::string, std::string>> mounts;  // source, where below the root
  std::vector<char*> argv, env;
};

// What is seen in place of the machine's root.
std::vector<std::pair<std::string, std::string>> mounts_of(const Launch& launch,
                                                           const std::string& root) {
  fs::create_directories(root);
  std::vector<std::pair<std::string, std::string>> all;
  for (const char* const name :
       {"/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc", "/proc", "/dev", "/tmp"}) {
    if (fs::exists(name)) all.emplace_back(name, root + name);
  }
  for (const auto& [source, target] : launch.binds) all.emplace_back(source, root + target);
  return all;
}

Prepared prepare(const Launch& launch) {
  const std::string beside = "/proc/" + std::to_string(launch.beside);
  Prepared all{launch,
               launch.folder + "/root",
               launch.folder + "/started",
               launch.folder + "/started.new",
               launch.folder + "/exit",
               launch.folder + "/exit.new",
               beside + "/ns/net",
               beside + "/ns/mnt",
               beside + "/root",
               {},
               {},
               {},
               {}};
  for (const std::string& group : launch.cgroups) {
    fs::create_directories(group);
    all.group_lists.push_back(group + "/cgroup.procs");
  }
  if (launch.beside == 0) all.mounts = mounts_of(launch, all.root);
  const auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
    list.push_back(nullptr);
    return list;
  };
  all.argv = pointers(launch.argv);
  all.env = pointers(launch.env);
  return all;
}

void write_down(const std::string& fresh, const std::string& path, int first, int second) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  char text[96];
  const int size = std::snprintf(text, sizeof text, "%d %d %ld %ld\n", first, second,
                                 static_cast<long>(now.tv_sec), now.tv_nsec);
  const int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool whole = file >= 0 && write(file, text, static_cast<size_t>(size)) == size;
  close(file);
  if (whole) rename(fresh.c_str(), path.c_str());
}

bool in_a_view_of_its_own(const Prepared& all) {
  const int netns = open(all.launch.netns.c_str(), O_RDONLY | O_CLOEXEC);
  if (setns(netns, CLONE_NEWNET) != 0 || unshare(CLONE_NEWNS) != 0) return false;
  mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr);
  if (mount("none", all.root.c_str(), "tmpfs", 0, nullptr) != 0) return false;
  for (const auto& [source, target] : all.mounts) {
    mkdir(target.c_str(), 0755);
    if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
      return false;
    }
  }
  return chroot(all.root.c_str()) == 0;
}

bool beside_another(const Prepared& all) {
  const int net = open(all.beside_net.c_str(), O_RDONLY | O_CLOEXEC);
  const int files = open(all.beside_files.c_str(), O_RDONLY | O_CLOEXEC);
  const int root = open(all.beside_root.c_str(), O_PATH | O_CLOEXEC);
  return setns(net, CLONE_NEWNET) == 0 && setns(files, CLONE_NEWNS) == 0 && fchdir(root) == 0 &&
         chroot(".") == 0;
}

// Its first three files, which are of the host's view.
bool with_files(const Launch& launch) {
  const std::pair<const std::string*, int> files[] = {
      {&launch.input, O_RDONLY},
      {&launch.output, wrong("nobody-reads-the-output") ? O_RDWR : O_WRONLY},
      {&launch.errors, O_WRONLY}};
  for (int number = 0; number < lock_descriptor; ++number) {
    const auto& [path, mode] = files[number];
    if (path->empty()) continue;
    const int file = open(path->c_str(), mode | O_CLOEXEC);
    if (file < 0 || dup2(file, number) < 0) return false;
  }
  return true;
}

[[noreturn]] void be_the_program(const Prepared& all, int gate) {
  char go = 0;
  if (read(gate, &go, 1) != 1 || !with_files(all.launch)) _exit(cannot_run);
  if (!(all.launch.beside == 0 ? in_a_view_of_its_own(all) : beside_another(all))) {
    _exit(cannot_run);
  }
  if (chdir(all.launch.working_dir.c_str()) != 0) _exit(cannot_run);
  execve(all.launch.program.c_str(), all.argv.data(), all.env.data());
  _exit(cannot_run);
}

[[noreturn]] void be_the_keeper(const Prepared& all, int lock) {
  setsid();
  if (fork() != 0) _exit(0);
  dup2(lock, lock_descriptor);
  close_range(lock_descriptor + 1, ~0U, 0);
  const int nothing = open("/dev/null", O_RDWR);
  for (int i = 0; i < lock_descriptor; ++i) dup2(nothing, i);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  int gate[2];
  if (pipe2(gate, O_CLOEXEC) != 0) _exit(1);
  const pid_t program = fork();
  if (program < 0) _exit(1);
  if (program == 0) {
    close(lock_descriptor);
    close(gate[1]);
    be_the_program(all, gate[0]);
  }
  char number[24];
  const int size = std::snprintf(number, sizeof number, "%d", program);
  for (const std::string& list : all.group_lists) {
    const int group = open(list.c_str(), O_WRONLY | O_CLOEXEC);
    if (write(group, number, static_cast<size_t>(size)) != size) _exit(1);  // the gate stays shut
  }
  write_down(all.started_new, all.started, program, getpid());
  if (write(gate[1], "", 1) != 1) _exit(1);
  close(lock_descriptor);
  int status = 0;
  while (waitpid(program, &status, 0) < 0 && errno == EINTR) {
  }
  write_down(all.exited_new, all.exited,
             WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), 0);
  _exit(0);
}

bool unified() {
  return fs::exists(fs::path(groups_root) / "cgroup.controllers");
}

// Into a file that is there.
void write_text(const fs::path& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) refuse(path);
  const ssize_t written = write(file, text.data(), text.size());
  const int reason = errno;
  close(file);
  errno = reason;
  if (written != static_cast<ssize_t>(text.size())) refuse(path);
}

int lock_of(const std::string& folder) {
  const std::string path = folder + "/lock";
  const int lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) refuse(path);
  return lock;
}

}  // namespace

void settle(const std::string& folder) {
  close(lock_of(folder));
}

bool launch(const Launch& launch) {
  const int lock = lock_of(launch.folder);
  const bool first = !started_of(launch.folder);
  if (first) {
    const Prepared all = prepare(launch);
    const pid_t between = fork();
    if (between == 0) be_the_keeper(all, lock);
    if (between > 0) waitpid(between, nullptr, 0);
  }
  close(lock);
  settle(launch.folder);
  return first;
}

std::optional<Started> started_of(const std::string& folder) {
  std::ifstream file(folder + "/started");
  Started all;
  if (!(file >> all.pid >> all.keeper >> all.at.seconds >> all.at.nanoseconds)) return std::nullopt;
  return all;
}

std::optional<Exit> exit_of(const std::string& folder) {
  std::ifstream file(folder + "/exit");
  Exit all;
  int unused = 0;
  if (!(file >> all.code >> unused >> all.at.seconds >> all.at.nanoseconds)) return std::nullopt;
  return all;
}

std::string process_group(const std::string& path) {
  return std::string(groups_root) + (unified() ? "" : "/pids") + path;
}

std::string memory_group(const std::string& path) {
  return std::string(groups_root) + (unified() ? "" : "/memory") + path;
}

void limit_memory(const std::string& path, int64_t bytes) {
  const fs::path group = memory_group(path);
  fs::create_directories(group);
  if (unified()) {
    for (fs::path above = groups_root; const fs::path& part : fs::path(path).relative_path()) {
      write_text(above / "cgroup.subtree_control", "+memory");
      above /= part;
    }
  }
  write_text(group / (unified() ? "memory.max" : "memory.limit_in_bytes"), std::to_string(bytes));
}

bool ran_out_of_memory(const std::string& path) {
  std::ifstream file(fs::path(memory_group(path)) /
                     (unified() ? "memory.events" : "memory.oom_control"));
  std::string word;
  for (int64_t value = 0; file >> word >> value;) {
    if (word == "oom_kill") return value > 0;
  }
  return false;
}

std::vector<pid_t> processes_in(const std::string& cgroup) {
  std::vector<pid_t> found;
  std::ifstream list(cgroup + "/cgroup.procs");
  for (pid_t pid = 0; list >> pid;) found.push_back(pid);
  return found;
}

bool end_group(const std::string& cgroup) {
  for (int round = 0; round < kill_rounds; ++round) {
    for (const pid_t pid : processes_in(cgroup)) kill(pid, SIGKILL);
    if (rmdir(cgroup.c_str()) == 0 || errno == ENOENT) return true;
    usleep(round_us);
  }
  return false;
}

}  // namespace wrong_driver
