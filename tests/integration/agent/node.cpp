// Setting the node up, and taking it away to the last process.
// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/agent/node.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "daemon/agent/signal.hpp"

namespace skep::agent::test {

namespace fs = std::filesystem;

std::string Node::shell(const std::string& command) {
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> chunk{};
  while (const size_t got = fread(chunk.data(), 1, chunk.size(), pipe)) {
    output.append(chunk.data(), got);
  }
  pclose(pipe);
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output;
}

Node::Node() {
  std::string pattern = (fs::temp_directory_path() / "skep-node-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  folder = pattern;
  fs::create_directories(folder + "/image");
  std::ofstream(folder + "/config.toml")
      << "version = 2\nroot = \"" << folder << "/root\"\nstate = \"" << folder << "/state\"\n"
      << "[grpc]\naddress = \"" << folder << "/c.sock\"\n"
      << "[plugins.\"io.containerd.grpc.v1.cri\"]\nstream_server_address = \"127.0.0.1\"\n"
      << "stream_server_port = \"0\"\n"
      << "[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"" << folder << "/cni\"\n"
      << "conf_dir = \"" << folder << "/cni\"\n"
      << "[plugins.\"io.containerd.internal.v1.opt\"]\npath = \"" << folder << "/opt\"\n";
  start_containerd();
  shell(std::string(SKEP_TEST_IMAGE_SCRIPT) + " " + folder + "/image " + kImage);
  shell(ctr() + "images import " + folder + "/image/image.tar");
}

Node::~Node() {
  if (agent) {
    assign({});
    until([&] { return agent->reports().empty(); });
    stop_agent();
  }
  shell("for t in $(" + ctr() + "tasks ls -q); do " + ctr() + "tasks rm -f $t; done; for c in $(" +
        ctr() + "containers ls -q); do " + ctr() + "containers rm $c; done");
  if (containerd_ > 0) kill_containerd();
  const std::string name = fs::path(folder).filename().string();
  shell("for m in $(awk '$2 ~ \"^" + folder +
        "/\" {print $2}' /proc/mounts); do umount -l $m; done; "
        "rm -rf " +
        folder + "; find /sys/fs/cgroup -depth -type d -path '*" + name + "*' -exec rmdir {} ';'");
}

void Node::start_containerd() {
  const std::string log = folder + "/containerd.log";
  const std::string config = folder + "/config.toml";
  containerd_ = fork();
  if (containerd_ == 0) {
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(out, 1);
    dup2(out, 2);
    execlp("containerd", "containerd", "--config", config.c_str(), nullptr);
    _exit(127);
  }
  REQUIRE(until([&] { return shell(ctr() + "version").find("Server:") != std::string::npos; }));
}

void Node::kill_containerd() {
  kill(containerd_, SIGKILL);
  waitpid(containerd_, nullptr, 0);
  containerd_ = -1;
}

void Node::start_agent() {
  const std::string name = fs::path(folder).filename().string();
  const nlohmann::json address = {{"address", folder + "/c.sock"}};
  std::vector<drivers::PluginConfig> configs(2);
  configs[0].name = "runtime-containerd";
  configs[0].path = SKEP_TEST_RUNTIME;
  configs[0].config = address.dump();
  configs[1].name = "net-bridge";
  configs[1].path = SKEP_TEST_NETWORK;
  for (drivers::PluginConfig& config : configs) {
    config.isolation = drivers::Isolation::in_process;
    config.shipped = true;
  }
  drivers::PluginPlace place;
  place.run_dir = folder + "/run";
  place.data_dir = folder + "/data";
  place.node = name;
  fs::create_directories(place.run_dir);
  fs::create_directories(place.data_dir);
  drivers = run(drivers::DriverSet::load(configs, place));
  for (const drivers::DriverState& state : drivers->states()) {
    INFO(state.name << ": " << (state.refused ? state.refused->message : "in use"));
    REQUIRE_FALSE(state.refused.has_value());
  }
  AgentOptions options;
  options.data_dir = place.data_dir;
  options.run_dir = place.run_dir;
  options.node_name = name;
  options.hostname = name;
  options.clock = [] {
    return model::WallTime{std::chrono::system_clock::now().time_since_epoch().count()};
  };
  agent = std::make_unique<Agent>(
      loop.get_executor(), *drivers->runtime().value(), *drivers->network("net-bridge").value(),
      std::vector<NamedVolumeDriver>(), options, [this](std::vector<TaskReport> news) {
        for (TaskReport& report : news) reports.push_back(report);
      });
  REQUIRE(run(agent->start()).has_value());
}

void Node::stop_agent() {
  bool stopped = false;
  boost::asio::co_spawn(loop, agent->stop(), [&](std::exception_ptr) { stopped = true; });
  REQUIRE(until([&] { return stopped; }));
  agent.reset();
  drivers.reset();
}

bool Node::until(const std::function<bool()>& fact) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!fact()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    loop.restart();
    if (loop.run_one_for(std::chrono::milliseconds(20)) == 0) usleep(1000);
  }
  return true;
}

AssignedTask Node::task(uint64_t number, const std::string& script) const {
  AssignedTask assigned;
  assigned.task.id.bits = {static_cast<uint64_t>(getpid()), number};
  assigned.task.service.bits = {7, 7};
  assigned.task.service_name = "web";
  assigned.task.slot = number;
  assigned.task.node.bits = {9, 9};
  assigned.task.status.state = model::TaskState::assigned;
  auto spec = std::make_shared<model::TaskSpec>();
  spec->container.image = "tiny:1";
  spec->container.command = {"sh", "-c", script};
  assigned.spec = std::move(spec);
  return assigned;
}

void Node::assign(std::vector<AssignedTask> tasks) {
  AssignmentSet set;
  set.tasks = std::move(tasks);
  agent->assign(set);
}

model::TaskStatus Node::last(const AssignedTask& task) const {
  for (auto at = reports.rbegin(); at != reports.rend(); ++at) {
    if (at->id == task.task.id) return at->status;
  }
  return {};
}

bool Node::is(const AssignedTask& task, model::TaskState state) {
  const bool reached = until([&] { return last(task).state >= state; });
  const model::TaskStatus status = last(task);
  UNSCOPED_INFO("state " << model::task_state_name(status.state) << ", error: " << status.error);
  return reached && status.state == state;
}

}  // namespace skep::agent::test
