// A group begun anew on a disk that fails: done or not done, at every operation.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/recovery.hpp"

#include <catch2/catch.hpp>

#include "core/planner/requests.hpp"
#include "core/raft/forced_group.hpp"
#include "core/raft/raft.hpp"
#include "core/store/state_codec.hpp"
#include "core/store/store.hpp"
#include "core/store/transaction_codec.hpp"
#include "tests/unit/storage/store_bench.hpp"

namespace skep::manager {
namespace {

using storage::testing::FaultyDisk;
using storage::testing::kIdentity;
using storage::testing::kPath;
using storage::testing::opened_on;
using storage::testing::reloaded;

const raft::Configuration kThree{{{1}, {2}, {3}}, {}, {}};
const model::NodeId kOther{{8, 8}};
constexpr int64_t kHourNs = 3'600'000'000'000;
constexpr model::WallTime kNow{500'000 * kHourNs};
constexpr model::WallTime kLater{kHourNs};

// One entry: a cluster of this node and another manager. Nothing of it is known to be committed.
raft::Entry founding(uint64_t index) {
  const store::Store empty;
  store::Draft draft(empty);
  model::Cluster cluster;
  cluster.id = kIdentity.cluster;
  cluster.last_raft_id = 3;
  model::Node self;
  self.id = kIdentity.node;
  self.role = self.spec.role = model::NodeRole::manager;
  self.manager = model::ManagerStatus{1, "10.0.0.1:2377", model::Reachability::reachable};
  planner::found_cluster(draft, cluster, self, model::NetworkId{{5, 5}});
  self.id = kOther;
  self.manager->raft_id = 2;
  draft.put(self);
  return storage::testing::entry(2, index,
                                 store::encode(draft.transaction(model::WallTime{2 * kHourNs})));
}

void fill(FaultyDisk& disk) {
  const auto store = opened_on(disk);
  REQUIRE(store->initialise(kIdentity, kThree));
  REQUIRE(store->persist(storage::testing::batch({{2}, {2}, {0}}, {founding(1)})));
}

Result<raft::Generation> force(storage::LogStore& log) {
  return force_group_of_one(log, {kIdentity.node, "10.0.0.7:2377"}, kLater, 42);
}

// What the log says once it is played.
store::Store played(const storage::Loaded& loaded) {
  store::Store store;
  model::WallTime last{};
  for (const raft::Entry& entry : loaded.entries) {
    if (entry.kind != raft::EntryKind::normal) continue;
    const auto transaction = store::decode_transaction(*entry.bytes);
    REQUIRE(transaction);
    CHECK(transaction->time >= last);  // the cluster's time never goes back
    last = transaction->time;
    store.apply(entry.index.value, *transaction);
  }
  return store;
}

void check_forced(const storage::Loaded& loaded) {
  CHECK(raft::ordinal(loaded.identity.generation) == 2);
  CHECK(loaded.identity.member == kIdentity.member);
  CHECK(loaded.hard_state.commit == loaded.entries.back().index);
  const store::Store store = played(loaded);
  CHECK(store.node(kOther)->spec.role == model::NodeRole::worker);
  CHECK_FALSE(store.node(kOther)->manager.has_value());
  CHECK(store.node(kIdentity.node)->manager->address == "10.0.0.7:2377");
  CHECK(store.network(model::NetworkId{{5, 5}}) != nullptr);
}

}  // namespace

TEST_CASE("the survivor's log becomes that of a group of one, with rows that say the same") {
  FaultyDisk disk(1);
  fill(disk);
  {
    const auto store = opened_on(disk);
    const auto forced = force(*store);
    REQUIRE(forced);
  }
  check_forced(reloaded(disk));
}

TEST_CASE("a power cut at any operation leaves the old group or the new one, nothing between") {
  size_t done = 0;
  size_t not_done = 0;
  for (uint64_t cut = 0;; ++cut) {
    INFO("power cut after " << cut << " operations");
    FaultyDisk disk(cut);
    fill(disk);
    disk.cut_power_after(cut);
    bool acknowledged = false;
    if (auto store = storage::testing::open_on(disk)) acknowledged = force(**store).has_value();
    disk.restart();
    const storage::Loaded loaded = reloaded(disk);
    if (loaded.identity == kIdentity) {
      REQUIRE_FALSE(acknowledged);
      CHECK(loaded.entries.size() == 1);
      CHECK(loaded.hard_state == raft::HardState{{2}, {2}, {0}});
      ++not_done;
    } else {
      check_forced(loaded);
      ++done;
    }
    if (acknowledged) break;
  }
  CHECK(not_done > 3);
  CHECK(done >= 1);
}

TEST_CASE("an archive becomes the log of a new member of the same cluster, and its only one") {
  FaultyDisk old(1);
  fill(old);
  store::Store rows = played(reloaded(old));
  model::Cluster cluster = *rows.cluster();
  const auto root = transport::make_root(kNow);
  REQUIRE(root);
  cluster.ca_certificate_pem = root->certificate_pem;
  cluster.ca_key_pem = root->key_pem;
  rows.apply(2, {kNow, {store::upsert(cluster)}, {}});
  storage::Archive archive{{kIdentity.cluster, {1}, {2}, {2}, kNow}, store::encode(rows.dump())};
  const Survivor survivor{model::NodeId{{6, 6}}, "10.0.0.7:2377"};
  FaultyDisk disk(2);
  {
    const auto store = opened_on(disk);
    const auto made = restore_group(*store, archive, survivor, kNow, 99);
    REQUIRE(made);
    const transport::NodeCredentials* credentials = &made->credentials;
    CHECK_FALSE(made->unlock_key);
    CHECK(credentials->identity.node == survivor.node);
    CHECK(credentials->identity.cluster == kIdentity.cluster);
    CHECK(credentials->identity.role == model::NodeRole::manager);
    CHECK(credentials->root_pem == root->certificate_pem);
    // There is a log now: it is not made twice.
    const auto again = restore_group(*store, archive, survivor, kNow, 99);
    REQUIRE_FALSE(again);
    CHECK(again.error().kind == ErrorKind::conflict);
  }
  const storage::Loaded loaded = reloaded(disk);
  CHECK(loaded.identity.member == raft::RaftId{4});  // 3 was given out before
  CHECK(raft::ordinal(loaded.identity.generation) == 2);
  CHECK(loaded.entries.empty());
  CHECK(loaded.snapshot.at.index == raft::Index{3});
  CHECK(loaded.snapshot.at.configuration.voters == std::vector<raft::RaftId>{{4}});
  CHECK(loaded.hard_state.term == raft::Term{3});
  const auto state = store::decode_state(loaded.snapshot.state);
  REQUIRE(state);
  store::Store restored;
  restored.load(3, *state);
  CHECK(restored.cluster()->last_raft_id == 4);
  CHECK(restored.node(survivor.node)->manager->raft_id == 4);
  CHECK_FALSE(restored.node(kOther)->manager.has_value());
  CHECK_FALSE(restored.node(kIdentity.node)->manager.has_value());
  const auto raft = raft::Raft::start(
      {loaded.identity.member, loaded.identity.cluster, loaded.identity.incarnation,
       std::mt19937_64(1), loaded.identity.generation},
      loaded.restored(), {0});
  REQUIRE(raft);
}

TEST_CASE("an archive whose state is another cluster's, or none, is refused and makes no log") {
  FaultyDisk disk(1);
  const auto store = opened_on(disk);
  const Survivor survivor{model::NodeId{{6, 6}}, "10.0.0.7:2377"};
  storage::Archive archive{{kIdentity.cluster, {1}, {2}, {2}, kNow}, "no state"};
  CHECK_FALSE(restore_group(*store, archive, survivor, kNow, 99));
  archive.state = store::encode(store::State());
  const auto empty = restore_group(*store, archive, survivor, kNow, 99);
  REQUIRE_FALSE(empty);
  CHECK(empty.error().message == "the snapshot does not hold the cluster that it names");
  CHECK_FALSE(store->load()->has_value());
}

TEST_CASE("a log without a cluster is refused and stays as it was") {
  FaultyDisk disk(1);
  storage::testing::fill(disk);
  // Entries of the bench are no transactions: what can't be read is no ground to decide on.
  {
    const auto store = opened_on(disk);
    CHECK_FALSE(force(*store));
  }
  CHECK(reloaded(disk).identity == kIdentity);
  FaultyDisk other(2);
  {
    const auto store = opened_on(other);
    REQUIRE(store->initialise(kIdentity, kThree));
    const auto forced = force(*store);
    REQUIRE_FALSE(forced);
    CHECK(forced.error().kind == ErrorKind::precondition);
  }
  CHECK(reloaded(other).identity == kIdentity);
}

}  // namespace skep::manager
