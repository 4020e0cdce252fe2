// PID 1 of a node: mounts first, then one poll loop over the control socket and SIGCHLD.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/node_init.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <system_error>

#include "cli/playground/process.hpp"

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

constexpr time_t kControlSeconds = 10;  // to say or hear one line
constexpr size_t kLineBytesMax = 200;

Error last_error(const std::string& what) {
  return {ErrorKind::internal,
          what + ": " + std::error_code(errno, std::generic_category()).message()};
}

// A copy of the host's mounts holds the network namespaces of all other nodes; let go of them, or a
// node's namespace would live on in the mounts of its neighbours after it was deleted.
Status let_go_of_namespaces() {
  std::vector<std::string> points;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string skipped, point;
    fields >> skipped >> skipped >> skipped >> skipped >> point;
    if (point.starts_with("/run/netns/")) points.push_back(point);
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (umount2(point->c_str(), MNT_DETACH) != 0) return fail(last_error("unmounting " + *point));
  }
  return {};
}

Status mount_over(const char* type, const fs::path& target, const char* options) {
  if (mount(type, target.c_str(), type, MS_NOSUID | MS_NODEV, options) != 0) {
    return fail(last_error("mounting " + target.string()));
  }
  return {};
}

Status bind_file(const fs::path& source, const fs::path& target) {
  std::error_code error;
  if (!fs::exists(target, error)) return {};
  // A link (as resolv.conf often is) may lead into the /run that this node doesn't see.
  if (mount(source.c_str(), fs::weakly_canonical(target, error).c_str(), nullptr, MS_BIND,
            nullptr) != 0) {
    return fail(last_error("binding " + target.string()));
  }
  return {};
}

Status boot(const Layout& layout, const Node& node) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return fail(last_error("making mounts private"));
  }
  SKEP_TRY(let_go_of_namespaces());
  std::string hosts = "127.0.0.1 localhost\n::1 localhost\n";
  for (const Node& one : layout.nodes()) hosts += one.address + " " + one.name + "\n";
  SKEP_TRY(write_file(node.dir / "hosts", hosts));
  SKEP_TRY(write_file(node.dir / "hostname", node.name + "\n"));
  SKEP_TRY(write_file(node.dir / "resolv.conf", "# a playground node asks no outside server\n"));
  SKEP_TRY(bind_file(node.dir / "hosts", "/etc/hosts"));
  SKEP_TRY(bind_file(node.dir / "hostname", "/etc/hostname"));
  SKEP_TRY(bind_file(node.dir / "resolv.conf", "/etc/resolv.conf"));
  SKEP_TRY(mount_over("proc", "/proc", ""));
  SKEP_TRY(mount_over("tmpfs", "/run", "mode=0755"));
  SKEP_TRY(mount_over("tmpfs", node.run_dir(), "mode=0755"));
  if (mkdir("/run/netns", 0755) != 0) return fail(last_error("/run/netns"));
  if (sethostname(node.name.data(), node.name.size()) != 0) return fail(last_error("sethostname"));
  return {};
}

sockaddr_un address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

void limit_waiting(int fd) {
  const timeval limit{.tv_sec = kControlSeconds, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

std::optional<std::string> read_line(int fd) {
  std::string line;
  for (char c = 0; line.size() < kLineBytesMax;) {
    if (read(fd, &c, 1) != 1) return std::nullopt;
    if (c == '\n') return line;
    line += c;
  }
  return std::nullopt;
}

bool write_line(int fd, const std::string& line) {
  const std::string text = line + "\n";
  return send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// The node's programs and what each is started with; `children` holds those that run.
class Init {
 public:
  Init(const Layout& layout, const Node& node) : node_(node) {
    commands_["containerd"] = {"/usr/bin/containerd", "--config", node.containerd_config()};
    commands_["skepd"] = {layout.bin_dir() / "skepd", "--config", node.skepd_config()};
  }

  Status serve();

 private:
  void reap();
  std::string answer(const std::string& line);
  std::string start(const std::string& program);
  std::string kill_child(const std::string& program);

  Node node_;
  std::map<std::string, std::vector<std::string>> commands_;
  std::map<std::string, pid_t> children_;
};

void Init::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (auto child = children_.begin(); child != children_.end(); ++child) {
      if (child->second != pid) continue;
      std::printf("%s (process %d of this node) ended: %s %d\n", child->first.c_str(), pid,
                  WIFSIGNALED(status) ? "signal" : "exit code",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
      children_.erase(child);
      break;
    }
  }
}

std::string Init::start(const std::string& program) {
  if (children_.contains(program)) return "ok";
  std::vector<std::string> words = commands_[program];
  std::vector<std::string> environment = plain_environment();
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& word : environment) envp.push_back(word.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  // exec closes the pipe: then the program is really there to be seen in /proc, under its name.
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "error pipe: " + std::string(std::strerror(errno));
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return "error fork: " + std::string(std::strerror(errno));
  }
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int log =
        open(node_.log(program).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execve(argv[0], argv.data(), envp.data());
    dprintf(ends[1], "%s: %s", argv[0], std::strerror(errno));
    _exit(127);
  }
  close(ends[1]);
  char trouble[kLineBytesMax];
  const ssize_t count = read(ends[0], trouble, sizeof trouble);
  close(ends[0]);
  if (count > 0) return "error " + std::string(trouble, static_cast<size_t>(count));
  children_[program] = child;
  return "ok";
}

std::string Init::kill_child(const std::string& program) {
  const auto child = children_.find(program);
  if (child == children_.end()) return "ok";
  const pid_t pid = child->second;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  children_.erase(program);
  return "ok";
}

std::string Init::answer(const std::string& line) {
  reap();  // so that "start" sees a death which poll has not told yet
  const size_t blank = line.find(' ');
  const std::string verb = line.substr(0, blank);
  const std::string program = blank == std::string::npos ? "" : line.substr(blank + 1);
  if (!commands_.contains(program)) return "error unknown program \"" + program + "\"";
  if (verb == "start") return start(program);
  if (verb == "kill") return kill_child(program);
  if (verb == "alive")
    return children_.contains(program) ? "ok" : "error " + program + " has ended";
  return "error unknown word \"" + verb + "\"";
}

Status Init::serve() {
  sigset_t deaths;
  sigemptyset(&deaths);
  sigaddset(&deaths, SIGCHLD);
  sigprocmask(SIG_BLOCK, &deaths, nullptr);
  const int signals = signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(node_.control_socket());
  if (signals < 0 || listener < 0 ||
      bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(address.sun_path, 0600) != 0 || listen(listener, 8) != 0) {
    return fail(last_error("control socket"));
  }
  while (true) {
    pollfd wait[2] = {{signals, POLLIN, 0}, {listener, POLLIN, 0}};
    if (poll(wait, 2, -1) < 0 && errno != EINTR) return fail(last_error("poll"));
    if ((wait[0].revents & POLLIN) != 0) {
      signalfd_siginfo told;
      while (read(signals, &told, sizeof told) == sizeof told) {
      }
      reap();
    }
    if ((wait[1].revents & POLLIN) == 0) continue;
    const int peer = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) continue;
    limit_waiting(peer);
    if (const std::optional<std::string> line = read_line(peer)) write_line(peer, answer(*line));
    close(peer);
  }
}

}  // namespace

std::vector<std::string> node_init_arguments(const Layout& layout, const Node& node) {
  return {"playground-node", "--dir", layout.settings.dir.string(), "--node", node.name};
}

Status run_node_init(const Layout& layout, const Node& node) {
  if (getpid() != 1)
    return fail(ErrorKind::invalid, "playground-node is started by the playground");
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // into init.log as it happens
  std::error_code error;
  for (const fs::path& stale : {node.control_socket(), node.containerd_socket(), node.api_socket(),
                                fs::path(node.containerd_socket().string() + ".ttrpc")}) {
    fs::remove(stale, error);
  }
  SKEP_TRY(boot(layout, node));
  return Init(layout, node).serve();
}

Status ask_node_init(const Node& node, const std::string& line) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(last_error("socket"));
  limit_waiting(fd);
  const sockaddr_un address = address_of(node.control_socket());
  std::optional<std::string> heard;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      write_line(fd, line)) {
    heard = read_line(fd);
  }
  close(fd);
  if (!heard) return fail(ErrorKind::unavailable, node.name + " is down or paused");
  if (*heard == "ok") return {};
  return fail(ErrorKind::internal, node.name + ": " + heard->substr(heard->find(' ') + 1));
}

}  // namespace skep::cli::playground
