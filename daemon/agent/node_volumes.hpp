// This node's volumes: who has which, and what each driver was asked for.
//
// The agent owns this state, not the drivers. Invariants: a row is written before a driver is asked
// to make or remove anything, and again with what it answered, so a crash in between leaves a row
// that tells what to finish; a volume's holders are the containers that have it or are about to,
// and every call of a driver carries all of them; a driver is used only after it was handed back
// all its volumes (restore, restore_done).
//
// A driver may have volumes that no row names: the database was lost, or another node made them.
// They are taken up as they are. Data is never removed because the agent forgot about it.
//
// The surprise: when it is not known whether a create came through, the row stays, and the create
// is repeated later. Taking it back instead could remove data that was there before.
//
// A driver that is slow or away holds up its own volumes and nothing else. On the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/agent/agent_db.hpp"
#include "daemon/agent/blocking_work.hpp"
#include "daemon/agent/container_table.hpp"
#include "daemon/agent/coroutine_group.hpp"
#include "daemon/agent/name_locks.hpp"
#include "daemon/agent/options.hpp"
#include "daemon/agent/signal.hpp"
#include "daemon/agent/volumes.hpp"
#include "daemon/drivers/volume_driver.hpp"

namespace skep::agent {

// A volume driver of this node. It outlives the agent.
struct NamedVolumeDriver {
  std::string name;        // "local", or the plugin's id
  std::string other_name;  // by which the operator configured it
  drivers::VolumeDriver* driver = nullptr;
};

// Which containers have which volumes: from a volume's name to their ids.
using VolumeHolders = std::map<std::string, std::set<std::string>>;

// A volume of a task, ready to be bound into its container.
struct PublishedVolume {
  std::string name;
  std::string driver;
  std::string path;  // on the node
};

class NodeVolumes final : public Volumes {
 public:
  NodeVolumes(boost::asio::any_io_executor loop, std::vector<NamedVolumeDriver> drivers,
              AgentDb& db, BlockingWork& disk, ContainerTable& table, const AgentOptions& options,
              CoroutineGroup& background);
  ~NodeVolumes() override;
  NodeVolumes(const NodeVolumes&) = delete;
  NodeVolumes& operator=(const NodeVolumes&) = delete;

  // Reads what is stored. Once, before anything else.
  Status load();
  // Hands every driver its volumes back, in the background, until each has taken them; and again
  // whenever one was started anew. `found` are the holders that are known to exist, beside those
  // that are stored. Once, after load().
  void begin_restore(VolumeHolders found);

  std::vector<Volume> list() const override;
  Result<Volume> find(std::string_view name) const override;
  boost::asio::awaitable<Result<Volume>> create(VolumeWish wish) override;
  boost::asio::awaitable<Status> remove(std::string name, bool force) override;
  boost::asio::awaitable<Result<int64_t>> usage(std::string name) override;
  std::vector<std::string> drivers() const override;

  // Makes the volume of a task's mount if it isn't there, and publishes it to `container`, which
  // holds it from now on. May be repeated. Requires: a mount of type volume. Errors name volume and
  // driver.
  boost::asio::awaitable<Result<PublishedVolume>> publish(std::string container,
                                                          model::Mount mount);
  // The container is gone: takes its volumes back, and removes those that were its own. May be
  // repeated.
  boost::asio::awaitable<Status> release(std::string container);

  // Finishes what was begun and could not be finished.
  boost::asio::awaitable<void> settle();
  // Releases what is held by containers that are not in what `existing` says.
  boost::asio::awaitable<void> sweep(std::function<std::set<std::string>()> existing);

  // The name of the volume that a mount means: its source, else one that follows from the container
  // and the place.
  static std::string name_of(const std::string& container, const model::Mount& mount);
  // What `docker inspect` shows of a container's mounts.
  std::vector<ContainerMount> shown_mounts(const std::string& container,
                                           const std::vector<model::Mount>& mounts) const;

 private:
  struct Driver {
    explicit Driver(NamedVolumeDriver which, boost::asio::any_io_executor loop)
        : named(std::move(which)), changed(std::move(loop)) {}
    NamedVolumeDriver named;
    std::string scope = "local";
    bool ready = false;             // has had all its volumes back
    std::string trouble;            // why it isn't ready
    std::set<std::string> strange;  // names it has and no row tells of: nobody may clear them away
    // Why a volume could not be restored, if that is worth a repeat. Shared, because a driver that
    // is being restored may tell it when nobody is left to hear.
    std::shared_ptr<std::optional<Error>> not_now = std::make_shared<std::optional<Error>>();
    Signal changed;
  };
  using Rows = std::map<std::string, StoredVolume, std::less<>>;

  // Errors: not_found, in Docker's words.
  Result<Driver*> driver(std::string_view name);
  // Waits a while for a driver that is taking its volumes back.
  boost::asio::awaitable<Status> ready(Driver& driver);

  boost::asio::awaitable<void> restore(Driver& driver);
  boost::asio::awaitable<Status> restore_once(Driver& driver);
  boost::asio::awaitable<Status> take_up(Driver& driver);
  Status take_up_one(Driver& driver, drivers::KnownVolume known);
  drivers::RestorePlan plan(const Driver& driver) const;

  // These require that the caller holds the volume's lock, so that its row stays where it is.
  // The row, made; `owner` as in StoredVolume.
  boost::asio::awaitable<Result<StoredVolume*>> ensure(VolumeWish wish, std::string owner);
  boost::asio::awaitable<Status> make(std::string name, Driver& driver);
  boost::asio::awaitable<Status> unmake(std::string name, Driver& driver, bool force);
  boost::asio::awaitable<Status> let_go(std::string name, std::string container);
  boost::asio::awaitable<Status> settle_one(std::string name);
  Status keep(const StoredVolume& row);
  Status forget(const std::string& name);

  // What was written survives a loss of power from here on.
  boost::asio::awaitable<void> to_disk();
  Volume shown(const StoredVolume& row) const;
  void publish_event(const StoredVolume& row, std::string action, model::Labels more);

  boost::asio::any_io_executor loop_;
  std::vector<std::unique_ptr<Driver>> drivers_;
  AgentDb& db_;
  BlockingWork& disk_;
  ContainerTable& table_;
  const AgentOptions& options_;
  CoroutineGroup& background_;
  NameLocks locks_;
  Rows rows_;
  VolumeHolders found_;  // of volumes that may be taken up yet
};

}  // namespace skep::agent
