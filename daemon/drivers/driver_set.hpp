// All drivers of this node: who is loaded, who was refused and why, and who can do what.
//
// Loading never fails as a whole. A plugin that is absent or refused stays in the list with its
// reason, and whoever asks for it gets that reason as an Error naming the plugin: a node without a
// network driver still answers `skep node ls`.
//
// Drivers come up at the same time, and go at the same time. Runtime and network drivers are waited
// for, because a node is none without them; of the others one that takes long is left to come up in
// its own time, and calls wait for it.
//
// All calls: on the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/body.hpp"
#include "daemon/drivers/network_driver.hpp"
#include "daemon/drivers/plugin_config.hpp"
#include "daemon/drivers/runtime_driver.hpp"
#include "daemon/drivers/volume_driver.hpp"

namespace skep::drivers {

class Plugin;

enum class ProbeState : uint8_t { unknown, ready, not_ready, broken };

// What of a driver may be asked for by anybody at any time.
struct DriverState {
  std::string name;                     // of the config
  std::string path;                     // of the config
  std::string id;                       // of the note; empty when refused before it was read
  std::string version;                  // likewise
  std::vector<std::string> interfaces;  // likewise
  std::optional<Error> refused;         // why it is not in use
  Isolation isolation = Isolation::process;
  RunReport run;  // as it is now; of a refused one: nothing
  ProbeState probe = ProbeState::unknown;
  std::string reason;  // of the last probe

  bool unhealthy() const { return !refused && run.state == RunState::unhealthy; }
};

// Which balancer is in use. Chosen from the list in its order, by who says that it is ready.
struct LbChoice {
  std::string name;  // of the config; empty: none
  // Why each one before it was passed over (or each one at all): (name, sentence).
  std::vector<std::pair<std::string, std::string>> passed_over;
};

struct DriverSetOptions {
  // Names of balancers in the order they are tried; empty: all that are configured, by name.
  std::vector<std::string> lb;
  // A plugin's configuration as it is now, for reload().
  std::function<Result<PluginConfig>(const std::string& name)> fresh_config;
  // Told on the loop when some driver has become healthy or unhealthy, or serves again.
  std::function<void()> changed;
  // How long load() waits for a process that the node can do without, and for its probe, once all
  // are begun. A refusal that comes later is a loss of that process: what load() gave stays.
  std::chrono::milliseconds start_patience{3'000};
};

class DriverSet {
 public:
  // Loads and configures all of `configs`, and probes each once that came up in time. Logs what
  // became of each, in their order. Blocks the loop while files are checked and libraries are
  // linked, so it belongs to the start of a node.
  static boost::asio::awaitable<std::unique_ptr<DriverSet>> load(
      std::vector<PluginConfig> configs, PluginPlace place,
      DriverSetOptions options = DriverSetOptions());
  // Ends every driver as Plugin's destructor tells. Kernel state and containers stay.
  ~DriverSet();
  DriverSet(const DriverSet&) = delete;
  DriverSet& operator=(const DriverSet&) = delete;

  // The first driver with skep.runtime/1. The pointer is valid while the set lives.
  Result<RuntimeDriver*> runtime();
  // The network driver whose plugin id or configured name is `id` ("net-bridge").
  Result<NetworkDriver*> network(std::string_view id);
  // The ids of all network drivers in use, in the order of the config.
  std::vector<std::string> network_ids() const;
  // All volume drivers in use, in the order of the config. The pointers are valid while the set
  // lives.
  struct VolumeMember {
    std::string id;    // of the plugin
    std::string name;  // of the config
    VolumeDriver* driver = nullptr;
  };
  std::vector<VolumeMember> volumes();
  // The loaded plugin with this id or configured name, for skep.base/1 calls; a name comes first.
  Result<Plugin*> plugin(std::string_view id);
  // The balancer in use. Errors: none is configured, or none is ready and why.
  Result<Plugin*> lb();
  const LbChoice& lb_choice() const { return lb_choice_; }

  // Asks every driver how it is, all at the same time. Never fails: what went wrong is in
  // states(). While no balancer is in use, this is when one may be chosen.
  boost::asio::awaitable<void> probe();
  // How long to wait before the next probe(): ten seconds at most, less while a driver says that it
  // is not ready, nothing when one serves that was not asked since. Ask again after `changed`.
  std::chrono::milliseconds probe_pause() const;
  std::vector<DriverState> states() const;
  // Takes up the plugin's file and configuration as they are now, and probes it. Each key counts as
  // at a fresh start, also one that is gone. Errors: as Plugin::reload; ErrorKind::conflict also
  // when what changed needs a restart of skepd.
  boost::asio::awaitable<Status> reload(std::string name);

  // Tells every driver at once that the node is ending (skep.base/1 shutdown, best effort).
  boost::asio::awaitable<void> shutdown();

 private:
  struct Member;

  explicit DriverSet(DriverSetOptions options);
  Member* find(std::string_view id) const;
  boost::asio::awaitable<void> come_up();
  void tell() const;
  void choose_lb();

  DriverSetOptions options_;
  std::vector<std::shared_ptr<Member>> members_;
  LbChoice lb_choice_;
};

}  // namespace skep::drivers
