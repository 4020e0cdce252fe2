// The checker against histories whose answer is known, and against a slow one that tries all
// orders.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/linearizability.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "tests/sim/random.hpp"

namespace {

using namespace skep::sim;

HistoryEntry wrote(uint64_t from, uint64_t to, uint64_t value, uint64_t count) {
  return {true, from, to, value, {value, count}};
}
HistoryEntry saw(uint64_t from, uint64_t to, uint64_t value, uint64_t count) {
  return {false, from, to, 0, {value, count}};
}
HistoryEntry maybe_wrote(uint64_t from, uint64_t value) {
  return {true, from, std::nullopt, value, {}};
}

// Every order of every subset that holds all known outcomes.
bool slowly(const std::vector<HistoryEntry>& history) {
  std::vector<size_t> order(history.size());
  std::iota(order.begin(), order.end(), 0);
  do {
    for (size_t length = 0; length <= order.size(); ++length) {
      const bool rest_may_be_missing =
          std::all_of(order.begin() + static_cast<ptrdiff_t>(length), order.end(),
                      [&](size_t i) { return !history[i].returned; });
      if (!rest_may_be_missing) continue;
      Register state;
      bool fits = true;
      for (size_t i = 0; i < length && fits; ++i) {
        const HistoryEntry& one = history[order[i]];
        for (size_t j = i + 1; j < length; ++j) {
          const HistoryEntry& later = history[order[j]];
          if (later.returned && *later.returned < one.called) fits = false;
        }
        if (one.is_write) state = {one.written, state.count + 1};
        if (one.returned && one.result != state) fits = false;
      }
      if (fits) return true;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

}  // namespace

TEST_CASE("an empty history is linearizable") {
  CHECK(check({}) == Verdict::linearizable);
}

TEST_CASE("a read sees the write before it") {
  CHECK(check({wrote(1, 2, 7, 1), saw(3, 4, 7, 1)}) == Verdict::linearizable);
}

TEST_CASE("a read that began after a write ended must not miss it") {
  CHECK(check({wrote(1, 2, 7, 1), saw(3, 4, 0, 0)}) == Verdict::impossible);
}

TEST_CASE("a read beside a write may see either side") {
  CHECK(check({wrote(1, 4, 7, 1), saw(2, 3, 0, 0)}) == Verdict::linearizable);
  CHECK(check({wrote(1, 4, 7, 1), saw(2, 3, 7, 1)}) == Verdict::linearizable);
}

TEST_CASE("two reads beside a write must not go back in time") {
  CHECK(check({wrote(1, 6, 7, 1), saw(2, 3, 7, 1), saw(4, 5, 0, 0)}) == Verdict::impossible);
}

TEST_CASE("a write that was applied twice shows in the count") {
  CHECK(check({wrote(1, 2, 7, 1), saw(3, 4, 7, 2)}) == Verdict::impossible);
}

TEST_CASE("a lost write shows") {
  CHECK(check({wrote(1, 2, 7, 1), wrote(3, 4, 8, 1)}) == Verdict::impossible);
}

TEST_CASE("a write of unknown outcome happens late, or never, but not before it began") {
  CHECK(check({maybe_wrote(1, 7), saw(2, 3, 0, 0), saw(4, 5, 7, 1)}) == Verdict::linearizable);
  CHECK(check({maybe_wrote(1, 7), saw(2, 3, 0, 0), saw(4, 5, 0, 0)}) == Verdict::linearizable);
  CHECK(check({saw(1, 2, 7, 1), maybe_wrote(3, 7)}) == Verdict::impossible);
  CHECK(check({maybe_wrote(1, 7), saw(2, 3, 7, 1), saw(4, 5, 0, 0)}) == Verdict::impossible);
}

TEST_CASE("a read without an outcome says nothing") {
  CHECK(check({{false, 1, std::nullopt, 0, {}}, wrote(2, 3, 7, 1)}) == Verdict::linearizable);
}

TEST_CASE("places that nobody saw are filled with writes of unknown outcome, each once") {
  std::vector<HistoryEntry> history;
  for (uint64_t i = 0; i < 24; ++i) history.push_back(maybe_wrote(i, i + 1));
  history.push_back(wrote(100, 101, 99, 25));
  CHECK(check(history) == Verdict::linearizable);
  history.back().result.count = 26;
  CHECK(check(history) == Verdict::impossible);
  // Two of them began too late to stand before what was seen at 30.
  CHECK(check({maybe_wrote(1, 1), wrote(20, 30, 9, 3), maybe_wrote(40, 2), maybe_wrote(41, 3)}) ==
        Verdict::impossible);
  CHECK(check({maybe_wrote(1, 1), wrote(20, 30, 9, 3), maybe_wrote(25, 2), maybe_wrote(41, 3)}) ==
        Verdict::linearizable);
}

TEST_CASE("small random histories: the same answer as trying every order") {
  Random random(4711);
  int possible = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<HistoryEntry> history;
    std::vector<uint64_t> moments(12);
    std::iota(moments.begin(), moments.end(), 1);
    for (size_t i = moments.size(); i > 1; --i) std::swap(moments[i - 1], moments[random.below(i)]);
    for (size_t i = 0; i < 5; ++i) {
      HistoryEntry one;
      one.is_write = random.below(2) == 0;
      one.called = std::min(moments[2 * i], moments[2 * i + 1]);
      if (random.below(4) != 0) one.returned = std::max(moments[2 * i], moments[2 * i + 1]);
      one.written = i + 1;
      one.result = {one.is_write ? i + 1 : random.below(6), random.below(4)};
      history.push_back(one);
    }
    // Reads without an outcome are no part of the history for either.
    std::erase_if(history, [](const HistoryEntry& e) { return !e.is_write && !e.returned; });
    const bool expected = slowly(history);
    possible += expected ? 1 : 0;
    CHECK((check(history) == Verdict::linearizable) == expected);
  }
  CHECK(possible > 100);
}
