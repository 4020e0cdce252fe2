// The steps of up and down.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/playground.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "cli/playground/cgroups.hpp"
#include "cli/playground/cluster.hpp"
#include "cli/playground/image_builder.hpp"
#include "cli/playground/install.hpp"
#include "cli/playground/network.hpp"
#include "cli/playground/node_init.hpp"
#include "cli/playground/registry.hpp"

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

constexpr milliseconds kKillLimit{15'000};
constexpr const char* kLockFile = "/run/skep-playground.lock";
constexpr const char* kBusybox = "/bin/busybox";

// Held while up or down works; the kernel lets go of it when the process ends, however it ends. The
// file is unlinked under the lock, so the one who gets the lock looks whether it still is the file.
class Lock {
 public:
  Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() {
    if (fd_ < 0) return;
    unlink(kLockFile);
    close(fd_);
  }

  Status take() {
    while (true) {
      fd_ = open(kLockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (fd_ < 0) return fail(ErrorKind::denied, "the playground needs root: it can't write /run");
      if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        close(fd_);
        fd_ = -1;
        return fail(ErrorKind::conflict,
                    "another playground command is at work; try again after it");
      }
      struct stat held {
      }, named{};
      if (fstat(fd_, &held) == 0 && stat(kLockFile, &named) == 0 && held.st_ino == named.st_ino)
        return {};
      close(fd_);
    }
  }

 private:
  int fd_ = -1;
};

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

std::string owner() {
  const Result<std::string> text = read_file(kOwnerFile);
  return text ? text->substr(0, text->find('\n')) : "";
}

Status claim(const Layout& layout) {
  const std::string dir = layout.settings.dir.string();
  const std::string other = owner();
  std::error_code error;
  if (!other.empty() && other != dir && fs::exists(fs::path(other) / "playground.json", error)) {
    return fail(ErrorKind::conflict,
                "a playground is already up in " + other +
                    ", and two can't run at once (their "
                    "namespaces have the same names); end it with `skep playground down --dir " +
                    other + "`");
  }
  const Result<Layout> old = load_layout(layout.settings.dir);
  if (old) {
    const Settings& was = old->settings;
    if (was.net != layout.settings.net || was.hostname_prefix != layout.settings.hostname_prefix ||
        was.nodes > layout.settings.nodes) {
      return fail(ErrorKind::conflict, "the playground in " + dir +
                                           " was made with other settings (net " + was.net + ", " +
                                           std::to_string(was.nodes) + " nodes named " +
                                           was.hostname_prefix + "...); take it down first");
    }
  } else if (fs::exists(dir, error) && !fs::is_empty(dir, error)) {
    return fail(ErrorKind::conflict, dir + " is not empty and not a playground");
  }
  fs::create_directories(dir, error);
  if (error) return fail(ErrorKind::internal, dir + ": " + error.message());
  SKEP_TRY(save_layout(layout));
  return write_file(kOwnerFile, dir + "\n");
}

Status fill_registry(const Layout& layout) {
  SKEP_TRY_ASSIGN(const std::vector<Image> images, build_images(kBusybox));
  SKEP_TRY(start_registry(layout));
  SKEP_TRY(push_images(layout, images));
  std::string names;
  for (const Image& image : images) names += " " + image.repository + ":" + image.tags.front();
  say("registry: " + layout.gateway() + ":" + std::to_string(kRegistryPort) + " serves" + names);
  return {};
}

void say_what_next(const Layout& layout, const UpOptions& options) {
  const std::string dir =
      layout.settings.dir == Settings().dir ? "" : " --dir " + layout.settings.dir.string();
  say("");
  if (!options.with_skepd)
    return say("The nodes run containerd only. End it: skep playground down" + dir);
  say("The playground is up. Next:");
  say("  eval \"$(skep playground env 1" + dir + ")\"     # skep and docker now speak to " +
      layout.node(1).name);
  say("  skep node ls");
  say("  skep service create --name web_server --replicas 3 httpd");
  say("  skep playground crash 2" + dir + "            # pull the plug of " +
      layout.node(layout.settings.nodes > 1 ? 2 : 1).name);
  say("  skep playground down" + dir);
}

Status remove_known_files(const Layout& layout) {
  std::error_code error;
  for (const Node& node : layout.nodes()) fs::remove_all(node.dir, error);
  fs::remove_all(layout.bin_dir(), error);
  fs::remove_all(layout.plugin_dir(), error);
  fs::remove_all(layout.registry_dir(), error);
  fs::remove(layout.state_file().string() + ".new", error);
  // Last: it is the mark that the rest is ours to delete.
  fs::remove(layout.state_file(), error);
  fs::remove(layout.settings.dir, error);
  if (!error) return {};
  return fail(ErrorKind::internal,
              "can't remove " + layout.settings.dir.string() + ": " + error.message());
}

}  // namespace

Status start_node(const Layout& layout, const Node& node, const StartOptions& options) {
  SKEP_TRY(boot_node(layout, node));
  SKEP_TRY(start_containerd(node));
  say(node.name + ": containerd is up at " + node.containerd_socket().string());
  if (!options.with_skepd) return {};
  SKEP_TRY(start_skepd(node));
  say(node.name + ": skepd is up at " + node.api_socket().string());
  return {};
}

Status up(const Settings& settings, const UpOptions& options) {
  SKEP_TRY(check(settings));
  if (geteuid() != 0)
    return fail(ErrorKind::denied, "the playground needs root: it makes namespaces");
  Lock lock;
  SKEP_TRY(lock.take());
  const Layout layout{settings};
  SKEP_TRY(claim(layout));
  SKEP_TRY(install_programs(layout, options.with_skepd));
  SKEP_TRY(ensure_bridge(layout));
  SKEP_TRY(fill_registry(layout));
  const std::vector<Node> nodes = layout.nodes();
  // All at once, so that the nodes' containerds start side by side; then each is waited for.
  for (const Node& node : nodes) {
    SKEP_TRY(boot_node(layout, node));
    SKEP_TRY(ask_node_init(node, "start containerd"));
  }
  for (const Node& node : nodes) {
    SKEP_TRY(start_node(layout, node, {.with_skepd = options.with_skepd}));
  }
  if (options.with_skepd && options.form_cluster) {
    SKEP_TRY(form_cluster(layout));
    say("cluster: all " + std::to_string(nodes.size()) + " nodes are ready");
  }
  say_what_next(layout, options);
  return {};
}

Status down(const Settings& settings) {
  SKEP_TRY(check(settings));
  if (geteuid() != 0)
    return fail(ErrorKind::denied, "the playground needs root: it made namespaces");
  Lock lock;
  SKEP_TRY(lock.take());
  const std::string dir = settings.dir.string();
  const Result<Layout> found = load_layout(settings.dir);
  if (!found && found.error().kind != ErrorKind::not_found) return fail(found.error());
  if (!found) {
    // Without the mark nothing was made: `up` writes it before all else.
    if (owner() == dir) unlink(kOwnerFile);
    say("no playground in " + dir);
    return {};
  }
  const Layout& layout = *found;
  // Everything is tried, and the first failure is told at the end: half a `down` helps nobody.
  Status outcome;
  const auto attempt = [&](const Status& step) {
    if (!step && outcome) outcome = step;
  };
  const bool wires_are_ours = owner() == dir;
  for (const Node& node : layout.nodes()) {
    for (const Process& init : find_processes(node_init_arguments(layout, node))) {
      attempt(kill_and_wait(init, kKillLimit));
    }
    if (!wires_are_ours) continue;
    attempt(remove_node_cgroups(node.name));
    attempt(remove_node_network(node));
  }
  attempt(stop_registry(layout));
  if (wires_are_ours) attempt(remove_bridge());
  if (outcome) outcome = remove_known_files(layout);
  if (outcome && wires_are_ours) unlink(kOwnerFile);
  if (outcome) say("the playground in " + dir + " is gone");
  return outcome;
}

Status show_status(const Layout& layout) {
  std::printf("%-16s%-16s%-9s%-12s%-9s%s\n", "NODE", "ADDRESS", "LINK", "CONTAINERD", "SKEPD",
              "CLUSTER");
  for (const Node& node : layout.nodes()) {
    const Link link = link_state(node);
    std::string containerd = "-";
    std::string skepd = "-";
    bool paused = false;
    for (const LabelledProcess& one : node_processes(layout, node)) {
      if (one.label == "init") paused = one.process.state == 'T';
      if (one.label == "containerd") containerd = std::to_string(one.process.pid);
      if (one.label == "skepd") skepd = std::to_string(one.process.pid);
    }
    const std::string cluster = paused ? "paused" : skepd == "-" ? "-" : cluster_state(node);
    std::printf("%-16s%-16s%-9s%-12s%-9s%s\n", node.name.c_str(), node.address.c_str(),
                link == Link::up     ? "up"
                : link == Link::down ? "down"
                                     : "-",
                containerd.c_str(), skepd.c_str(), cluster.c_str());
  }
  return {};
}

}  // namespace skep::cli::playground
