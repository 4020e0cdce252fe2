// Loading one after the other, in the order of the config, and remembering what became of each.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/driver_set.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/drivers/plugin.hpp"
#include "daemon/drivers/typed_call.hpp"
#include "skep/network.h"
#include "skep/runtime.h"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;

constexpr int64_t probe_deadline_ms = 5'000;
constexpr int64_t shutdown_deadline_ms = 10'000;

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

}  // namespace

// The plugin is declared before its clients, so that it goes after them.
struct DriverSet::Member {
  DriverState state;
  std::unique_ptr<Plugin> plugin;  // empty when refused
  std::unique_ptr<RuntimeDriver> runtime;
  std::unique_ptr<NetworkDriver> network;

  bool called(std::string_view id) const { return state.id == id || state.name == id; }

  asio::awaitable<void> load(PluginConfig config, PluginPlace place);
  asio::awaitable<void> probe();
};

asio::awaitable<void> DriverSet::Member::load(PluginConfig config, PluginPlace place) {
  state.name = config.name;
  state.path = config.path;
  Result<std::unique_ptr<Plugin>> opened = Plugin::open(config);
  if (!opened) {
    state.refused = opened.error().within("plugin " + config.name);
    co_return;
  }
  plugin = std::move(*opened);
  state.id = plugin->identity().id;
  state.version = plugin->identity().version;
  state.interfaces = plugin->identity().interfaces;
  const Status configured = co_await plugin->configure(std::move(place));
  if (!configured) {
    state.refused = configured.error();
    plugin.reset();
    co_return;
  }
  if (plugin->has(SKEP_RUNTIME_1)) {
    runtime = std::make_unique<RuntimeDriver>(*plugin);
  }
  if (plugin->has(SKEP_NETWORK_1)) {
    network = std::make_unique<NetworkDriver>(*plugin);
  }
  co_await probe();
}

asio::awaitable<void> DriverSet::Member::probe() {
  if (!plugin) co_return;
  CallOptions options;
  options.deadline_ms = probe_deadline_ms;
  const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, probe);
  const Result<Probe> probe = co_await ask(*plugin, operation, std::string(), std::string("{}"),
                                           std::move(options), &read_probe);
  state.probe = probe ? probe->state : ProbeState::broken;
  state.reason = probe ? probe->reason : probe.error().message;
}

DriverSet::DriverSet() = default;
DriverSet::~DriverSet() = default;

asio::awaitable<std::unique_ptr<DriverSet>> DriverSet::load(std::vector<PluginConfig> configs,
                                                            PluginPlace place) {
  std::unique_ptr<DriverSet> set(new DriverSet());
  for (PluginConfig& config : configs) {
    auto member = std::make_unique<Member>();
    const bool taken =
        std::any_of(set->members_.begin(), set->members_.end(),
                    [&](const auto& other) { return other->state.name == config.name; });
    if (taken) {
      member->state.name = config.name;
      member->state.path = config.path;
      member->state.refused =
          Error{ErrorKind::invalid, "duplicate_id: two plugins are named " + config.name +
                                        " in the configuration; rename one"};
    } else {
      co_await member->load(std::move(config), place);
    }
    set->members_.push_back(std::move(member));
  }
  co_return set;
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
  for (const auto& member : members_) {
    if (!member->called(id)) continue;
    if (member->state.refused) {
      return fail(ErrorKind::unavailable, member->state.refused->message);
    }
    if (member->network) return member->network.get();
    return fail(ErrorKind::invalid, "plugin " + member->state.name + " is no network driver");
  }
  return fail(ErrorKind::unavailable,
              "network driver " + std::string(id) + " is not installed on this node");
}

std::vector<std::string> DriverSet::network_ids() const {
  std::vector<std::string> ids;
  for (const auto& member : members_) {
    if (member->network) ids.push_back(member->state.id);
  }
  return ids;
}

Result<Plugin*> DriverSet::plugin(std::string_view id) {
  for (const auto& member : members_) {
    if (!member->called(id)) continue;
    if (member->state.refused) {
      return fail(ErrorKind::unavailable, member->state.refused->message);
    }
    return member->plugin.get();
  }
  return fail(ErrorKind::unavailable,
              "plugin " + std::string(id) + " is not installed on this node");
}

asio::awaitable<void> DriverSet::probe() {
  for (const auto& member : members_) co_await member->probe();
}

std::vector<DriverState> DriverSet::states() const {
  std::vector<DriverState> all;
  for (const auto& member : members_) all.push_back(member->state);
  return all;
}

asio::awaitable<void> DriverSet::shutdown() {
  for (const auto& member : members_) {
    if (!member->plugin) continue;
    CallOptions options;
    options.deadline_ms = shutdown_deadline_ms;
    const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, shutdown);
    const Status ended = co_await tell(*member->plugin, operation, std::string(), std::string("{}"),
                                       std::move(options));
    if (!ended) member->state.reason = ended.error().message;
  }
}

}  // namespace skep::drivers
