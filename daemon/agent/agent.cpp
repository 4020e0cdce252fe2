// The set of tasks, and the three things that go on beside them: the runtime's health, the sweeper
// that removes what no task wants, and the reports of this turn of the loop.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/agent.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "daemon/agent/agent_db.hpp"
#include "daemon/agent/blocking_work.hpp"
#include "daemon/agent/container_files.hpp"
#include "daemon/agent/container_table.hpp"
#include "daemon/agent/coroutine_group.hpp"
#include "daemon/agent/identity_text.hpp"
#include "daemon/agent/local_network.hpp"
#include "daemon/agent/network_namespace.hpp"
#include "daemon/agent/node_containers.hpp"
#include "daemon/agent/node_description.hpp"
#include "daemon/agent/node_volumes.hpp"
#include "daemon/agent/path_looks.hpp"
#include "daemon/agent/signal.hpp"
#include "daemon/agent/task_controller.hpp"

namespace skep::agent {

namespace asio = boost::asio;

namespace {

// Which volumes the containers of these tasks have, or are about to have.
VolumeHolders holders_of(const std::vector<StoredTask>& tasks) {
  VolumeHolders holders;
  for (const StoredTask& task : tasks) {
    if (!task.container_intended) continue;
    const std::string id = container_id_of(task.assigned.task.id);
    for (const model::Mount& mount : task.assigned.spec->container.mounts) {
      if (mount.type != model::MountType::volume) continue;
      holders[NodeVolumes::name_of(id, mount)].insert(id);
    }
  }
  return holders;
}

}  // namespace

class Agent::Core {
 public:
  Core(asio::any_io_executor loop, drivers::RuntimeDriver& runtime, drivers::NetworkDriver& network,
       std::vector<NamedVolumeDriver> volume_drivers, AgentOptions options, Report report)
      : loop_(loop),
        runtime_(runtime),
        network_driver_(network),
        volume_drivers_(std::move(volume_drivers)),
        options_(std::move(options)),
        report_(std::move(report)),
        namespaces_(options_.run_dir + "/netns"),
        paths_(loop),
        table_(loop, options_.clock),
        runtime_back_(loop),
        tasks_changed_(loop),
        swept_(loop),
        group_(loop),
        alive_(std::make_shared<bool>(true)) {
    if (options_.cgroup_parent.empty()) options_.cgroup_parent = "/skep/" + options_.node_name;
  }
  ~Core() {
    *alive_ = false;
    runtime_.forget_source();
    network_driver_.forget_source();
  }

  asio::awaitable<Status> start();
  void assign(const AssignmentSet& wanted);
  asio::awaitable<Status> remove_all(std::chrono::seconds limit);
  asio::awaitable<void> stop();
  std::vector<TaskReport> reports() const;
  const AgentOptions& options() const { return options_; }
  Containers& containers() { return *containers_; }
  Volumes& volumes() { return *volumes_; }

 private:
  void know(StoredTask stored, bool adopted);
  void begin(StoredTask stored, bool adopted);
  void bring_about(const AssignmentSet& wanted);
  asio::awaitable<void> take_stock();
  asio::awaitable<void> adopt_endpoints(std::vector<model::TaskId> tasks);
  asio::awaitable<void> end_restore(std::vector<std::string> containers,
                                    std::vector<std::string> endpoints);
  asio::awaitable<void> run(model::TaskId id);
  asio::awaitable<void> restore();
  asio::awaitable<void> restore_volumes(VolumeHolders holders);
  drivers::RestorePlan known_containers() const;
  LocalNetwork::KnownEndpoints known_endpoints() const;
  asio::awaitable<void> follow_health();
  asio::awaitable<void> sweep_forever();
  asio::awaitable<void> sweep();
  asio::awaitable<void> sweep_volumes_forever();
  asio::awaitable<void> settle_database();
  void sweep_folders(const std::string& folder, const std::set<std::string>& wanted) const;
  std::string database_path() const { return options_.data_dir + "/agent.db"; }
  void note_health(const drivers::RuntimeHealth& health);
  void collect(TaskReport report);

  asio::any_io_executor loop_;
  drivers::RuntimeDriver& runtime_;
  drivers::NetworkDriver& network_driver_;
  std::vector<NamedVolumeDriver> volume_drivers_;
  AgentOptions options_;
  Report report_;
  std::unique_ptr<AgentDb> db_;
  NetworkNamespaces namespaces_;
  BlockingWork disk_;
  PathLooks paths_;
  ContainerTable table_;
  Signal runtime_back_;
  Signal tasks_changed_;
  Signal swept_;
  std::optional<LocalNetwork> network_;
  std::unique_ptr<NodeVolumes> volumes_;
  std::optional<TaskSurroundings> around_;
  std::unique_ptr<NodeContainers> containers_;
  std::map<model::TaskId, std::unique_ptr<TaskController>> tasks_;
  std::map<model::TaskId, AssignedTask> wanted_again_;  // listed anew while being removed
  std::set<model::TaskId> leaving_;
  // The database named no task: it may have been lost, so nothing is known of what is here until
  // the first assignment has come and stock was taken.
  bool unsure_ = false;
  std::optional<AssignmentSet> first_wanted_;                // while unsure_
  std::map<model::TaskId, StoredEndpoint> found_endpoints_;  // of tasks that begin next
  // Containers that no task wants and that could not be removed: they go on, with their volumes.
  // Nothing before the runtime was asked for the first time. What it was asked last is good enough:
  // all that comes later belongs to a task.
  std::optional<std::set<std::string>> strays_;
  std::vector<TaskReport> collected_;
  RuntimeNews runtime_news_;
  bool stopped_ = false;
  CoroutineGroup group_;
  std::shared_ptr<bool> alive_;  // false once *this is gone: for what was posted to the loop
};

asio::awaitable<Status> Agent::Core::start() {
  std::error_code error;
  std::filesystem::create_directories(options_.data_dir, error);
  std::filesystem::create_directories(options_.run_dir, error);
  SKEP_CO_TRY_ASSIGN(db_, AgentDb::open(database_path()));
  SKEP_CO_TRY_ASSIGN(std::vector<StoredTask> tasks, db_->tasks());
  network_.emplace(loop_, network_driver_, *db_, options_);
  volumes_ =
      std::make_unique<NodeVolumes>(loop_, volume_drivers_, *db_, disk_, table_, options_, group_);
  SKEP_CO_TRY(volumes_->load());
  around_.emplace(TaskSurroundings{loop_, options_, runtime_, *network_, *volumes_, namespaces_,
                                   disk_, paths_, *db_, table_, group_, runtime_back_,
                                   [this] { return runtime_news_.trouble; },
                                   [this](TaskReport report) { collect(report); }});
  containers_ = std::make_unique<NodeContainers>(loop_, runtime_, *network_, table_, options_,
                                                 runtime_news_, group_);
  containers_->release_old_execs();
  unsure_ = tasks.empty();
  VolumeHolders holders = holders_of(tasks);
  for (StoredTask& task : tasks) know(std::move(task), /*adopted=*/true);
  co_await restore();
  group_.start(restore_volumes(std::move(holders)));
  for (const auto& [id, task] : tasks_) group_.start(run(id));
  group_.start(follow_health());
  group_.start(sweep_forever());
  group_.start(sweep_volumes_forever());
  co_return Status();
}

// At a start, and the same again whenever a driver's process was started anew.
asio::awaitable<void> Agent::Core::restore() {
  drivers::RestoreSource containers = [this] { return known_containers(); };
  const Status back = co_await runtime_.restore_from(std::move(containers));
  if (!back) spdlog::warn("agent: containers are not restored yet: {}", back.error().message);
  std::function<LocalNetwork::KnownEndpoints()> endpoints = [this] { return known_endpoints(); };
  co_await network_->restore(std::move(endpoints));
}

// A container that is only intended is named as well: it may have been made.
drivers::RestorePlan Agent::Core::known_containers() const {
  drivers::RestorePlan plan;
  std::vector<std::string> ids;
  for (const auto& [id, task] : tasks_) {
    const StoredTask& stored = task->stored();
    if (!stored.container_intended) continue;
    ids.push_back(task->container_id());
    if (stored.container_handle.empty()) continue;
    plan.objects.push_back({task->container_id(), stored.container_handle});
  }
  if (!unsure_) plan.ids = std::move(ids);
  plan.told = [](const std::string& id, const Status& back) {
    // Gone, or the runtime is away: the task's own coroutine finds out and says so.
    if (!back) spdlog::info("agent: container {}: {}", id, back.error().message);
  };
  return plan;
}

LocalNetwork::KnownEndpoints Agent::Core::known_endpoints() const {
  LocalNetwork::KnownEndpoints known;
  known.all = !unsure_;
  for (const auto& [id, task] : tasks_) {
    if (task->stored().endpoint) known.endpoints.push_back(*task->stored().endpoint);
  }
  return known;
}

// Beside what the agent remembers stands what is: a container that exists has its volumes, though
// the database may have been lost. Then nobody else knows of it, and it is waited for.
asio::awaitable<void> Agent::Core::restore_volumes(VolumeHolders holders) {
  const bool lost = unsure_ && volumes_->something_unknown();
  Result<std::vector<drivers::ContainerState>> all = co_await runtime_.list();
  while (!all && lost) {
    volumes_->hold_up("who has which volume can't be found out: " + all.error().message);
    co_await runtime_back_.changed_within(options_.retry_max);
    all = co_await runtime_.list();
  }
  if (all) {
    for (const drivers::ContainerState& container : *all) {
      for (const drivers::ContainerMount& mount : container.spec.mounts) {
        if (!mount.volume.empty()) holders[mount.volume].insert(container.id);
      }
    }
  }
  volumes_->begin_restore(std::move(holders));
}

// From here on the drivers may clear away what was not named.
asio::awaitable<void> Agent::Core::end_restore(std::vector<std::string> containers,
                                               std::vector<std::string> endpoints) {
  const Status done = co_await runtime_.restore_done(std::move(containers));
  if (!done && done.error().kind != ErrorKind::unimplemented) {
    spdlog::warn("agent: the runtime driver did not end its restore: {}", done.error().message);
  }
  co_await network_->end_restore(std::move(endpoints));
}

void Agent::Core::begin(StoredTask stored, bool adopted) {
  const model::TaskId id = stored.assigned.task.id;
  know(std::move(stored), adopted);
  group_.start(run(id));
}

void Agent::Core::know(StoredTask stored, bool adopted) {
  const model::TaskId id = stored.assigned.task.id;
  if (const auto found = found_endpoints_.find(id); found != found_endpoints_.end()) {
    stored.endpoint = found->second;
  }
  auto task = std::make_unique<TaskController>(*around_, std::move(stored), adopted);
  if (!adopted && task->stored().container_intended) {
    // Taken over on the managers' word: the next start shall know it again.
    const Status kept = db_->put(task->stored());
    if (!kept) spdlog::error("agent: {}", kept.error().message);
  }
  tasks_[id] = std::move(task);
}

asio::awaitable<void> Agent::Core::take_stock() {
  std::vector<model::TaskId> tasks;
  std::vector<std::string> containers;
  std::vector<std::string> endpoints;
  for (const AssignedTask& task : first_wanted_->tasks) {
    tasks.push_back(task.task.id);
    containers.push_back(container_id_of(task.task.id));
    endpoints.push_back(network_->planned(task.task.id).endpoint);
  }
  // Before any task begins: a new one must not be given an address that is in use.
  co_await adopt_endpoints(std::move(tasks));
  co_await end_restore(std::move(containers), std::move(endpoints));
  unsure_ = false;
  const AssignmentSet wanted = std::move(*first_wanted_);  // the latest: it may have changed
  first_wanted_.reset();
  bring_about(wanted);
  found_endpoints_.clear();
  tasks_changed_.notify();
  co_await sweep();
}

asio::awaitable<void> Agent::Core::adopt_endpoints(std::vector<model::TaskId> tasks) {
  const std::vector<std::string> all = namespaces_.list();
  const std::set<std::string> there(all.begin(), all.end());
  const std::string interface = drivers::JoinRequest().interface;
  for (const model::TaskId id : tasks) {
    if (!there.contains(id.str())) continue;
    Result<InterfaceAddress> has = co_await namespaces_.address(id.str(), interface);
    Result<StoredEndpoint> endpoint = fail(ErrorKind::not_found, "");
    if (has) {
      endpoint = co_await network_->adopt(network_->planned(id), std::move(has->cidr),
                                          std::move(has->mac));
    }
    if (endpoint) {
      found_endpoints_[id] = std::move(*endpoint);
    } else {
      // Not joined yet, or of another subnet: the task's own steps attach it anew.
      spdlog::info("agent: the address of task {} is not taken over: {}", id.str(),
                   has ? endpoint.error().message : has.error().message);
    }
  }
}

asio::awaitable<void> Agent::Core::run(model::TaskId id) {
  co_await tasks_.at(id)->run();
  tasks_.erase(id);
  leaving_.erase(id);
  tasks_changed_.notify();
  const auto again = wanted_again_.find(id);
  if (again == wanted_again_.end()) co_return;
  StoredTask stored;
  stored.assigned = std::move(again->second);
  wanted_again_.erase(again);
  begin(std::move(stored), /*adopted=*/false);
}

void Agent::Core::assign(const AssignmentSet& wanted) {
  if (stopped_) return;
  if (!unsure_) return bring_about(wanted);
  const bool first = !first_wanted_;
  first_wanted_ = wanted;
  if (first) group_.start(take_stock());
}

void Agent::Core::bring_about(const AssignmentSet& wanted) {
  std::set<model::TaskId> listed;
  wanted_again_.clear();
  for (const AssignedTask& task : wanted.tasks) {
    listed.insert(task.task.id);
    const auto known = tasks_.find(task.task.id);
    if (leaving_.contains(task.task.id)) {
      wanted_again_[task.task.id] = task;
    } else if (known != tasks_.end()) {
      known->second->assign(task);
    } else {
      StoredTask stored;
      stored.assigned = task;
      begin(std::move(stored), /*adopted=*/false);
    }
  }
  for (const auto& [id, task] : tasks_) {
    if (listed.contains(id)) continue;
    leaving_.insert(id);
    task->unlist();
  }
}

asio::awaitable<Status> Agent::Core::remove_all(std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  assign(AssignmentSet{});
  while (unsure_ || !tasks_.empty()) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) {
      co_return fail(ErrorKind::unavailable,
                     std::to_string(tasks_.size()) + " tasks could not be removed yet" +
                         (runtime_news_.trouble.empty() ? "" : ": " + runtime_news_.trouble));
    }
    co_await tasks_changed_.changed_within(left);
  }
  co_return Status();
}

asio::awaitable<void> Agent::Core::stop() {
  stopped_ = true;
  group_.cancel();
  co_await group_.done();
}

std::vector<TaskReport> Agent::Core::reports() const {
  std::vector<TaskReport> all;
  for (const auto& [id, task] : tasks_) all.push_back({id, task->stored().status});
  return all;
}

void Agent::Core::collect(TaskReport report) {
  if (stopped_) return;
  const bool first = collected_.empty();
  const auto same = std::find_if(collected_.begin(), collected_.end(),
                                 [&](const TaskReport& other) { return other.id == report.id; });
  if (same != collected_.end()) {
    *same = std::move(report);
  } else {
    collected_.push_back(std::move(report));
  }
  if (!first) return;
  asio::post(loop_, [this, alive = alive_] {
    if (!*alive || stopped_) return;
    std::vector<TaskReport> reports;
    reports.swap(collected_);
    report_(std::move(reports));
  });
}

void Agent::Core::note_health(const drivers::RuntimeHealth& health) {
  const std::string name = health.name.empty() ? "containerd" : health.name;
  const std::string trouble =
      health.healthy ? "" : "runtime " + name + " is not reachable: " + health.reason;
  if (trouble != runtime_news_.trouble) {
    if (health.healthy) spdlog::info("agent: runtime {} is back", name);
    if (!health.healthy) spdlog::warn("agent: {}", trouble);
  }
  runtime_news_.trouble = trouble;
  if (!health.version.empty()) runtime_news_.version = name + " " + health.version;
  if (health.healthy) runtime_back_.notify();
}

asio::awaitable<void> Agent::Core::follow_health() {
  while (true) {
    std::function<void(drivers::RuntimeHealth)> note = [this](drivers::RuntimeHealth health) {
      note_health(health);
    };
    const Status end = co_await runtime_.fingerprint(std::move(note));
    if (!end) runtime_news_.trouble = "runtime driver: " + end.error().message;
    Signal never(loop_);
    co_await never.changed_within(options_.retry_first);
  }
}

asio::awaitable<void> Agent::Core::sweep_forever() {
  while (true) {
    co_await sweep();
    co_await containers_->count_images();
    co_await settle_database();
    // Also when the runtime is back: what it could not list before is looked at then.
    co_await runtime_back_.changed_within(options_.sweep_period);
  }
}

asio::awaitable<void> Agent::Core::settle_database() {
  std::function<Status()> work = [path = database_path()] { return AgentDb::checkpoint(path); };
  const Status settled = co_await disk_.run(std::move(work));
  if (!settled) spdlog::warn("agent: {}", settled.error().message);
}

asio::awaitable<void> Agent::Core::sweep() {
  if (unsure_) co_return;
  // Listed before the wanted set is taken: what a task makes meanwhile is in the set.
  const Result<std::vector<drivers::ContainerState>> all = co_await runtime_.list();
  const std::vector<std::string> namespaces = namespaces_.list();
  std::set<std::string> containers;
  std::set<std::string> names;
  for (const auto& [id, task] : tasks_) {
    containers.insert(task->container_id());
    names.insert(id.str());
  }
  sweep_folders(options_.data_dir + "/containers", containers);
  if (all) {
    std::set<std::string> strays;
    for (const drivers::ContainerState& container : *all) {
      if (containers.contains(container.id)) continue;
      spdlog::info("agent: container {} belongs to no task and is removed", container.id);
      const Status gone = co_await runtime_.remove(container.id, /*force=*/true);
      if (gone || gone.error().kind == ErrorKind::not_found) continue;
      spdlog::warn("agent: {}", gone.error().message);
      strays.insert(container.id);
    }
    strays_ = std::move(strays);
    sweep_folders(options_.data_dir + "/logs", containers);
  }
  for (const std::string& name : namespaces) {
    if (names.contains(name)) continue;
    const Status gone = co_await namespaces_.remove(name);
    if (!gone) spdlog::warn("agent: {}", gone.error().message);
  }
  std::function<std::set<std::string>()> wanted = [this] {
    std::set<std::string> endpoints;
    for (const auto& [id, task] : tasks_) endpoints.insert(network_->planned(id).endpoint);
    return endpoints;
  };
  co_await network_->sweep(std::move(wanted));
  swept_.notify();
}

// Apart from the other sweeping, because drivers of volumes may take minutes to answer.
asio::awaitable<void> Agent::Core::sweep_volumes_forever() {
  while (true) {
    co_await volumes_->settle();
    std::function<std::set<std::string>()> existing = [this] {
      std::set<std::string> ids = strays_.value();
      for (const auto& [id, task] : tasks_) ids.insert(task->container_id());
      return ids;
    };
    if (strays_) co_await volumes_->sweep(std::move(existing));
    co_await swept_.changed_within(options_.sweep_period);
  }
}

void Agent::Core::sweep_folders(const std::string& folder,
                                const std::set<std::string>& wanted) const {
  std::error_code error;
  std::vector<std::string> stale;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (!wanted.contains(at->path().filename().string())) stale.push_back(at->path().string());
  }
  for (const std::string& path : stale) {
    if (const Status gone = remove_folder(path); !gone) {
      spdlog::warn("agent: {}", gone.error().message);
    }
  }
}

Agent::Agent(asio::any_io_executor loop, drivers::RuntimeDriver& runtime,
             drivers::NetworkDriver& network, std::vector<NamedVolumeDriver> volume_drivers,
             AgentOptions options, Report report)
    : core_(std::make_unique<Core>(std::move(loop), runtime, network, std::move(volume_drivers),
                                   std::move(options), std::move(report))) {}

Agent::~Agent() = default;

asio::awaitable<Status> Agent::start() {
  return core_->start();
}

void Agent::assign(const AssignmentSet& wanted) {
  core_->assign(wanted);
}

std::vector<TaskReport> Agent::reports() const {
  return core_->reports();
}

asio::awaitable<Status> Agent::remove_all(std::chrono::seconds limit) {
  return core_->remove_all(limit);
}

asio::awaitable<void> Agent::stop() {
  return core_->stop();
}

model::NodeDescription Agent::description(std::vector<model::EnginePlugin> plugins) const {
  model::NodeDescription node = describe_node(core_->options().hostname);
  node.plugins = std::move(plugins);
  return node;
}

Containers& Agent::containers() {
  return core_->containers();
}

Volumes& Agent::volumes() {
  return core_->volumes();
}

}  // namespace skep::agent
