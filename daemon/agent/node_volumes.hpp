// This node's volumes: who has which, and what each driver was asked for.
//
// The agent owns this state, not the drivers. Invariants: a row is written before a driver is asked
// to make or remove anything, and again with what it answered, so a crash in between leaves a row
// that tells what to finish; a volume's holders are the containers that have it or are about to,
// and every call of a driver carries all of them; a driver is used only after its volumes were
// handed back to it (restore, restore_done), and a volume that it could not take back yet is not
// used before it could. What could not be written is not true in memory either: an intention that
// the user was told has failed must not be carried out later.
//
// A driver may have volumes that no row names: the database was lost, or another node made them.
// They are taken up as they are. Data is never removed because the agent forgot about it. Nor is it
// hidden: until each driver has told once what it has, no volume is made of which nobody says whose
// it is, and until the containers that exist are known, none is restored without them.
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
#include <set>
#include <string>
#include <utility>
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
  // Whether a driver has not told yet, since agent.db began, what it has: then nobody knows who
  // holds that, except the containers themselves.
  bool something_unknown() const;
  // begin_restore() has to wait; those who want a volume are told why.
  void hold_up(const std::string& why);

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
  // The volumes that a driver could not take back for a passing reason, and that reason. Shared,
  // because a driver that is being restored may tell it when nobody is left to hear.
  struct Withheld {
    explicit Withheld(boost::asio::any_io_executor loop) : grown(std::move(loop)) {}
    std::map<std::string, std::string> volumes;
    Signal grown;
  };
  struct Driver {
    explicit Driver(NamedVolumeDriver which, const boost::asio::any_io_executor& loop)
        : named(std::move(which)), withheld(std::make_shared<Withheld>(loop)), changed(loop) {}
    NamedVolumeDriver named;
    std::string scope = "local";
    bool told = false;              // once, since agent.db began: which volumes it has
    bool ready = false;             // has had its volumes back
    std::string trouble;            // why it isn't ready
    std::set<std::string> strange;  // names it has and no row tells of: nobody may clear them away
    std::shared_ptr<Withheld> withheld;
    bool outdated = false;  // holders came or went while it was told of them
    Signal changed;
  };
  using Rows = std::map<std::string, StoredVolume, std::less<>>;
  // Whether a create may have been tried before, with an outcome that nobody knows.
  enum class Attempt : uint8_t { first, repeated };

  // Errors: not_found, in Docker's words.
  Result<Driver*> driver(std::string_view name);
  // Waits a while for a driver that is taking its volumes back. Errors: unavailable; also when the
  // volume is one that it could not take back yet.
  boost::asio::awaitable<Status> ready(Driver& driver, std::string name);
  // Waits a while until every driver has told once what it has. Errors: unavailable.
  boost::asio::awaitable<Status> all_told();

  boost::asio::awaitable<void> restore(Driver& driver);
  boost::asio::awaitable<Status> restore_first(Driver& driver);
  boost::asio::awaitable<Status> restore_again(Driver& driver);
  boost::asio::awaitable<Status> take_up(Driver& driver);
  Status take_up_one(Driver& driver, drivers::KnownVolume known);
  drivers::RestorePlan plan(const Driver& driver) const;
  VolumeHolders holders_at(const Driver& driver) const;

  // These require that the caller holds the volume's lock, so that nobody else changes its row.
  // The driver that is meant, ready: `wanted`, else whose the volume is, else the default one.
  boost::asio::awaitable<Result<Driver*>> choose(std::string name, std::string wanted);
  // The row, made; `owner` as in StoredVolume.
  boost::asio::awaitable<Result<StoredVolume>> ensure(VolumeWish wish, std::string owner);
  boost::asio::awaitable<Status> make(std::string name, Driver& driver, Attempt attempt);
  boost::asio::awaitable<Status> unmake(std::string name, Driver& driver, bool force);
  boost::asio::awaitable<Status> let_go(std::string name, std::string container);
  boost::asio::awaitable<Status> settle_one(std::string name);
  // The row as it is from now on, unless it can't be written: then nothing has changed.
  Status keep(StoredVolume row);
  // What is so in any case: if it can't be written now, settle() does it.
  void correct(StoredVolume row);
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
  std::set<std::string> unwritten_;  // rows that agent.db has otherwise
  // Volume and container of a holder that has not had the volume yet: no event has told of it.
  std::set<std::pair<std::string, std::string>> arriving_;
  VolumeHolders found_;  // of volumes that may be taken up yet
};

}  // namespace skep::agent
