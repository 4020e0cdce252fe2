// The change feed: everything since a version, or the word to read the full state.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/feed.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/store/rows.hpp"

using namespace skep;
using namespace skep::test;

namespace {

store::Applied applied(uint64_t version, size_t data_bytes = 1) {
  store::Applied out{version, at(0), {}};
  out.changes.emplace_back(store::Replaced<model::Config>{
      nullptr, std::make_shared<const model::Config>(config(version, "c", data_bytes))});
  return out;
}

std::vector<uint64_t> versions(const std::optional<store::Feed::Transactions>& transactions) {
  std::vector<uint64_t> out;
  for (const auto& transaction : transactions.value()) out.push_back(transaction->version);
  return out;
}

}  // namespace

TEST_CASE("a watcher gets what came after the version it has seen, in order") {
  store::Feed feed;
  for (const uint64_t version : {3u, 4u, 7u, 9u}) feed.add(applied(version));
  CHECK(versions(feed.since(0)) == std::vector<uint64_t>{3, 4, 7, 9});
  CHECK(versions(feed.since(4)) == std::vector<uint64_t>{7, 9});
  CHECK(versions(feed.since(5)) == std::vector<uint64_t>{7, 9});
  CHECK(versions(feed.since(3, 2)) == std::vector<uint64_t>{4, 7});
  CHECK(versions(feed.since(9)).empty());
}

TEST_CASE("a watcher who was away too long is told to read the full state") {
  store::Feed feed({3, SIZE_MAX});
  for (uint64_t version = 1; version <= 10; ++version) feed.add(applied(version));
  CHECK_FALSE(feed.since(6).has_value());
  CHECK(versions(feed.since(7)) == std::vector<uint64_t>{8, 9, 10});
}

TEST_CASE("the feed is bounded by what it holds, and keeps the newest whatever its size") {
  store::Feed feed({1000, 100'000});
  for (uint64_t version = 1; version <= 10; ++version) feed.add(applied(version, 30'000));
  CHECK(feed.bytes() <= 100'000);
  CHECK_FALSE(feed.since(6).has_value());
  CHECK(versions(feed.since(7)).size() == 3);
  feed.add(applied(11, 1'000'000));
  CHECK(versions(feed.since(10)) == std::vector<uint64_t>{11});
  CHECK_FALSE(feed.since(9).has_value());
}

TEST_CASE("a store tells its changes, and a loaded one begins anew") {
  store::Store store;
  apply(store, at(0), [](auto& draft) { draft.put(config(1, "a")); });
  apply(store, at(0), [](auto& draft) { draft.erase(model::ConfigId{{2, 1}}); });
  const auto all = store.feed().since(0);
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  const auto& gone = std::get<store::Replaced<model::Config>>((*all)[1]->changes.at(0));
  CHECK(gone.before->spec.name == "a");
  CHECK(gone.after == nullptr);

  store::Store loaded;
  loaded.load(2, store.dump());
  CHECK_FALSE(loaded.feed().since(1).has_value());
  CHECK(loaded.feed().since(2)->empty());
  apply(loaded, at(0), [](auto& draft) { draft.put(config(2, "b")); });
  CHECK(versions(loaded.feed().since(2)) == std::vector<uint64_t>{3});
}
