// Stand-ins and the loop.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/agent/world.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "daemon/agent/identity_text.hpp"

namespace skep::agent::test {

namespace fs = std::filesystem;
using State = drivers::ContainerState::State;
template <class T>
using Reply = drivers::RuntimeDriver::Reply<T>;

Reply<void> FakeRuntime::fingerprint(std::function<void(drivers::RuntimeHealth)> on_item) {
  while (true) {
    drivers::RuntimeHealth health;
    health.healthy = !away;
    health.reason = away ? "no answer" : "";
    health.name = "containerd";
    health.version = "1.6.20";
    on_item(health);
    const bool before = away;
    while (away == before) co_await changed.changed();
  }
}

Status FakeRuntime::hindered(const std::string& operation) {
  if (away) return fail(away_error());
  if (busy[operation] == 0) return {};
  --busy[operation];
  return fail(ErrorKind::busy, operation + " has to wait");
}

Status FakeRuntime::told(const std::string& operation) {
  if (!lost.contains(operation)) return {};
  return fail(ErrorKind::plugin_lost, operation + ": its process died");
}

Reply<drivers::CreatedContainer> FakeRuntime::create(drivers::ContainerRequest request) {
  SKEP_CO_TRY(hindered("create"));
  if (!images.contains(request.image)) {
    co_return fail(ErrorKind::not_found, "No such image: " + request.image);
  }
  containers[request.id].request = request;
  while (fills) co_await changed.changed();
  SKEP_CO_TRY(told("create"));
  drivers::CreatedContainer made;
  made.handle = "{}";
  co_return made;
}

Reply<drivers::StartedContainer> FakeRuntime::start(std::string id) {
  SKEP_CO_TRY(hindered("start"));
  if (!start_error.empty()) co_return fail(ErrorKind::invalid, start_error);
  const auto at = containers.find(id);
  if (at == containers.end()) co_return fail(ErrorKind::not_found, "no container");
  if (at->second.state == State::created) ++starts;
  at->second.state = State::running;
  drivers::StartedContainer started;
  started.pid = 4711;
  co_return started;
}

Reply<drivers::ContainerExit> FakeRuntime::wait(std::string id) {
  while (true) {
    if (away) co_return fail(away_error());
    const auto at = containers.find(id);
    if (at == containers.end()) co_return fail(ErrorKind::not_found, "no container");
    if (at->second.state == State::stopped) {
      drivers::ContainerExit exit;
      exit.exit_code = at->second.exit_code;
      exit.oom_killed = at->second.oom_killed;
      exit.lost = at->second.lost;
      co_return exit;
    }
    co_await changed.changed();
  }
}

Reply<void> FakeRuntime::stop(std::string id, std::string signal, int64_t grace_ms) {
  SKEP_CO_TRY(hindered("stop"));
  stop_signal = signal;
  this->stop_grace_ms = grace_ms;
  if (containers.contains(id) && containers[id].state == State::running) end(id, 143);
  co_return Status();
}

Reply<void> FakeRuntime::signal(std::string id, std::string) {
  if (!containers.contains(id)) co_return fail(ErrorKind::not_found, "no container");
  end(id, 137);
  co_return Status();
}

Reply<void> FakeRuntime::remove(std::string id, bool) {
  SKEP_CO_TRY(hindered("remove"));
  containers.erase(id);
  changed.notify();
  co_return told("remove");
}

drivers::ContainerState FakeRuntime::state_of(const std::string& id) const {
  const Made& made = containers.at(id);
  drivers::ContainerState state;
  state.id = id;
  state.spec = made.request;
  state.state = made.state;
  state.pid = made.state == State::running ? 4711 : 0;
  if (made.state == State::stopped) state.exit_code = made.exit_code;
  state.argv = {"httpd-foreground"};
  return state;
}

Reply<drivers::ContainerState> FakeRuntime::inspect(std::string id) {
  if (away) co_return fail(away_error());
  if (!containers.contains(id)) co_return fail(ErrorKind::not_found, "no container");
  co_return state_of(id);
}

Reply<std::vector<drivers::ContainerState>> FakeRuntime::list() {
  if (away) co_return fail(away_error());
  std::vector<drivers::ContainerState> all;
  for (const auto& [id, made] : containers) all.push_back(state_of(id));
  co_return all;
}

Reply<drivers::ImageInfo> FakeRuntime::image_pull(std::string reference,
                                                  std::optional<drivers::RegistryAuth>,
                                                  std::function<void(drivers::PullProgress)>) {
  ++pulls;
  if (registry_away) co_return fail(ErrorKind::unavailable, "registry.test does not answer");
  if (!registry.contains(reference)) {
    co_return fail(ErrorKind::not_found, "No such image: " + reference);
  }
  images.insert(reference);
  co_return drivers::ImageInfo{};
}

Reply<std::vector<drivers::ImageInfo>> FakeRuntime::image_list() {
  if (away) co_return fail(away_error());
  co_return std::vector<drivers::ImageInfo>(images.size());
}

Reply<void> FakeRuntime::exec_create(drivers::ExecRequest request) {
  exec_ = std::move(request);
  co_return Status();
}

Reply<int64_t> FakeRuntime::exec_start(std::string, std::string) {
  if (exec_.argv.front() == "missing") {
    co_return fail(ErrorKind::not_found, "missing: executable file not found in $PATH");
  }
  const int out = open(exec_.stdout_fifo.c_str(), O_WRONLY | O_NONBLOCK);
  REQUIRE(out >= 0);
  REQUIRE(write(out, exec_output.data(), exec_output.size()) ==
          static_cast<ssize_t>(exec_output.size()));
  if (exec_goes_on) {
    exec_file = out;
  } else {
    close(out);
  }
  co_return int64_t{99};
}

Reply<int64_t> FakeRuntime::exec_wait(std::string, std::string) {
  Signal later(loop_);
  co_await later.changed_within(std::chrono::milliseconds(20));  // after the streams' end
  if (exec_waits_lost > 0) {
    --exec_waits_lost;
    co_return fail(ErrorKind::plugin_lost, "its process died");
  }
  co_return exec_exit;
}

Reply<void> FakeRuntime::restore_from(drivers::RestoreSource from) {
  source = std::move(from);
  drivers::RestorePlan plan = source();
  for (const drivers::RestorePlan::Object& object : plan.objects) {
    const bool there = containers.contains(object.id);
    plan.told(object.id, there ? Status() : Status(fail(ErrorKind::not_found, "no container")));
  }
  if (plan.ids) co_return co_await restore_done(std::move(*plan.ids));
  co_return Status();
}

Reply<void> FakeRuntime::restore_done(std::vector<std::string> ids) {
  SKEP_CO_TRY(hindered("restore_done"));
  ++restores_done;
  // As a driver may: what nobody named is not wanted.
  std::erase_if(containers, [&ids](const auto& one) {
    return std::find(ids.begin(), ids.end(), one.first) == ids.end();
  });
  co_return Status();
}

void FakeRuntime::end(const std::string& id, int64_t exit_code) {
  containers.at(id).state = State::stopped;
  containers.at(id).exit_code = exit_code;
  changed.notify();
}

void FakeRuntime::set_away(bool is_away) {
  away = is_away;
  changed.notify();
}

Reply<drivers::CreatedNetwork> FakeNetwork::create(drivers::NetworkRequest) {
  drivers::CreatedNetwork made;
  made.handle = "{}";
  made.subnet = "172.20.0.0/16";
  made.gateway = "172.20.0.1";
  co_return made;
}

Reply<drivers::CreatedEndpoint> FakeNetwork::endpoint_create(drivers::EndpointRequest request) {
  endpoints[request.endpoint] = request.network;
  drivers::CreatedEndpoint made;
  made.handle = "{\"v\":1}";
  made.address = request.address;
  if (made.address.empty()) made.address = "172.20.0." + std::to_string(next_address++) + "/16";
  made.gateway = "172.20.0.1";
  co_return made;
}

Reply<void> FakeNetwork::endpoint_remove(std::string, std::string endpoint) {
  endpoints.erase(endpoint);
  co_return Status();
}

Reply<std::string> FakeNetwork::join(drivers::JoinRequest request) {
  if (busy_joins > 0) {
    --busy_joins;
    co_return fail(ErrorKind::busy, "join has to wait");
  }
  co_return request.interface;
}

Reply<void> FakeNetwork::leave(std::string, std::string, std::string) {
  co_return Status();
}

Reply<drivers::NetworkListing> FakeNetwork::list() {
  drivers::NetworkListing listing;
  for (const auto& [endpoint, of] : endpoints) listing.endpoints.push_back({of, endpoint, "", ""});
  co_return listing;
}

Reply<void> FakeNetwork::restore_from(drivers::RestoreSource source) {
  drivers::RestorePlan plan = source();
  for (const drivers::RestorePlan::Object& object : plan.objects) {
    restored.insert(object.id);
    plan.told(object.id, Status());
  }
  if (plan.ids) co_return co_await restore_done(std::move(*plan.ids));
  co_return Status();
}

Reply<void> FakeNetwork::restore_done(std::vector<std::string>) {
  co_return Status();
}

World::World() {
  std::string pattern = (fs::temp_directory_path() / "skep-agent-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  folder = pattern;
  runtime.images.insert("docker.io/library/httpd:latest");
}

World::~World() {
  if (agent) {
    assign({});
    until([&] { return agent->reports().empty(); });
    stop_agent();
  }
  fs::remove_all(folder);
}

void World::start_agent() {
  AgentOptions options;
  options.data_dir = folder + "/data";
  options.run_dir = folder + "/run";
  options.node_name = "node-1";
  options.hostname = "node-1";
  options.retry_first = std::chrono::milliseconds(20);
  options.retry_max = std::chrono::milliseconds(80);
  options.clock = [] {
    return model::WallTime{std::chrono::system_clock::now().time_since_epoch().count()};
  };
  options.sweep_period = sweep_period;
  local.start_again();
  nfs.start_again();
  std::vector<NamedVolumeDriver> volumes = {{"local", "volume-local", &local}};
  if (nfs_configured) volumes.push_back({"vendor-nfs", "nfs", &nfs});
  agent = std::make_unique<Agent>(loop.get_executor(), runtime, network, std::move(volumes),
                                  options, [this](std::vector<TaskReport> news) {
                                    for (TaskReport& report : news) reports.push_back(report);
                                  });
  const Status started = run(agent->start());
  REQUIRE(started.has_value());
  agent->containers().subscribe([this](const NodeEvent& event) { events.push_back(event); });
}

void World::stop_agent() {
  run(agent->stop());
  agent.reset();
}

bool World::until(const std::function<bool()>& fact) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!fact()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    loop.restart();
    loop.run_one_for(std::chrono::milliseconds(50));
  }
  return true;
}

AssignedTask World::task(uint64_t number, const std::string& image) {
  AssignedTask assigned;
  assigned.task.id.bits = {number, number};
  assigned.task.service.bits = {7, 7};
  assigned.task.service_name = "web";
  assigned.task.slot = number;
  assigned.task.node.bits = {9, 9};
  assigned.task.status.state = model::TaskState::assigned;
  auto spec = std::make_shared<model::TaskSpec>();
  spec->container.image = image;
  assigned.spec = std::move(spec);
  return assigned;
}

void World::assign(std::vector<AssignedTask> tasks) {
  AssignmentSet set;
  set.tasks = std::move(tasks);
  agent->assign(set);
}

model::TaskStatus World::last(const AssignedTask& task) const {
  for (auto at = reports.rbegin(); at != reports.rend(); ++at) {
    if (at->id == task.task.id) return at->status;
  }
  return {};
}

bool World::has_namespace(const AssignedTask& task) const {
  return fs::exists(folder + "/run/netns/" + task.task.id.str());
}

std::string World::id(const AssignedTask& task) {
  return container_id_of(task.task.id);
}

bool can_run() {
  if (geteuid() == 0) return true;
  WARN("skipped: network namespaces need root");
  return false;
}

}  // namespace skep::agent::test
