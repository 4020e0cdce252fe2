// The log's arithmetic, above all which completion of the disk counts for which entry.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/log.hpp"

#include <catch2/catch.hpp>

namespace skep::raft {
namespace {

Entry entry(uint64_t term, uint64_t index, std::string bytes = "x") {
  return {{term}, {index}, EntryKind::normal, std::make_shared<const std::string>(bytes)};
}

const Configuration kAlone{{{1}}, {}};

Log fresh() {
  return *Log::restore({{}, {}, kAlone}, {});
}

Persist take(Log& log, uint64_t epoch) {
  Persist persist;
  log.take_batch({epoch}, &persist);
  return persist;
}

}  // namespace

TEST_CASE("a late completion of an overwritten entry does not count (trap 4)") {
  Log log = fresh();
  log.append(entry(1, 1));
  take(log, 1);  // (1, t1) is on its way
  log.truncate_from({1});
  log.append(entry(2, 1));
  log.truncate_from({1});
  log.append(entry(3, 1));  // as good as the first to anyone who compares indices
  CHECK(log.complete_batch({1}));
  CHECK(log.durable() == Index{0});

  const Persist second = take(log, 2);
  CHECK(second.truncate_from == Index{1});
  REQUIRE(second.entries.size() == 1);
  CHECK(second.entries[0].term == Term{3});
  CHECK_FALSE(log.complete_batch({1}));  // doubled
  CHECK(log.durable() == Index{0});
  CHECK(log.complete_batch({2}));
  CHECK(log.durable() == Index{1});
}

TEST_CASE("what a batch wrote below a truncation does count") {
  Log log = fresh();
  log.append(entry(1, 1));
  log.append(entry(1, 2));
  take(log, 1);
  log.truncate_from({2});
  log.append(entry(2, 2));
  CHECK(log.complete_batch({1}));
  CHECK(log.durable() == Index{1});
}

TEST_CASE("truncating what the disk never saw needs no word to the disk") {
  Log log = fresh();
  log.append(entry(1, 1));
  log.truncate_from({1});
  log.append(entry(2, 1));
  CHECK_FALSE(take(log, 1).truncate_from.has_value());
}

TEST_CASE("a batch is bounded by bytes, and the rest follows") {
  Log log = fresh();
  const std::string big(kEntryBytesMax, 'x');
  for (uint64_t i = 1; i <= 5; ++i) log.append(entry(1, i, big));
  CHECK(take(log, 1).entries.size() == kPersistBytesMax / kEntryBytesMax);
  CHECK(log.complete_batch({1}));
  CHECK(log.durable() == Index{4});
  CHECK(take(log, 2).entries.size() == 1);
}

TEST_CASE("compaction keeps entries for slow followers and the term at the snapshot's end") {
  Log log = fresh();
  for (uint64_t i = 1; i <= 10; ++i) log.append(entry(i, i));
  take(log, 1);
  CHECK(log.complete_batch({1}));
  CHECK(log.compact({8}, 3) == Index{5});
  CHECK_FALSE(log.term_at({5}).has_value());
  CHECK(log.term_at({6}) == Term{6});
  CHECK(log.compact({10}, 0) == Index{10});
  CHECK(log.term_at({10}) == Term{10});
  CHECK(log.last_index() == Index{10});
  CHECK(log.last_term() == Term{10});
}

TEST_CASE("a log with a hole, or one that does not reach its snapshot, is not taken up") {
  CHECK_FALSE(Log::restore({{5}, {1}, kAlone}, {entry(1, 7)}).has_value());
  CHECK_FALSE(Log::restore({{5}, {1}, kAlone}, {entry(1, 6), entry(1, 8)}).has_value());
  CHECK_FALSE(Log::restore({{5}, {1}, kAlone}, {entry(1, 3), entry(1, 4)}).has_value());
  CHECK_FALSE(Log::restore({{5}, {3}, kAlone}, {entry(3, 6), entry(2, 7)}).has_value());
  CHECK(Log::restore({{5}, {1}, kAlone}, {entry(1, 4), entry(1, 5), entry(1, 6)}).has_value());
}

}  // namespace skep::raft
