// Acting on a node from outside: /proc to see it, signals and its control socket to change it.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/node.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgot it in this one header
#include <sys/pidfd.h>
}

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <system_error>

#include "cli/engine_client.hpp"
#include "cli/playground/cgroups.hpp"
#include "cli/playground/network.hpp"
#include "cli/playground/node_config.hpp"
#include "cli/playground/node_init.hpp"

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

// Two cores that are busy with something else start containerd in up to ten seconds.
constexpr milliseconds kStartLimit{30'000};
constexpr milliseconds kKillLimit{15'000};
constexpr milliseconds kSignalLimit{5'000};

std::string base_name(const Process& process) {
  return process.arguments.empty() ? "" : fs::path(process.arguments[0]).filename().string();
}

std::string value_after(const Process& process, std::string_view flag) {
  const auto at = std::ranges::find(process.arguments, flag);
  if (at == process.arguments.end() || at + 1 == process.arguments.end()) return "";
  return *(at + 1);
}

// The last part of the first cgroup path that is below another one: /skep/NODE/CONTAINER.
std::string container_id(const Process& process) {
  std::ifstream lines("/proc/" + std::to_string(process.pid) + "/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const std::string path = line.substr(line.rfind(':') + 1);
    if (path.starts_with("/skep/")) return path.substr(path.rfind('/') + 1);
  }
  return "";
}

bool is_shim(const Process& process) {
  return base_name(process).starts_with("containerd-shim-runc");
}

std::string label_of(const Process& process, const Process& init, const Process* parent) {
  const std::string name = base_name(process);
  const bool outermost = process.pid_namespace == init.pid_namespace;
  if (outermost && process.parent == init.pid && (name == "containerd" || name == "skepd"))
    return name;
  if (is_shim(process)) return "shim:" + value_after(process, "-id");
  if (!outermost && parent != nullptr && is_shim(*parent)) {
    const std::string id = container_id(process);
    return "container:" + (id.empty() ? value_after(*parent, "-id") : id);
  }
  return "process:" + (name.empty() ? "?" : name);
}

bool answers(const fs::path& socket_path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  const bool yes =
      fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) close(fd);
  return yes;
}

// Waits until `ready`, or until the program that should become ready has died. Its parent is asked,
// not /proc: in the middle of an exec a process has no arguments there and looks like no program.
Status await_program(const Node& node, const std::string& program,
                     const std::function<bool()>& ready) {
  bool died = false;
  const bool done = wait_until(kStartLimit, [&] {
    if (ready()) return true;
    died = !ask_node_init(node, "alive " + program);
    return died;
  });
  if (done && !died) return {};
  show_log_tail(node.log(program));
  return fail(died ? ErrorKind::internal : ErrorKind::deadline,
              node.name + ": " + program + (died ? " ended at once" : " does not answer in time"));
}

Status signal_all(const Layout& layout, const Node& node, int signal, bool wanted_stopped) {
  const bool done = wait_until(kSignalLimit, [&] {
    bool all = true;
    for (const LabelledProcess& one : node_processes(layout, node)) {
      if ((one.process.state == 'T') == wanted_stopped) continue;
      all = false;
      // A process that can't be signalled stays unchanged, and the deadline tells.
      if (!send_signal(one.process, signal)) return false;
    }
    return all;
  });
  if (done) return {};
  return fail(ErrorKind::deadline,
              node.name + ": not every process took signal " + std::to_string(signal));
}

}  // namespace

std::optional<Process> find_init(const Layout& layout, const Node& node) {
  for (const Process& process : find_processes(node_init_arguments(layout, node))) return process;
  return std::nullopt;
}

std::vector<LabelledProcess> node_processes(const Layout& layout, const Node& node) {
  const std::optional<Process> init = find_init(layout, node);
  if (!init) return {};
  const std::vector<Process> all = list_processes();
  std::map<pid_t, const Process*> by_pid;
  for (const Process& process : all) by_pid[process.pid] = &process;
  const auto parent_of = [&](const Process& process) -> const Process* {
    const auto found = by_pid.find(process.parent);
    return found == by_pid.end() ? nullptr : found->second;
  };
  std::vector<LabelledProcess> members = {{"init", *init}};
  for (const Process& process : all) {
    if (process.pid == init->pid) continue;
    bool inside = process.pid_namespace == init->pid_namespace;
    // The chain is bounded: parents read at different moments could in theory form a ring.
    const Process* above = &process;
    for (int depth = 0; !inside && above != nullptr && depth < 64; ++depth) {
      above = parent_of(*above);
      inside = above != nullptr && above->pid_namespace == init->pid_namespace;
    }
    if (inside) members.push_back({label_of(process, *init, parent_of(process)), process});
  }
  return members;
}

std::optional<Process> find_labelled(const Layout& layout, const Node& node,
                                     std::string_view label) {
  for (LabelledProcess& one : node_processes(layout, node)) {
    if (one.label == label) return std::move(one.process);
  }
  return std::nullopt;
}

Status boot_node(const Layout& layout, const Node& node) {
  const std::optional<Process> init = find_init(layout, node);
  if (init && init->state == 'T') SKEP_TRY(resume_node(layout, node));
  if (!init) {
    SKEP_TRY(remove_node_cgroups(node.name));
    SKEP_TRY(write_node_config(layout, node));
    SKEP_TRY(ensure_node_network(node));
    DetachedOptions options{.arguments = node_init_arguments(layout, node),
                            .log = node.log("init"),
                            .netns = node.netns,
                            .own_namespaces = true};
    options.arguments.insert(options.arguments.begin(), layout.bin_dir() / "skep");
    std::error_code error;
    fs::remove(node.control_socket(), error);
    SKEP_TRY(spawn_detached(options));
  } else {
    SKEP_TRY(ensure_node_network(node));
  }
  if (wait_until(kStartLimit, [&] { return answers(node.control_socket()); })) return {};
  show_log_tail(node.log("init"));
  return fail(ErrorKind::deadline, node.name + ": its init process does not answer");
}

Status start_containerd(const Node& node) {
  SKEP_TRY(ask_node_init(node, "start containerd"));
  return await_program(node, "containerd", [&] { return answers(node.containerd_socket()); });
}

Status start_skepd(const Node& node) {
  SKEP_TRY(ask_node_init(node, "start skepd"));
  SKEP_TRY_ASSIGN(const EngineClient client, EngineClient::open(node.api_socket().string()));
  RequestOptions options;
  options.timeout = milliseconds(2'000);
  return await_program(node, "skepd", [&] {
    const Result<Response> pong = client.request(Method::get, "/_ping", {}, options);
    return pong && pong->status == 200;
  });
}

Status crash_node(const Layout& layout, const Node& node) {
  if (link_state(node) == Link::up) SKEP_TRY(set_link(node, Link::down));
  // More than one only if two commands raced; all of them must go.
  for (const Process& init : find_processes(node_init_arguments(layout, node))) {
    SKEP_TRY(kill_and_wait(init, kKillLimit));
  }
  return remove_node_network(node);
}

Status kill_skepd(const Layout& layout, const Node& node) {
  const std::optional<Process> skepd = find_labelled(layout, node, "skepd");
  if (!skepd) return fail(ErrorKind::conflict, node.name + " runs no skepd");
  return kill_and_wait(*skepd, kKillLimit);
}

Status pause_node(const Layout& layout, const Node& node) {
  if (!find_init(layout, node)) return fail(ErrorKind::conflict, node.name + " is down");
  return signal_all(layout, node, SIGSTOP, /*wanted_stopped=*/true);
}

Status resume_node(const Layout& layout, const Node& node) {
  if (!find_init(layout, node)) return fail(ErrorKind::conflict, node.name + " is down");
  return signal_all(layout, node, SIGCONT, /*wanted_stopped=*/false);
}

Result<int> run_in_node(const Layout& layout, const Node& node,
                        const std::vector<std::string>& arguments) {
  const std::optional<Process> init = find_init(layout, node);
  if (!init) return fail(ErrorKind::conflict, node.name + " is down");
  const int pidfd = pidfd_open(init->pid, 0);
  if (pidfd < 0 || setns(pidfd, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID) != 0) {
    return fail(ErrorKind::internal, "can't enter " + node.name + ": " + std::strerror(errno));
  }
  close(pidfd);
  std::vector<std::string> words = arguments;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  setenv("DOCKER_HOST", ("unix://" + node.api_socket().string()).c_str(), 1);
  setenv("CONTAINERD_ADDRESS", node.containerd_socket().c_str(), 1);
  setenv("CONTAINERD_NAMESPACE", "k8s.io", 1);
  const pid_t child = fork();
  if (child < 0) return fail(ErrorKind::internal, std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    execvp(argv[0], argv.data());
    std::fprintf(stderr, "skep playground: %s: %s\n", argv[0], std::strerror(errno));
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace skep::cli::playground
