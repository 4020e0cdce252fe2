// The table against a plain map, and copies that must not notice what became of the original.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/table.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>

using namespace skep;
using Numbers = store::Table<uint64_t, int>;
using Plain = std::map<uint64_t, int>;

namespace {

Plain contents(const Numbers& table) {
  Plain out;
  uint64_t last = 0;
  table.each([&](uint64_t key, int value) {
    CHECK((out.empty() || key > last));
    last = key;
    out[key] = value;
  });
  CHECK(out.size() == table.size());
  return out;
}

void change(Numbers& table, Plain& plain, std::mt19937_64& random, uint64_t keys, int changes) {
  for (int i = 0; i < changes; ++i) {
    const uint64_t key = random() % keys;
    if (random() % 3 == 0) {
      REQUIRE(table.erase(key) == (plain.erase(key) == 1));
    } else {
      table.at(key) = i;
      plain[key] = i;
    }
  }
}

}  // namespace

TEST_CASE("a table holds what a map would, whatever is put and erased") {
  std::mt19937_64 random(1);
  for (const uint64_t keys : {10u, 300u, 5'000u}) {
    Numbers table;
    Plain plain;
    for (int round = 0; round < 20; ++round) {
      change(table, plain, random, keys, 500);
      REQUIRE(contents(table) == plain);
      for (int i = 0; i < 50; ++i) {
        const uint64_t key = random() % keys;
        const int* found = table.find(key);
        REQUIRE((found != nullptr) == (plain.count(key) == 1));
        if (found != nullptr) REQUIRE(*found == plain[key]);
      }
    }
    for (uint64_t key = 0; key < keys; ++key) table.erase(key);
    CHECK(table.empty());
    CHECK(contents(table).empty());
    table.at(7) = 8;
    CHECK(contents(table) == Plain{{7, 8}});
  }
}

TEST_CASE("a copy of a table stays as it was, and changing it does not change the original") {
  std::mt19937_64 random(2);
  Numbers table;
  Plain plain;
  std::vector<std::pair<Numbers, Plain>> copies;
  for (int round = 0; round < 30; ++round) {
    change(table, plain, random, 2'000, 300);
    copies.emplace_back(table, plain);
  }
  for (size_t i = 0; i < copies.size(); i += 3) {
    change(copies[i].first, copies[i].second, random, 2'000, 300);
  }
  for (const auto& [copy, expected] : copies) REQUIRE(contents(copy) == expected);
  CHECK(contents(table) == plain);
}

TEST_CASE("a walk begins at the first key that is not less and ends when the visitor says so") {
  Numbers table;
  for (uint64_t key = 0; key < 3'000; key += 2) table.at(key) = 1;
  std::vector<uint64_t> seen;
  table.walk(1'001, [&](uint64_t key, int) {
    seen.push_back(key);
    return seen.size() < 3;
  });
  CHECK(seen == std::vector<uint64_t>{1'002, 1'004, 1'006});
  seen.clear();
  table.walk(2'999, [&](uint64_t key, int) {
    seen.push_back(key);
    return true;
  });
  CHECK(seen.empty());
}
