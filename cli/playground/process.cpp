// /proc, pidfds and fork for the playground.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgot it in this one header
#include <sys/pidfd.h>
}

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kPollInterval{15};
constexpr size_t kOutputBytesMax = 1024 * 1024;
constexpr size_t kTailLines = 15;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

std::string reason(int error) {
  return std::error_code(error, std::generic_category()).message();
}

// A process may end while its files are read: the read fails then. `<<` takes that as the end of
// the text, where an iterator over the buffer would throw.
std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

std::optional<Process> read_process(pid_t pid) {
  const fs::path base = "/proc/" + std::to_string(pid);
  const std::string stat = slurp(base / "stat");
  const size_t name_end = stat.rfind(')');  // the name may itself hold blanks and parentheses
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  Process process{.pid = pid};
  fields >> process.state >> process.parent;
  std::string skipped;
  for (int field = 5; field < 22; ++field) fields >> skipped;
  fields >> process.start_time;
  if (!fields || process.state == 'Z' || process.state == 'X') return std::nullopt;
  std::istringstream arguments(slurp(base / "cmdline"));
  for (std::string one; std::getline(arguments, one, '\0');) process.arguments.push_back(one);
  std::error_code error;
  process.pid_namespace = fs::read_symlink(base / "ns/pid", error).string();
  return process;
}

// -1 with errno ESRCH when that process is gone, even if its pid is in use again.
int open_same(const Process& process) {
  const int fd = pidfd_open(process.pid, 0);
  if (fd < 0) return -1;
  const std::optional<Process> now = read_process(process.pid);
  if (now && now->start_time == process.start_time) return fd;
  ::close(fd);
  errno = ESRCH;
  return -1;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

[[noreturn]] void die(const char* what) {
  dprintf(STDERR_FILENO, "skep playground: %s: %s\n", what, std::strerror(errno));
  _exit(127);
}

// The half of spawn_detached that runs in the forked child; it never returns.
[[noreturn]] void become_detached(const DetachedOptions& options, char* const* arguments,
                                  char* const* environment) {
  const int log = open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int null = open("/dev/null", O_RDONLY);
  if (log < 0 || null < 0) die("log file");
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  if (setsid() < 0) die("setsid");
  if (!options.netns.empty()) {
    const int netns = open(("/run/netns/" + options.netns).c_str(), O_RDONLY);
    if (netns < 0 || setns(netns, CLONE_NEWNET) != 0) die("entering the network namespace");
  }
  if (options.own_namespaces && unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID) != 0) {
    die("making namespaces");
  }
  close_range(3, ~0U, 0);
  if (chdir("/") != 0) die("chdir");
  umask(022);
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child > 0) _exit(0);
  execve(arguments[0], arguments, environment);
  die(arguments[0]);
}

}  // namespace

std::vector<Process> list_processes() {
  std::vector<Process> all;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    pid_t pid = 0;
    const auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || rest != name.data() + name.size()) continue;
    if (std::optional<Process> process = read_process(pid)) all.push_back(std::move(*process));
  }
  return all;
}

std::vector<Process> find_processes(const std::vector<std::string>& arguments_after_program) {
  std::vector<Process> found;
  for (Process& process : list_processes()) {
    if (!process.arguments.empty() &&
        std::equal(process.arguments.begin() + 1, process.arguments.end(),
                   arguments_after_program.begin(), arguments_after_program.end())) {
      found.push_back(std::move(process));
    }
  }
  return found;
}

Status send_signal(const Process& process, int signal) {
  const FileDescriptor fd(open_same(process));
  if (fd.get() >= 0 && pidfd_send_signal(fd.get(), signal, nullptr, 0) == 0) return {};
  if (errno == ESRCH) return {};
  return fail(ErrorKind::internal,
              "can't signal process " + std::to_string(process.pid) + ": " + reason(errno));
}

Status kill_and_wait(const Process& process, milliseconds limit) {
  const FileDescriptor fd(open_same(process));
  if (fd.get() < 0) {
    if (errno == ESRCH) return {};
    return fail(ErrorKind::internal,
                "can't open process " + std::to_string(process.pid) + ": " + reason(errno));
  }
  if (pidfd_send_signal(fd.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return fail(ErrorKind::internal,
                "can't kill process " + std::to_string(process.pid) + ": " + reason(errno));
  }
  pollfd wait{.fd = fd.get(), .events = POLLIN, .revents = 0};
  if (poll(&wait, 1, static_cast<int>(limit.count())) == 1) return {};
  return fail(ErrorKind::deadline, "process " + std::to_string(process.pid) +
                                       " was killed but has not ended after " +
                                       std::to_string(limit.count()) + " ms");
}

bool wait_until(milliseconds limit, const std::function<bool()>& state) {
  const Clock::time_point deadline = Clock::now() + limit;
  while (!state()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPollInterval);
  }
  return true;
}

std::vector<std::string> plain_environment() {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
          "LANG=C.UTF-8"};
}

Result<std::string> run(const std::vector<std::string>& arguments, milliseconds limit) {
  std::vector<std::string> words = arguments;
  std::vector<std::string> environment = plain_environment();
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(environment);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorKind::internal, "pipe: " + reason(errno));
  FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  const pid_t child = fork();
  if (child < 0) return fail(ErrorKind::internal, "fork: " + reason(errno));
  if (child == 0) {
    dup2(write_end.get(), STDOUT_FILENO);
    dup2(write_end.get(), STDERR_FILENO);
    execvpe(argv[0], argv.data(), envp.data());
    die(argv[0]);
  }
  write_end.close();
  std::string output;
  bool in_time = true;
  const Clock::time_point deadline = Clock::now() + limit;
  for (char buffer[4096]; in_time;) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    pollfd wait{.fd = read_end.get(), .events = POLLIN, .revents = 0};
    in_time = left > 0 && poll(&wait, 1, static_cast<int>(left)) == 1;
    if (!in_time) break;
    const ssize_t count = read(read_end.get(), buffer, sizeof buffer);
    if (count <= 0) break;
    if (output.size() < kOutputBytesMax) output.append(buffer, static_cast<size_t>(count));
  }
  if (!in_time) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  std::string command;
  for (const std::string& word : arguments) command += (command.empty() ? "" : " ") + word;
  while (output.ends_with('\n')) output.pop_back();
  return fail(in_time ? ErrorKind::internal : ErrorKind::deadline,
              "`" + command + "` failed: " + (in_time ? output : "it took too long"));
}

Status spawn_detached(const DetachedOptions& options) {
  std::vector<std::string> words = options.arguments;
  std::vector<std::string> environment = plain_environment();
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(environment);
  const pid_t child = fork();
  if (child < 0) return fail(ErrorKind::internal, "fork: " + reason(errno));
  if (child == 0) become_detached(options, argv.data(), envp.data());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  show_log_tail(options.log);
  return fail(ErrorKind::internal, "can't start " + options.arguments.front());
}

void show_log_tail(const fs::path& log) {
  std::ifstream in(log);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
    if (lines.size() > kTailLines) lines.pop_front();
  }
  if (lines.empty()) return;
  std::fprintf(stderr, "--- the end of %s:\n", log.c_str());
  for (const std::string& line : lines) std::fprintf(stderr, "%s\n", line.c_str());
  std::fprintf(stderr, "---\n");
}

}  // namespace skep::cli::playground
