// Loading all at the same time, and telling what became of each in the order of the config.
//
// A coroutine that works on a member owns it, so that one that takes too long can be left to
// itself; the member's plugin may be gone when it goes on.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/driver_set.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/drivers/plugin.hpp"
#include "daemon/drivers/together.hpp"
#include "daemon/drivers/typed_call.hpp"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds probe_period{10'000};  // of a driver that is ready
constexpr milliseconds probe_pause_min{100};  // of one that is not, after it came up

struct Probe {
  ProbeState state = ProbeState::unknown;
  std::string reason;
};

Probe read_probe(const json& document) {
  Probe probe;
  const std::string state = document.at("state").get<std::string>();
  probe.state = state == "ready"       ? ProbeState::ready
                : state == "not_ready" ? ProbeState::not_ready
                                       : ProbeState::broken;
  probe.reason = document.value("reason", "");
  return probe;
}

// Objects of two kinds would need two owners, who each know half of what may be cleared away.
Status one_kind(const Plugin& plugin) {
  std::string first;
  for (const char* id : {SKEP_RUNTIME_1, SKEP_NETWORK_1, SKEP_LB_1, SKEP_VOLUME_1}) {
    if (!plugin.has(std::string_view(id))) continue;
    if (!first.empty()) {
      return fail(ErrorKind::invalid, "init_failed: " + plugin.config().path + " offers " + first +
                                          " and " + id + "; a plugin is of one kind, make it two");
    }
    first = id;
  }
  return {};
}

// A key that is gone from the configuration means what it means at a fresh start, so the mode by
// default counts like one that is named.
Status keeps_its_place(const Plugin& plugin, const PluginConfig& fresh) {
  const Isolation wanted = isolation_of(fresh, plugin.identity());
  if (wanted == plugin.isolation()) return {};
  const std::string inside = "in the process of skepd";
  const std::string apart = "in a process of its own";
  const bool runs_inside = plugin.isolation() == Isolation::in_process;
  return fail(ErrorKind::conflict,
              "plugin " + plugin.name() + " runs " + (runs_inside ? inside : apart) +
                  ", and as it is configured now it is to run " + (runs_inside ? apart : inside) +
                  (fresh.isolation ? "" : " (no isolation is named, and that is its default)") +
                  ": that needs a restart of skepd");
}

}  // namespace

// The plugin is declared before its clients, so that it goes after them.
struct DriverSet::Member : std::enable_shared_from_this<DriverSet::Member> {
  DriverState state;
  std::unique_ptr<Plugin> plugin;  // empty when refused, and at the end
  std::unique_ptr<RuntimeDriver> runtime;
  std::unique_ptr<NetworkDriver> network;
  std::unique_ptr<VolumeDriver> volume;
  std::optional<uint64_t> probed_life;  // the plugin's restarts when it was last probed
  milliseconds probe_pause = probe_pause_min;

  bool is_lb() const { return plugin && plugin->has(std::string_view(SKEP_LB_1)); }
  // Whether a node without it is none.
  bool is_needed() const { return runtime || network; }
  // Serves, and was not asked since it does.
  bool is_news() const;

  asio::awaitable<Status> open(PluginConfig config, PluginPlace place,
                               std::function<void()> changed);
  asio::awaitable<void> begin(PluginConfig config, PluginPlace place,
                              std::function<void()> changed);
  // Until it is refused or not; its probe begins among `probes`.
  asio::awaitable<void> come_up(std::optional<Together::Moment> until, Together probes);
  asio::awaitable<void> probe();
  void refuse(const Error& why);
  void end();
};

asio::awaitable<Status> DriverSet::Member::open(PluginConfig config, PluginPlace place,
                                                std::function<void()> changed) {
  SKEP_CO_TRY_ASSIGN(
      plugin, co_await Plugin::begin(std::move(config), std::move(place), std::move(changed)));
  state.id = plugin->identity().id;
  state.version = plugin->identity().version;
  state.interfaces = plugin->identity().interfaces;
  state.isolation = plugin->isolation();
  co_return one_kind(*plugin);
}

asio::awaitable<void> DriverSet::Member::begin(PluginConfig config, PluginPlace place,
                                               std::function<void()> changed) {
  const std::shared_ptr<Member> self = shared_from_this();
  state.name = config.name;
  state.path = config.path;
  const Status opened = co_await open(std::move(config), std::move(place), std::move(changed));
  if (!opened) {
    refuse(opened.error());
    co_return;
  }
  if (plugin->has(std::string_view(SKEP_RUNTIME_1))) {
    runtime = std::make_unique<RuntimeDriver>(*plugin);
  }
  if (plugin->has(std::string_view(SKEP_NETWORK_1))) {
    network = std::make_unique<NetworkDriver>(*plugin);
  }
  if (plugin->has(std::string_view(SKEP_VOLUME_1))) {
    volume = std::make_unique<VolumeDriver>(*plugin);
  }
}

asio::awaitable<void> DriverSet::Member::come_up(std::optional<Together::Moment> until,
                                                 Together probes) {
  const std::shared_ptr<Member> self = shared_from_this();
  const Status there = co_await plugin->came_up(until);
  if (there) {
    probes.start(probe());
  } else {
    refuse(there.error());
  }
}

void DriverSet::Member::refuse(const Error& why) {
  state.refused = why.within("plugin " + state.name);
  end();
}

void DriverSet::Member::end() {
  runtime.reset();
  network.reset();
  volume.reset();
  plugin.reset();
}

bool DriverSet::Member::is_news() const {
  if (!plugin) return false;
  const RunReport report = plugin->report();
  return report.state == RunState::serving && probed_life != report.restarts;
}

asio::awaitable<void> DriverSet::Member::probe() {
  const std::shared_ptr<Member> self = shared_from_this();
  if (!plugin) co_return;
  const RunReport report = plugin->report();
  // One that is away is asked when it is back; its own state says why it is away.
  if (report.state != RunState::serving) {
    state.probe = ProbeState::unknown;
    state.reason.clear();
    co_return;
  }
  if (is_news()) probe_pause = probe_pause_min / 2;
  probed_life = report.restarts;
  const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, probe);
  CallOptions options;
  options.deadline_ms = operation.deadline_ms;
  const Result<std::string> reply =
      co_await plugin->call(operation, std::string(), std::string("{}"), std::move(options));
  if (!plugin) co_return;
  Probe probe;
  Status understood =
      reply ? read_document(*plugin, *reply,
                            [&](const json& document) { probe = read_probe(document); })
            : Status(fail(reply.error()));
  state.probe = understood ? probe.state : ProbeState::broken;
  state.reason = understood ? probe.reason : understood.error().message;
  probe_pause =
      state.probe == ProbeState::ready ? probe_period : std::min(probe_pause * 2, probe_period);
}

DriverSet::DriverSet(DriverSetOptions options) : options_(std::move(options)) {}

DriverSet::~DriverSet() {
  for (const auto& member : members_) member->end();
}

asio::awaitable<std::unique_ptr<DriverSet>> DriverSet::load(std::vector<PluginConfig> configs,
                                                            PluginPlace place,
                                                            DriverSetOptions options) {
  std::unique_ptr<DriverSet> set(new DriverSet(std::move(options)));
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  Together begun(loop);
  for (PluginConfig& config : configs) {
    auto member = std::make_shared<Member>();
    const bool taken =
        std::any_of(set->members_.begin(), set->members_.end(),
                    [&](const auto& other) { return other->state.name == config.name; });
    member->state.name = config.name;
    member->state.path = config.path;
    if (taken) {
      member->state.refused =
          Error{ErrorKind::invalid, "duplicate_id: two plugins are named " + config.name +
                                        " in the configuration; rename one"};
    } else {
      begun.start(member->begin(std::move(config), place, set->options_.changed));
    }
    set->members_.push_back(std::move(member));
  }
  co_await begun.end();
  co_await set->come_up();
  set->tell();
  set->choose_lb();
  co_return set;
}

asio::awaitable<void> DriverSet::come_up() {
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  const auto until = steady_clock::now() + options_.start_patience;
  Together starts(loop);
  Together needed(loop);
  Together others(loop);
  for (const auto& member : members_) {
    if (!member->plugin) continue;
    if (member->is_needed()) {
      starts.start(member->come_up({}, needed));
    } else {
      starts.start(member->come_up(until, others));
    }
  }
  // Each start is limited by itself. A refusal takes the member's clients away, so none may come
  // when they have been handed out.
  co_await starts.end();
  co_await needed.end();
  co_await others.end(until);
}

// In the order of the configuration, whoever was quicker.
void DriverSet::tell() const {
  for (const auto& member : members_) {
    const DriverState& state = member->state;
    if (state.refused) {
      spdlog::error("plugin {} is not used: {}", state.name, state.refused->message);
      continue;
    }
    const RunReport report = member->plugin->report();
    if (report.state == RunState::serving) {
      spdlog::info("plugin {} is {} {}", state.name, state.id, state.version);
    } else {
      spdlog::warn("plugin {} does not serve yet, and the node starts without it: {}", state.name,
                   report.reason);
    }
  }
}

// Several may run the same file under different names; then the id means the first.
DriverSet::Member* DriverSet::find(std::string_view id) const {
  for (const auto& member : members_) {
    if (member->state.name == id) return member.get();
  }
  for (const auto& member : members_) {
    if (member->state.id == id) return member.get();
  }
  return nullptr;
}

Result<RuntimeDriver*> DriverSet::runtime() {
  for (const auto& member : members_) {
    if (member->runtime) return member->runtime.get();
  }
  std::string refusals;
  for (const auto& member : members_) {
    if (member->state.refused) refusals += "; " + member->state.refused->message;
  }
  return fail(ErrorKind::unavailable,
              "this node has no runtime driver (skep.runtime/1)" + refusals);
}

Result<NetworkDriver*> DriverSet::network(std::string_view id) {
  const Member* member = find(id);
  if (member == nullptr) {
    return fail(ErrorKind::unavailable,
                "network driver " + std::string(id) + " is not installed on this node");
  }
  if (member->state.refused) return fail(ErrorKind::unavailable, member->state.refused->message);
  if (member->network) return member->network.get();
  return fail(ErrorKind::invalid, "plugin " + member->state.name + " is no network driver");
}

std::vector<std::string> DriverSet::network_ids() const {
  std::vector<std::string> ids;
  for (const auto& member : members_) {
    if (member->network) ids.push_back(member->state.id);
  }
  return ids;
}

std::vector<DriverSet::VolumeMember> DriverSet::volumes() {
  std::vector<VolumeMember> all;
  for (const auto& member : members_) {
    if (member->volume) all.push_back({member->state.id, member->state.name, member->volume.get()});
  }
  return all;
}

Result<Plugin*> DriverSet::plugin(std::string_view id) {
  const Member* member = find(id);
  if (member == nullptr) {
    return fail(ErrorKind::unavailable,
                "plugin " + std::string(id) + " is not installed on this node");
  }
  if (member->state.refused) return fail(ErrorKind::unavailable, member->state.refused->message);
  return member->plugin.get();
}

Result<Plugin*> DriverSet::lb() {
  if (!lb_choice_.name.empty()) return plugin(lb_choice_.name);
  if (lb_choice_.passed_over.empty()) {
    return fail(ErrorKind::unavailable, "no balancer (skep.lb/1) is configured on this node");
  }
  std::string reasons;
  for (const auto& [name, reason] : lb_choice_.passed_over) reasons += "; " + name + ": " + reason;
  return fail(ErrorKind::unavailable, "no balancer is ready" + reasons);
}

void DriverSet::choose_lb() {
  if (!lb_choice_.name.empty()) return;  // who serves is not changed under the traffic
  std::vector<std::string> names = options_.lb;
  if (names.empty()) {
    for (const auto& member : members_) {
      if (member->is_lb()) names.push_back(member->state.name);
    }
  }
  const LbChoice before = std::exchange(lb_choice_, LbChoice());
  for (const std::string& name : names) {
    const Member* member = find(name);
    std::string reason;
    if (member == nullptr) {
      reason = "no plugin of this name is configured";
    } else if (member->state.refused) {
      reason = member->state.refused->message;
    } else if (!member->is_lb()) {
      reason = "it is no balancer (skep.lb/1)";
    } else if (member->plugin->report().state == RunState::unhealthy) {
      reason = member->plugin->report().reason;
    } else if (member->state.probe != ProbeState::ready) {
      reason = member->state.reason.empty() ? "it is not ready" : member->state.reason;
    } else {
      lb_choice_.name = member->state.name;
      break;
    }
    lb_choice_.passed_over.emplace_back(name, std::move(reason));
  }
  if (lb_choice_.passed_over != before.passed_over) {
    for (const auto& [name, reason] : lb_choice_.passed_over) {
      spdlog::warn("balancer {} is not used: {}", name, reason);
    }
  }
  if (!lb_choice_.name.empty()) spdlog::info("balancer {} is used", lb_choice_.name);
}

asio::awaitable<void> DriverSet::probe() {
  Together probes(co_await asio::this_coro::executor);
  for (const auto& member : members_) probes.start(member->probe());
  co_await probes.end();
  choose_lb();
}

milliseconds DriverSet::probe_pause() const {
  milliseconds pause = probe_period;
  for (const auto& member : members_) {
    if (!member->plugin || member->plugin->report().state != RunState::serving) continue;
    pause = std::min(pause, member->is_news() ? milliseconds(0) : member->probe_pause);
  }
  return pause;
}

asio::awaitable<Status> DriverSet::reload(std::string name) {
  SKEP_CO_TRY_ASSIGN(Plugin * plugin, this->plugin(name));
  if (!options_.fresh_config) {
    co_return fail(ErrorKind::unimplemented, "this node's plugins have no configuration to reload");
  }
  SKEP_CO_TRY_ASSIGN(PluginConfig fresh, options_.fresh_config(plugin->name()));
  SKEP_CO_TRY(keeps_its_place(*plugin, fresh));
  const Status reloaded = co_await plugin->reload(std::move(fresh));
  co_await find(name)->probe();
  choose_lb();
  co_return reloaded;
}

std::vector<DriverState> DriverSet::states() const {
  std::vector<DriverState> all;
  for (const auto& member : members_) {
    DriverState& state = all.emplace_back(member->state);
    if (!member->plugin) continue;
    state.run = member->plugin->report();
    // A reload may have changed them.
    state.version = member->plugin->identity().version;
    state.path = member->plugin->config().path;
  }
  return all;
}

asio::awaitable<void> DriverSet::shutdown() {
  Together ends(co_await asio::this_coro::executor);
  for (const auto& member : members_) {
    if (member->plugin) ends.start(member->plugin->end());
  }
  co_await ends.end();
}

}  // namespace skep::drivers
