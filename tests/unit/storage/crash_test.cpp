// The power is cut at each operation of a run in turn: what was acknowledged is there, what was
// being done is there whole or not at all, and nothing half-made is left behind.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/unit/storage/store_bench.hpp"

namespace skep::storage::testing {
namespace {

// What the disk should hold.
struct Model {
  bool made = false;
  Identity identity = kIdentity;
  raft::HardState hard_state;
  Snapshot snapshot{{{0}, {0}, kAlone}, ""};
  std::vector<raft::Entry> entries;

  uint64_t last() const {
    return entries.empty() ? snapshot.at.index.value : entries.back().index.value;
  }
};

bool same(const raft::Entry& a, const raft::Entry& b) {
  return a.index == b.index && a.term == b.term && a.kind == b.kind && *a.bytes == *b.bytes;
}

bool holds(const std::optional<Loaded>& loaded, const Model& model) {
  if (!loaded) return !model.made;
  return model.made && loaded->identity == model.identity &&
         loaded->hard_state == model.hard_state && loaded->snapshot.at == model.snapshot.at &&
         loaded->snapshot.state == model.snapshot.state &&
         std::equal(loaded->entries.begin(), loaded->entries.end(), model.entries.begin(),
                    model.entries.end(), same);
}

// Long ones only begin at random: the whole takes most of the test's time otherwise.
std::string random_bytes(std::mt19937_64& random, size_t most) {
  std::string bytes(random() % most, static_cast<char>('a' + random() % 26));
  for (size_t i = 0; i < bytes.size() && i < 40; ++i) bytes[i] = static_cast<char>(random());
  return bytes;
}

// A random run against a store, with the model beside it. Each step ends when the store fails.
class Run {
 public:
  Run(FaultyDisk& disk, uint64_t seed) : disk_(disk), random_(seed) {}

  // False when the power has gone.
  bool go(int steps) {
    Result<std::unique_ptr<LogStore>> store = open_on(disk_);
    if (!store) return false;
    store_ = std::move(*store);
    wanted_ = acknowledged_;
    wanted_.made = true;
    if (!keep(store_->initialise(kIdentity, kAlone))) return false;
    for (int i = 0; i < steps; ++i) {
      if (!step()) return false;
    }
    return true;
  }
  void close() { store_.reset(); }

  const Model& acknowledged() const { return acknowledged_; }
  const Model& wanted() const { return wanted_; }

 private:
  bool keep(const Status& status) {
    if (status) acknowledged_ = wanted_;
    return status.has_value();
  }

  bool step() {
    wanted_ = acknowledged_;
    if (!store_->tidy()) return false;
    switch (random_() % 13) {
      case 0:
        return snapshot();
      case 1:
        return compact();
      case 2:
        return install();
      case 12:
        return begin_anew();
      case 3:
        return store_->set_unlock_key(std::nullopt).has_value();
      default:
        return persist();
    }
  }

  bool persist() {
    raft::Persist next;
    next.hard_state = wanted_.hard_state;
    const uint64_t base = wanted_.snapshot.at.index.value;
    if (random_() % 4 == 0 && wanted_.last() > base) {
      const uint64_t from = base + 1 + random_() % (wanted_.last() - base);
      next.truncate_from = raft::Index{from};
      const auto cut = std::find_if(wanted_.entries.begin(), wanted_.entries.end(),
                                    [&](const raft::Entry& e) { return e.index.value >= from; });
      wanted_.entries.erase(cut, wanted_.entries.end());
      next.hard_state.commit = {std::min(next.hard_state.commit.value, from - 1)};
      next.hard_state.term = next.hard_state.term.next();
    }
    // Sometimes more than a page, so that one commit has many frames.
    const size_t most = random_() % 8 == 0 ? 20'000 : 300;
    for (uint64_t n = random_() % 4; n > 0; --n) {
      const uint64_t last = std::max(wanted_.last(), base);
      next.entries.push_back(
          entry(next.hard_state.term.value, last + 1, random_bytes(random_, most) + "x"));
      wanted_.entries.push_back(next.entries.back());
    }
    next.hard_state.vote = {random_() % 3};
    next.hard_state.commit = {std::max(next.hard_state.commit.value, base)};
    wanted_.hard_state = next.hard_state;
    return keep(store_->persist(next));
  }

  // A group of one, of another generation: both or neither.
  bool begin_anew() {
    const uint64_t last = std::max(wanted_.last(), wanted_.snapshot.at.index.value);
    raft::Persist next;
    next.hard_state = wanted_.hard_state;
    next.hard_state.term = next.hard_state.term.next();
    next.hard_state.commit = {last + 1};
    next.entries.push_back(entry(next.hard_state.term.value, last + 1, "anew"));
    wanted_.entries.push_back(next.entries.back());
    wanted_.hard_state = next.hard_state;
    wanted_.identity.generation = wanted_.identity.generation.next();
    return keep(store_->persist_anew(wanted_.identity.generation, next));
  }

  bool snapshot() {
    const uint64_t base = wanted_.snapshot.at.index.value;
    if (wanted_.last() == base) return true;
    const raft::Index at{base + 1 + random_() % (wanted_.last() - base)};
    wanted_.snapshot = {{at, {1}, kAlone}, random_bytes(random_, 600'000)};
    return keep(save(*store_, wanted_.snapshot.at, wanted_.snapshot.state));
  }

  bool compact() {
    const raft::Index through = wanted_.snapshot.at.index;
    std::erase_if(wanted_.entries, [&](const raft::Entry& e) { return e.index <= through; });
    const Result<bool> all = store_->compact(through);
    if (all) REQUIRE(*all);
    return keep(all ? Status() : skep::fail(all.error()));
  }

  bool install() {
    const raft::Index at{wanted_.last() + random_() % 100 + 1};
    const Snapshot snapshot{{at, {1}, kAlone}, random_bytes(random_, 600'000) + "y"};
    if (!receive(*store_, snapshot.at, snapshot.state)) return false;
    raft::Persist next;
    next.install = snapshot.at;
    next.hard_state = wanted_.hard_state;
    next.hard_state.commit = at;
    wanted_.snapshot = snapshot;
    wanted_.entries.clear();
    wanted_.hard_state = next.hard_state;
    return keep(store_->persist(next));
  }

  FaultyDisk& disk_;
  std::mt19937_64 random_;
  std::unique_ptr<LogStore> store_;
  Model acknowledged_;
  Model wanted_;  // once the step at hand is through
};

// Only what belongs there.
void check_tidy(const FaultyDisk& disk, const Loaded& loaded) {
  size_t snapshots = 0;
  for (const std::string& path : disk.paths()) {
    INFO(path);
    CHECK(path.find(".tmp") == std::string::npos);
    if (path.find("/snapshots/") != std::string::npos) ++snapshots;
  }
  CHECK(snapshots == (loaded.snapshot.at.index ? 1 : 0));
}

void crash_and_check(uint64_t seed, uint64_t cut, int steps) {
  INFO("seed " << seed << ", power cut after " << cut << " operations");
  FaultyDisk disk(seed * 1'000'003 + cut);
  Run run(disk, seed);
  disk.cut_power_after(cut);
  run.go(steps);
  run.close();
  disk.restart();
  if (cut % 3 == 0) {  // and once more while it recovers
    disk.cut_power_after(cut % 11);
    if (const auto store = open_on(disk)) static_cast<void>((*store)->load());
    disk.restart();
  }
  const std::unique_ptr<LogStore> store = opened_on(disk);
  const Result<std::optional<Loaded>> loaded = store->load();
  if (!loaded) FAIL(loaded.error().message);
  REQUIRE((holds(*loaded, run.acknowledged()) || holds(*loaded, run.wanted())));
  if (!*loaded) {
    REQUIRE(store->initialise(kIdentity, kAlone));
    return;
  }
  check_tidy(disk, **loaded);
  // And it goes on from there.
  const uint64_t last =
      std::max((*loaded)->snapshot.at.index.value,
               (*loaded)->entries.empty() ? 0 : (*loaded)->entries.back().index.value);
  REQUIRE(store->persist(batch((*loaded)->hard_state, {entry(99, last + 1, "on")})));
}

}  // namespace

TEST_CASE("a power cut at any operation loses nothing acknowledged and leaves nothing half-made") {
  constexpr int kSteps = 30;
  constexpr uint64_t kSeed = 1;
  uint64_t operations = 0;
  {
    FaultyDisk disk(kSeed);
    Run run(disk, kSeed);
    REQUIRE(run.go(kSteps));
    operations = disk.operations();
  }
  REQUIRE(operations > 100);
  for (uint64_t cut = 0; cut < operations; ++cut) crash_and_check(kSeed, cut, kSteps);
}

TEST_CASE("a power cut at random in long runs with fresh seeds") {
  const uint64_t base = std::random_device{}();
  for (uint64_t i = 0; i < 20; ++i) crash_and_check(base + i, (base + i * 7919) % 1000, 70);
}

}  // namespace skep::storage::testing
