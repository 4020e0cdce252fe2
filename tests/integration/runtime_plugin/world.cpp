// Starting and ending the private containerd. Its end is thorough: every task is killed and deleted
// through ctr first, because shims outlive their containerd by design.
// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/runtime_plugin/world.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace skep::test {

namespace fs = std::filesystem;

namespace {
std::unique_ptr<World>& slot() {
  static std::unique_ptr<World> world;
  return world;
}
}  // namespace

World& World::get() {
  if (!slot()) slot() = std::make_unique<World>();
  return *slot();
}

void World::end() {
  slot().reset();
}

std::string World::shell(const std::string& command) const {
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  std::string output;
  std::array<char, 4096> chunk{};
  while (const size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
    output.append(chunk.data(), got);
  if (pclose(pipe) != 0) throw std::runtime_error(command + ": " + output);
  return output;
}

World::World() {
  std::string pattern = (fs::temp_directory_path() / "skep-rt-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  folder_ = pattern;
  netns_ = "skeprt" + std::to_string(getpid());
  fs::create_directories(folder_ + "/data");
  fs::create_directories(folder_ + "/image");
  std::ofstream(folder_ + "/config.toml")
      << "version = 2\nroot = \"" << folder_ << "/root\"\nstate = \"" << folder_ << "/state\"\n"
      << "[grpc]\naddress = \"" << folder_ << "/c.sock\"\n"
      << "[plugins.\"io.containerd.grpc.v1.cri\"]\nstream_server_address = \"127.0.0.1\"\n"
      << "stream_server_port = \"0\"\n"
      << "[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"" << folder_ << "/cni\"\n"
      << "conf_dir = \"" << folder_ << "/cni\"\n"
      << "[plugins.\"io.containerd.internal.v1.opt\"]\npath = \"" << folder_ << "/opt\"\n";
  try {
    shell("ip netns add " + netns_ + " && ip -n " + netns_ + " link set lo up");
    start_containerd();
    shell(std::string(SKEP_TEST_IMAGE_SCRIPT) + " " + folder_ + "/image " + image_name);
    shell("ctr -a " + folder_ + "/c.sock -n k8s.io images import " + folder_ + "/image/image.tar");
  } catch (const std::exception&) {
    clean_up();
    throw;
  }
}

World::~World() {
  clean_up();
}

void World::clean_up() {
  const std::string ctr = "ctr -a " + folder_ + "/c.sock -n k8s.io ";
  try {
    if (containerd_ > 0)
      shell("for t in $(" + ctr + "tasks ls -q); do " + ctr +
            "tasks rm -f $t; done; "
            "for c in $(" +
            ctr + "containers ls -q); do " + ctr + "containers rm $c; done; true");
    if (containerd_ > 0) kill_containerd();
    shell("ip netns del " + netns_);
    shell("for m in $(awk '$2 ~ \"^" + folder_ +
          "/\" {print $2}' /proc/mounts); do umount -l $m; done; "
          "rm -rf " +
          folder_ + "; for d in $(find /sys/fs/cgroup -depth -type d -path '*/skeprt" +
          std::to_string(getpid()) + "*'); do rmdir $d; done; true");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cleaning up: %s\n", error.what());
  }
}

void World::start_containerd() {
  const std::string log = folder_ + "/containerd.log";
  const std::string config = folder_ + "/config.toml";
  containerd_ = fork();
  if (containerd_ == 0) {
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(out, 1);
    dup2(out, 2);
    execlp("containerd", "containerd", "--config", config.c_str(), nullptr);
    _exit(127);
  }
  const auto until = std::chrono::steady_clock::now() + 30s;
  for (;;) {
    try {
      shell("ctr -a " + folder_ + "/c.sock version");
      return;
    } catch (const std::runtime_error&) {
      if (std::chrono::steady_clock::now() > until) throw;
      std::this_thread::sleep_for(50ms);
    }
  }
}

void World::kill_containerd() {
  kill(containerd_, SIGKILL);
  waitpid(containerd_, nullptr, 0);
}

json World::config() const {
  return {{"address", folder_ + "/c.sock"}};
}

std::unique_ptr<Plugin> World::plugin() {
  auto made = std::make_unique<Plugin>(config(), "node-1", folder_ + "/data");
  if (!made->configured.ok()) throw std::runtime_error(made->configured.error);
  const OperationPtr health = made->begin(made->runtime->fingerprint, json::object());
  health->item(0, [](const json& item) { return item.at("healthy").get<bool>(); });
  return made;
}

std::string World::new_id() {
  std::array<char, 65> text{};
  std::snprintf(text.data(), text.size(), "%056x%08x", static_cast<unsigned>(getpid()),
                static_cast<unsigned>(++next_));
  return text.data();
}

json World::request(const std::string& id, const std::string& script) const {
  return {{"id", id},
          {"image", image_name},
          {"command", {"sh", "-c", script}},
          {"netns", netns_path()},
          {"hostname", "tiny"},
          {"cgroup_parent", "/" + netns_},
          {"log", {{"dir", folder_ + "/logs-" + id}, {"max_bytes", 1 << 20}, {"max_files", 2}}}};
}

std::string World::log_of(const std::string& id) const {
  std::ifstream in(folder_ + "/logs-" + id + "/json.log");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

SlowRegistry::SlowRegistry() {
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  process_ = fork();
  if (process_ == 0) {
    dup2(pipe[1], 1);
    execlp("python3", "python3", SKEP_TEST_REGISTRY, "4000000", nullptr);
    _exit(127);
  }
  close(pipe[1]);
  char letter = 0;
  ssize_t got = 0;
  while ((got = read(pipe[0], &letter, 1)) == 1 && letter != '\n') port_ += letter;
  close(pipe[0]);
  if (got != 1) throw std::runtime_error("the registry did not start");
}

SlowRegistry::~SlowRegistry() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

std::string SlowRegistry::image(const std::string& name) const {
  return "127.0.0.1:" + port_ + "/" + name + ":1";
}

std::string run(World& world, Plugin& plugin, const std::string& script) {
  const std::string id = world.new_id();
  Outcome outcome = plugin.call(plugin.runtime->create, world.request(id, script));
  if (!outcome.ok()) throw std::runtime_error("create: " + outcome.error);
  outcome = plugin.call(plugin.runtime->start, {{"id", id}});
  if (!outcome.ok()) throw std::runtime_error("start: " + outcome.error);
  return id;
}

void remove(Plugin& plugin, const std::string& id) {
  const Outcome outcome = plugin.call(plugin.runtime->remove, {{"id", id}, {"force", true}});
  if (!outcome.ok()) throw std::runtime_error("remove: " + outcome.error);
}

}  // namespace skep::test
