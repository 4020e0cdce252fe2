// After a start: each driver gets back what it had, and what was begun is finished.
//
// Nothing here takes a volume's lock while a driver is restored: whoever holds one may be waiting
// for exactly that driver. In return nobody else touches its rows, since all wait for ready().
// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "core/model/mounts.hpp"
#include "daemon/agent/node_volumes.hpp"
#include "daemon/agent/task_controller.hpp"

namespace skep::agent {

namespace asio = boost::asio;

namespace {

constexpr int64_t kPageVolumes = 256;
constexpr size_t kPagesMax = 4096;  // a million volumes; a driver that never ends is no driver

}  // namespace

void NodeVolumes::begin_restore(VolumeHolders found) {
  found_ = std::move(found);
  for (const auto& [name, holders] : found_) {
    const auto at = rows_.find(name);
    if (at == rows_.end()) continue;
    StoredVolume row = at->second;
    row.holders.insert(holders.begin(), holders.end());
    if (row != at->second) correct(std::move(row));
  }
  for (const auto& driver : drivers_) {
    driver->trouble.clear();
    background_.start(restore(*driver));
  }
}

bool NodeVolumes::something_unknown() const {
  return std::any_of(drivers_.begin(), drivers_.end(),
                     [](const auto& driver) { return !driver->told; });
}

void NodeVolumes::hold_up(const std::string& why) {
  for (const auto& driver : drivers_) {
    driver->trouble = why;
    driver->changed.notify();
  }
}

// Goes on as long as the agent: what a driver could not take back, now or when its process was
// started anew, is given to it again.
asio::awaitable<void> NodeVolumes::restore(Driver& driver) {
  std::chrono::milliseconds delay = options_.retry_first;
  while (true) {
    const bool first = !driver.ready;
    Status done;
    if (first) {
      done = co_await restore_first(driver);
    } else {
      done = co_await restore_again(driver);
    }
    if (first) {
      const std::string trouble = done ? "" : done.error().message;
      if (!done && trouble != driver.trouble) {
        spdlog::warn("agent: volume driver {}: {}", driver.named.name, trouble);
      }
      driver.trouble = trouble;
      driver.ready = done.has_value();
      driver.changed.notify();
      if (done) background_.start(settle());  // which may take minutes
    }
    if (done && driver.withheld->volumes.empty() && !driver.outdated) {
      delay = options_.retry_first;
      while (driver.withheld->volumes.empty()) co_await driver.withheld->grown.changed();
    }
    Signal never(loop_);
    co_await never.changed_within(delay);
    delay = std::min(delay * 2, options_.retry_max);
  }
}

asio::awaitable<Status> NodeVolumes::restore_first(Driver& driver) {
  SKEP_CO_TRY_ASSIGN(driver.scope, co_await driver.named.driver->scope());
  SKEP_CO_TRY(co_await take_up(driver));
  drivers::RestoreSource source = [this, &driver] { return plan(driver); };
  co_return co_await driver.named.driver->restore_from(std::move(source));
}

// While it serves. Its list is not asked for again: a volume that is being removed could be on it
// yet, and would be taken up as one that nobody knew.
asio::awaitable<Status> NodeVolumes::restore_again(Driver& driver) {
  std::erase_if(driver.withheld->volumes, [this](const auto& one) {
    const auto at = rows_.find(one.first);
    return at == rows_.end() || at->second.stage != VolumeStage::made;
  });
  if (driver.withheld->volumes.empty() && !driver.outdated) co_return Status();
  const VolumeHolders before = holders_at(driver);
  drivers::RestoreSource source = [this, &driver] { return plan(driver); };
  SKEP_CO_TRY(co_await driver.named.driver->restore_from(std::move(source)));
  // Whoever was letting go at that moment was told to the driver as a holder again.
  driver.outdated = before != holders_at(driver);
  co_return Status();
}

VolumeHolders NodeVolumes::holders_at(const Driver& driver) const {
  VolumeHolders holders;
  for (const auto& [name, row] : rows_) {
    if (row.driver == driver.named.name) holders[name] = row.holders;
  }
  return holders;
}

// A row for each volume of the driver that has none.
asio::awaitable<Status> NodeVolumes::take_up(Driver& driver) {
  std::string token;
  for (size_t pages = 0; pages < kPagesMax; ++pages) {
    SKEP_CO_TRY_ASSIGN(drivers::VolumePage page,
                       co_await driver.named.driver->list(kPageVolumes, token));
    for (drivers::KnownVolume& known : page.volumes) {
      SKEP_CO_TRY(take_up_one(driver, std::move(known)));
    }
    token = page.next == token ? "" : page.next;
    if (!token.empty()) continue;
    if (driver.told) co_return Status();
    SKEP_CO_TRY(db_.put_volume_driver(driver.named.name));
    driver.told = true;
    driver.changed.notify();
    co_return Status();
  }
  co_return fail(ErrorKind::internal, "the list of its volumes does not end");
}

Status NodeVolumes::take_up_one(Driver& driver, drivers::KnownVolume known) {
  const auto at = rows_.find(known.volume);
  if (at != rows_.end() && at->second.driver == driver.named.name) return {};
  if (at != rows_.end() || !model::validate_volume_name(known.volume)) {
    spdlog::warn("agent: volume {} of driver {} is hidden: {}", known.volume, driver.named.name,
                 at == rows_.end() ? "no volume is called so"
                                   : "driver " + at->second.driver + " has one of this name");
    driver.strange.insert(known.volume);
    return {};
  }
  spdlog::info("agent: volume {} of driver {} is taken up", known.volume, driver.named.name);
  StoredVolume row;
  row.name = known.volume;
  row.driver = driver.named.name;
  row.options = std::move(known.options);
  row.created_at = options_.clock();
  row.stage = VolumeStage::made;
  row.handle = std::move(known.handle);
  row.path = std::move(known.path);
  if (const auto holders = found_.find(row.name); holders != found_.end()) {
    row.holders = holders->second;
  }
  return keep(std::move(row));
}

drivers::RestorePlan NodeVolumes::plan(const Driver& driver) const {
  drivers::RestorePlan plan;
  std::vector<std::string> ids(driver.strange.begin(), driver.strange.end());
  for (const auto& [name, row] : rows_) {
    if (row.driver != driver.named.name) continue;
    ids.push_back(name);
    if (row.stage != VolumeStage::made) continue;
    std::vector<std::string> holders(row.holders.begin(), row.holders.end());
    plan.objects.push_back(drivers::restored_volume(name, row.handle, holders));
  }
  plan.ids = std::move(ids);
  plan.told = [withheld = driver.withheld, of = driver.named.name](const std::string& name,
                                                                   const Status& back) {
    const auto at = withheld->volumes.find(name);
    const std::string before = at == withheld->volumes.end() ? "" : at->second;
    if (!back && is_temporary(back.error().kind)) {
      withheld->volumes[name] = back.error().message;
      withheld->grown.notify();
    } else {
      withheld->volumes.erase(name);
    }
    // Its row stays: that its data are gone is for a person to find out and to decide about.
    if (back || back.error().message == before) return;
    spdlog::warn("agent: volume {} of driver {} is not as it was: {}", name, of,
                 back.error().message);
  };
  return plan;
}

asio::awaitable<void> NodeVolumes::settle() {
  const std::set<std::string> unwritten = unwritten_;
  for (const std::string& name : unwritten) {
    if (const auto at = rows_.find(name); at != rows_.end()) correct(at->second);
  }
  std::vector<std::string> names;
  for (const auto& [name, row] : rows_) {
    if (row.stage != VolumeStage::made) names.push_back(name);
  }
  for (const std::string& name : names) {
    // Whoever holds it is at it, and may take minutes.
    if (locks_.is_held(name)) continue;
    const NameLocks::Held lock = co_await locks_.hold(name);
    const Status settled = co_await settle_one(name);
    if (!settled) spdlog::warn("agent: volume {}: {}", name, settled.error().message);
  }
}

asio::awaitable<Status> NodeVolumes::settle_one(std::string name) {
  const auto at = rows_.find(name);
  if (at == rows_.end() || at->second.stage == VolumeStage::made) co_return Status();
  const VolumeStage stage = at->second.stage;
  SKEP_CO_TRY_ASSIGN(Driver * owner, driver(at->second.driver));
  if (!owner->ready) co_return Status();  // its own restore comes back to this
  if (stage == VolumeStage::intended) co_return co_await make(name, *owner, Attempt::repeated);
  co_return co_await unmake(name, *owner, /*force=*/false);
}

asio::awaitable<void> NodeVolumes::sweep(std::function<std::set<std::string>()> existing) {
  const auto gone_from = [](const StoredVolume& row, const std::set<std::string>& kept) {
    std::set<std::string> gone = row.holders;
    if (!row.owner.empty()) gone.insert(row.owner);
    std::erase_if(gone, [&kept](const std::string& id) { return kept.contains(id); });
    return gone;
  };
  const std::set<std::string> kept = existing();
  std::vector<std::string> names;
  for (const auto& [name, row] : rows_) {
    if (!gone_from(row, kept).empty()) names.push_back(name);
  }
  for (const std::string& name : names) {
    // As in settle(); its row still names who is gone, so the next sweep looks at it again.
    if (locks_.is_held(name)) continue;
    const NameLocks::Held lock = co_await locks_.hold(name);
    const auto at = rows_.find(name);
    if (at == rows_.end()) continue;
    // Looked at anew: a task may have come back while others let go, and under the volume's lock it
    // can't become its holder.
    for (const std::string& container : gone_from(at->second, existing())) {
      spdlog::info("agent: container {} is gone and lets go of volume {}", container, name);
      const Status left = co_await let_go(name, container);
      if (!left) spdlog::warn("agent: {}", left.error().message);
    }
  }
}

}  // namespace skep::agent
