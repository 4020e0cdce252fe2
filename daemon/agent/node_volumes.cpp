// Making, removing, publishing: one volume at a time, under its lock. Restoring is in a file of its
// own.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/node_volumes.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "core/model/mounts.hpp"
#include "daemon/agent/identity_text.hpp"
#include "daemon/agent/task_controller.hpp"

namespace skep::agent {

namespace asio = boost::asio;

namespace {

// How long somebody waits for a driver that takes its volumes back after a start.
constexpr std::chrono::seconds kReadyWait{10};

std::string of_driver(const NamedVolumeDriver& driver) {
  return "driver " + driver.name;
}

std::string joined(const std::set<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += (text.empty() ? "" : ", ") + id;
  return text;
}

bool outcome_unknown(ErrorKind kind) {
  return kind == ErrorKind::deadline || kind == ErrorKind::plugin_lost ||
         kind == ErrorKind::unknown_outcome || kind == ErrorKind::cancelled;
}

drivers::VolumeHolding holding_of(const StoredVolume& row, const std::string& container) {
  drivers::VolumeHolding holding;
  holding.volume = row.name;
  holding.handle = row.handle;
  holding.holder = container;
  for (const std::string& other : row.holders) {
    if (other != container) holding.holders.push_back(other);
  }
  return holding;
}

Error no_such_volume(std::string_view name) {
  return Error{ErrorKind::not_found, "get " + std::string(name) + ": no such volume"};
}

}  // namespace

NodeVolumes::NodeVolumes(asio::any_io_executor loop, std::vector<NamedVolumeDriver> drivers,
                         AgentDb& db, BlockingWork& disk, ContainerTable& table,
                         const AgentOptions& options, CoroutineGroup& background)
    : loop_(loop),
      db_(db),
      disk_(disk),
      table_(table),
      options_(options),
      background_(background),
      locks_(loop) {
  for (NamedVolumeDriver& driver : drivers) {
    drivers_.push_back(std::make_unique<Driver>(std::move(driver), loop));
  }
}

NodeVolumes::~NodeVolumes() {
  for (const auto& driver : drivers_) driver->named.driver->forget_source();
}

Status NodeVolumes::load() {
  SKEP_TRY_ASSIGN(std::vector<StoredVolume> volumes, db_.volumes());
  for (StoredVolume& volume : volumes) {
    std::string name = volume.name;
    rows_.emplace(std::move(name), std::move(volume));
  }
  SKEP_TRY_ASSIGN(const std::set<std::string> told, db_.volume_drivers());
  for (const auto& driver : drivers_) driver->told = told.contains(driver->named.name);
  return {};
}

// --- looks

std::vector<Volume> NodeVolumes::list() const {
  std::vector<Volume> all;
  for (const auto& [name, row] : rows_) {
    if (row.stage != VolumeStage::intended) all.push_back(shown(row));
  }
  return all;
}

Result<Volume> NodeVolumes::find(std::string_view name) const {
  const auto at = rows_.find(name);
  if (at == rows_.end() || at->second.stage == VolumeStage::intended) {
    return fail(no_such_volume(name));
  }
  return shown(at->second);
}

Volume NodeVolumes::shown(const StoredVolume& row) const {
  Volume volume{row.name,       row.driver, row.options, row.labels,
                row.created_at, row.path,   "local",     row.holders};
  for (const auto& driver : drivers_) {
    if (driver->named.name == row.driver) volume.scope = driver->scope;
  }
  return volume;
}

std::vector<std::string> NodeVolumes::drivers() const {
  std::vector<std::string> names;
  for (const auto& driver : drivers_) names.push_back(driver->named.name);
  return names;
}

Result<NodeVolumes::Driver*> NodeVolumes::driver(std::string_view name) {
  const std::string wanted = model::volume_driver_name(name);
  for (const auto& driver : drivers_) {
    if (driver->named.name == wanted || driver->named.other_name == wanted) return driver.get();
  }
  return fail(ErrorKind::not_found,
              "error looking up volume plugin " + wanted + ": plugin \"" + wanted + "\" not found");
}

asio::awaitable<Status> NodeVolumes::ready(Driver& driver, std::string name) {
  const auto limit = std::chrono::steady_clock::now() + kReadyWait;
  const std::string not_ready = of_driver(driver.named) + " is not ready: ";
  while (!driver.ready) {
    const auto left = limit - std::chrono::steady_clock::now();
    if (!driver.trouble.empty() || left <= left.zero()) {
      co_return fail(ErrorKind::unavailable,
                     not_ready + (driver.trouble.empty() ? "it still starts" : driver.trouble));
    }
    co_await driver.changed.changed_within(left);
  }
  const auto absent = driver.withheld->volumes.find(name);
  if (absent == driver.withheld->volumes.end()) co_return Status();
  co_return fail(ErrorKind::unavailable, not_ready + absent->second);
}

asio::awaitable<Status> NodeVolumes::all_told() {
  const auto limit = std::chrono::steady_clock::now() + kReadyWait;
  for (const auto& driver : drivers_) {
    while (!driver->told) {
      const auto left = limit - std::chrono::steady_clock::now();
      if (!driver->trouble.empty() || left <= left.zero()) {
        const std::string why = driver->trouble.empty() ? "it still starts" : driver->trouble;
        co_return fail(ErrorKind::unavailable,
                       "it may be a volume of " + of_driver(driver->named) +
                           ", which has not told yet what it has (name a driver to go on): " + why);
      }
      co_await driver->changed.changed_within(left);
    }
  }
  co_return Status();
}

// --- making and removing

asio::awaitable<Result<Volume>> NodeVolumes::create(VolumeWish wish) {
  if (wish.name.empty()) {
    SKEP_CO_TRY_ASSIGN(wish.name, random_hex_id());
    wish.labels[kAnonymousVolumeLabel] = "";
    wish.driver = model::volume_driver_name(wish.driver);  // it can't be anybody's yet
  }
  const std::string name = wish.name;
  const NameLocks::Held lock = co_await locks_.hold(name);
  const Result<StoredVolume> made = co_await ensure(std::move(wish), std::string());
  if (!made) co_return fail(made.error().within("create " + name));
  const Volume volume = shown(*made);
  co_await to_disk();
  co_return volume;
}

asio::awaitable<Result<NodeVolumes::Driver*>> NodeVolumes::choose(std::string name,
                                                                  std::string wanted) {
  while (true) {
    if (wanted.empty() && !rows_.contains(name)) SKEP_CO_TRY(co_await all_told());
    auto at = rows_.find(name);
    const bool whose_it_is = wanted.empty() && at != rows_.end();
    SKEP_CO_TRY_ASSIGN(Driver * chosen, driver(whose_it_is ? at->second.driver : wanted));
    SKEP_CO_TRY(co_await ready(*chosen, name));
    at = rows_.find(name);
    // Another driver may have told meanwhile that the volume is its.
    const bool settled =
        !wanted.empty() || at == rows_.end() || at->second.driver == chosen->named.name;
    if (settled) co_return chosen;
  }
}

asio::awaitable<Result<StoredVolume>> NodeVolumes::ensure(VolumeWish wish, std::string owner) {
  SKEP_CO_TRY(model::validate_volume_name(wish.name));
  const std::string name = wish.name;
  SKEP_CO_TRY_ASSIGN(Driver * chosen, co_await choose(name, wish.driver));
  auto at = rows_.find(name);
  if (at != rows_.end() && at->second.stage == VolumeStage::leaving) {
    SKEP_CO_TRY(co_await settle_one(name));
    at = rows_.find(name);
  }
  if (at != rows_.end()) {
    const StoredVolume& row = at->second;
    if (row.driver != chosen->named.name) {
      co_return fail(ErrorKind::conflict, "driver '" + row.driver + "' already has volume '" +
                                              row.name + "': volume name must be unique");
    }
    if (row.stage == VolumeStage::made) co_return row;
    const Status made = co_await make(name, *chosen, Attempt::repeated);
    if (made) co_return rows_.at(name);
    if (rows_.contains(name)) co_return fail(made.error());
    // What was wished for before can't be made; this wish is another.
  }
  StoredVolume row;
  row.name = name;
  row.driver = chosen->named.name;
  row.options = std::move(wish.options);
  row.labels = std::move(wish.labels);
  row.created_at = options_.clock();
  row.owner = std::move(owner);
  SKEP_CO_TRY(keep(std::move(row)));
  SKEP_CO_TRY(co_await make(name, *chosen, Attempt::first));
  co_return rows_.at(name);
}

asio::awaitable<Status> NodeVolumes::make(std::string name, Driver& driver, Attempt attempt) {
  drivers::VolumeRequest request;
  request.volume = name;
  request.options = rows_.at(name).options;
  const Result<std::string> handle = co_await driver.named.driver->create(std::move(request));
  if (!handle) {
    const ErrorKind kind = handle.error().kind;
    // Of an earlier attempt nobody knows what it left, unless this one is refused for good.
    const bool nothing_left =
        attempt == Attempt::first ? !outcome_unknown(kind) : !is_temporary(kind);
    if (nothing_left) SKEP_CO_TRY(forget(name));
    co_return fail(handle.error().within(of_driver(driver.named)));
  }
  const Result<drivers::KnownVolume> known = co_await driver.named.driver->get(name);
  StoredVolume row = rows_.at(name);
  row.handle = *handle;
  row.stage = VolumeStage::made;
  if (known) row.path = known->path;
  SKEP_CO_TRY(keep(row));
  publish_event(row, "create", {});
  co_return Status();
}

asio::awaitable<Status> NodeVolumes::remove(std::string name, bool force) {
  const NameLocks::Held lock = co_await locks_.hold(name);
  const auto in_use = [this, &name]() -> Status {
    const auto at = rows_.find(name);
    if (at == rows_.end() || at->second.holders.empty()) return {};
    return fail(ErrorKind::conflict,
                "remove " + name + ": volume is in use - [" + joined(at->second.holders) + "]");
  };
  const auto at = rows_.find(name);
  if (at == rows_.end() && force) co_return Status();
  if (at == rows_.end()) co_return fail(no_such_volume(name));
  SKEP_CO_TRY(in_use());
  const Result<Driver*> owner = driver(at->second.driver);
  if (!owner && force) {
    const StoredVolume row = at->second;
    SKEP_CO_TRY(forget(name));
    publish_event(row, "destroy", {});
    co_return Status();
  }
  if (!owner) co_return fail(owner.error().within("remove " + name));
  const Status back = co_await ready(**owner, name);
  if (!back) co_return fail(back.error().within("remove " + name));
  SKEP_CO_TRY(in_use());
  const Status gone = co_await unmake(name, **owner, force);
  if (!gone) co_return fail(gone.error().within("remove " + name));
  co_await to_disk();
  co_return Status();
}

asio::awaitable<Status> NodeVolumes::unmake(std::string name, Driver& driver, bool force) {
  if (!rows_.contains(name)) co_return Status();  // its making failed while it was restored
  StoredVolume row = rows_.at(name);
  const VolumeStage before = row.stage;
  row.stage = VolumeStage::leaving;
  SKEP_CO_TRY(keep(row));
  Status gone = co_await driver.named.driver->remove(name, row.handle, force);
  if (!gone && outcome_unknown(gone.error().kind)) {
    const Result<drivers::KnownVolume> known = co_await driver.named.driver->get(name);
    if (!known && known.error().kind == ErrorKind::not_found) gone = Status();
  }
  if (gone || gone.error().kind == ErrorKind::not_found) {
    SKEP_CO_TRY(forget(name));
    publish_event(row, "destroy", {});
    co_return Status();
  }
  const Error error = gone.error().within(of_driver(driver.named));
  // Half of its data may be gone already, so nobody gets it any more: settle() finishes this.
  const bool begun = outcome_unknown(error.kind) ||
                     (before == VolumeStage::leaving && error.kind == ErrorKind::unavailable);
  if (begun) {
    co_return fail(error.kind, error.message + "; its removal is repeated until it is gone");
  }
  row.stage = before == VolumeStage::leaving ? VolumeStage::made : before;
  correct(std::move(row));
  co_return fail(error);
}

asio::awaitable<Result<int64_t>> NodeVolumes::usage(std::string name) {
  const auto at = rows_.find(name);
  if (at == rows_.end()) co_return fail(no_such_volume(name));
  SKEP_CO_TRY_ASSIGN(Driver * owner, driver(at->second.driver));
  SKEP_CO_TRY(co_await ready(*owner, name));
  co_return co_await owner->named.driver->usage(name);
}

// --- in use

std::string NodeVolumes::name_of(const std::string& container, const model::Mount& mount) {
  if (!mount.source.empty()) return mount.source;
  return sha256_hex("volume of " + container + " at " + mount.target);
}

asio::awaitable<Result<PublishedVolume>> NodeVolumes::publish(std::string container,
                                                              model::Mount mount) {
  const std::string name = name_of(container, mount);
  const bool anonymous = mount.source.empty();
  VolumeWish wish;
  wish.name = name;
  if (mount.volume) {
    wish.labels = mount.volume->labels;
    if (mount.volume->driver) {
      wish.driver = mount.volume->driver->name;
      wish.options = mount.volume->driver->options;
    }
  }
  if (anonymous) {
    wish.labels[kAnonymousVolumeLabel] = "";
    wish.driver = model::volume_driver_name(wish.driver);
  }
  const NameLocks::Held lock = co_await locks_.hold(name);
  const Result<StoredVolume> made =
      co_await ensure(std::move(wish), anonymous ? container : std::string());
  if (!made) co_return fail(made.error().within("create " + name));
  StoredVolume row = *made;
  SKEP_CO_TRY_ASSIGN(Driver * owner, driver(row.driver));
  if (row.holders.insert(container).second) {
    SKEP_CO_TRY(keep(row));
    arriving_.emplace(name, container);
  }
  drivers::VolumeHolding holding = holding_of(row, container);
  holding.read_only = mount.read_only;
  const Result<std::string> path = co_await owner->named.driver->publish(std::move(holding));
  const std::string where = "volume " + name + ": " + of_driver(owner->named);
  if (!path && path.error().kind == ErrorKind::not_found) {
    // Unless it could not be handed back to a driver that was started anew meanwhile.
    SKEP_CO_TRY(co_await ready(*owner, name));
    co_return fail(ErrorKind::not_found, where +
                                             " has lost its data; remove the volume to begin "
                                             "anew: " +
                                             path.error().message);
  }
  if (!path) co_return fail(path.error().within(where));
  if (!path->starts_with('/')) {
    co_return fail(ErrorKind::internal, where + " answered no absolute path: '" + *path + "'");
  }
  if (row.path != *path) {
    row.path = *path;
    SKEP_CO_TRY(keep(row));
  }
  model::Labels more;
  more["container"] = container;
  more["destination"] = mount.target;
  more["read/write"] = mount.read_only ? "false" : "true";
  more["propagation"] = "";
  const bool arrived = arriving_.erase(std::pair(name, container)) > 0;
  if (arrived) publish_event(row, "mount", std::move(more));
  co_return PublishedVolume{name, row.driver, *path};
}

asio::awaitable<Status> NodeVolumes::release(std::string container) {
  std::vector<std::string> names;
  for (const auto& [name, row] : rows_) {
    if (row.holders.contains(container) || row.owner == container) names.push_back(name);
  }
  // Each is tried: a driver that is away keeps its own volumes, and no other's.
  Status released;
  for (const std::string& name : names) {
    const NameLocks::Held lock = co_await locks_.hold(name);
    Status left = co_await let_go(name, container);
    if (!left && released) released = std::move(left);
  }
  co_return released;
}

asio::awaitable<Status> NodeVolumes::let_go(std::string name, std::string container) {
  if (!rows_.contains(name)) co_return Status();
  const Result<Driver*> owner = driver(rows_.at(name).driver);
  if (!owner) {
    // Its driver was taken out of the configuration; nobody is left to be told.
    spdlog::warn("agent: volume {} of {}: {}", name, container, owner.error().message);
    StoredVolume row = rows_.at(name);
    row.holders.erase(container);
    arriving_.erase(std::pair(name, container));
    if (row.owner == container) co_return forget(name);
    co_return keep(std::move(row));
  }
  SKEP_CO_TRY(co_await ready(**owner, name));
  const auto at = rows_.find(name);
  if (at == rows_.end()) co_return Status();
  StoredVolume row = at->second;
  if (row.holders.contains(container)) {
    const Status left = co_await (*owner)->named.driver->unpublish(holding_of(row, container));
    if (!left && left.error().kind != ErrorKind::not_found) {
      co_return fail(left.error().within("volume " + name + ": " + of_driver((*owner)->named)));
    }
    row.holders.erase(container);
    SKEP_CO_TRY(keep(row));
    model::Labels more;
    more["container"] = container;
    const bool never_came = arriving_.erase(std::pair(name, container)) > 0;
    if (!never_came) publish_event(row, "unmount", std::move(more));
  }
  if (row.owner != container || !row.holders.empty()) co_return Status();
  SKEP_CO_TRY(co_await ready(**owner, name));  // its process may have been started anew meanwhile
  co_return co_await unmake(name, **owner, /*force=*/false);
}

std::vector<ContainerMount> NodeVolumes::shown_mounts(
    const std::string& container, const std::vector<model::Mount>& mounts) const {
  std::vector<ContainerMount> all;
  for (const model::Mount& mount : mounts) {
    ContainerMount shown{mount.type, "", mount.source, mount.target, "", mount.read_only};
    if (mount.type == model::MountType::volume) {
      shown.name = name_of(container, mount);
      shown.source.clear();
      if (const auto at = rows_.find(shown.name); at != rows_.end()) {
        shown.source = at->second.path;
        shown.driver = at->second.driver;
      }
    }
    all.push_back(std::move(shown));
  }
  return all;
}

// --- the rows

Status NodeVolumes::keep(StoredVolume row) {
  SKEP_TRY(db_.put(row));
  unwritten_.erase(row.name);
  const std::string name = row.name;
  rows_.insert_or_assign(name, std::move(row));
  return {};
}

void NodeVolumes::correct(StoredVolume row) {
  const std::string name = row.name;
  rows_.insert_or_assign(name, row);
  const Status kept = keep(std::move(row));
  if (kept) return;
  spdlog::error("agent: volume {}: {}", name, kept.error().message);
  unwritten_.insert(name);
}

Status NodeVolumes::forget(const std::string& name) {
  SKEP_TRY(db_.remove_volume(name));
  const std::string gone = name;  // it may be the row's own
  unwritten_.erase(gone);
  rows_.erase(gone);
  return {};
}

asio::awaitable<void> NodeVolumes::to_disk() {
  std::function<Status()> work = [path = options_.data_dir + "/agent.db"] {
    return AgentDb::checkpoint(path);
  };
  const Status written = co_await disk_.run(std::move(work));
  if (!written) spdlog::warn("agent: {}", written.error().message);
}

void NodeVolumes::publish_event(const StoredVolume& row, std::string action, model::Labels more) {
  NodeEvent event;
  event.type = "volume";
  event.action = std::move(action);
  event.id = row.name;
  event.attributes = std::move(more);
  event.attributes["driver"] = row.driver;
  table_.publish(std::move(event));
}

}  // namespace skep::agent
