// Finding rows by what people call them, in the store and in drafts that change the names.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/store/rows.hpp"

using namespace skep;
using namespace skep::test;

namespace {

std::vector<uint64_t> numbers(const std::vector<store::Row<model::Node>>& nodes) {
  std::vector<uint64_t> out;
  for (const auto& node : nodes) out.push_back(node->id.bits.low);
  return out;
}

std::vector<uint64_t> tasks_in_order(const store::View& view, model::TaskId from, size_t limit) {
  std::vector<uint64_t> out;
  view.walk_tasks(from, [&](const auto& task) {
    out.push_back(task->id.bits.low);
    return out.size() < limit;
  });
  return out;
}

}  // namespace

TEST_CASE("nodes are found by name and by hostname, and two may share one") {
  store::Store store;
  apply(store, at(0), [](auto& draft) {
    draft.put(node(1, "", "alpha"));
    draft.put(node(2, "Alpha", "beta"));
    draft.put(node(3, "", ""));
  });
  CHECK(numbers(store.nodes_by_name("ALPHA")) == std::vector<uint64_t>{1, 2});
  CHECK(numbers(store.nodes_by_name("beta")) == std::vector<uint64_t>{2});
  CHECK(store.nodes_by_name("").empty());
  apply(store, at(0), [](auto& draft) {
    draft.put(node(1, "", "gamma"));
    CHECK(numbers(draft.nodes_by_name("alpha")) == std::vector<uint64_t>{2});
    CHECK(numbers(draft.nodes_by_name("gamma")) == std::vector<uint64_t>{1});
    draft.erase(model::NodeId{{3, 2}});
    CHECK(draft.nodes_by_name("alpha").empty());
  });
  CHECK(store.nodes_by_name("alpha").empty());
  CHECK(store.nodes_by_name("beta").empty());
  CHECK(numbers(store.nodes_by_name("gamma")) == std::vector<uint64_t>{1});
}

TEST_CASE("a config is found by name, and by the new name once it has one") {
  store::Store store;
  apply(store, at(0), [](auto& draft) { draft.put(config(1, "site.conf")); });
  CHECK(store.config_by_name("SITE.conf")->id.bits.low == 1);
  apply(store, at(0), [](auto& draft) {
    draft.put(config(1, "other.conf"));
    CHECK(draft.config_by_name("site.conf") == nullptr);
    draft.put(config(2, "site.conf"));
    CHECK(draft.config_by_name("site.conf")->id.bits.low == 2);
  });
  CHECK(store.config_by_name("site.conf")->id.bits.low == 2);
  CHECK(store.config_by_name("other.conf")->id.bits.low == 1);
  apply(store, at(0), [](auto& draft) { draft.erase(model::ConfigId{{2, 2}}); });
  CHECK(store.config_by_name("site.conf") == nullptr);
}

TEST_CASE("a draft shows its own rows and the base's in one order of ids") {
  store::Store store;
  apply(store, at(0), [](auto& draft) {
    for (uint64_t number : {2u, 4u, 6u, 8u}) {
      model::Task row = task(0, 1, number);
      row.id = {{0, number}};
      draft.put(row);
    }
  });
  store::Draft draft(store);
  for (uint64_t number : {1u, 4u, 5u, 9u}) {
    model::Task row = task(0, 1, number + 100);
    row.id = {{0, number}};
    draft.put(row);
  }
  draft.erase(model::TaskId{{0, 6}});
  CHECK(tasks_in_order(draft, {}, SIZE_MAX) == std::vector<uint64_t>{1, 2, 4, 5, 8, 9});
  CHECK(tasks_in_order(draft, {{0, 3}}, 3) == std::vector<uint64_t>{4, 5, 8});
  CHECK(tasks_in_order(draft, {{0, 6}}, 1) == std::vector<uint64_t>{8});
  CHECK(tasks_in_order(draft, {{0, 9}}, 5) == std::vector<uint64_t>{9});
  CHECK(tasks_in_order(draft, {{1, 0}}, 5).empty());
  CHECK(tasks_in_order(store, {{0, 4}}, 2) == std::vector<uint64_t>{4, 6});
}

TEST_CASE("the beginning of an id gives the first id that could be meant") {
  const model::ServiceId id{{77, 88}};
  const std::string text = id.str();
  for (size_t length = 0; length <= text.size(); ++length) {
    const auto first = model::first_with_prefix(text.substr(0, length));
    REQUIRE(first);
    CHECK(*first <= id.bits);
    CHECK(model::id_text(*first).starts_with(text.substr(0, length)));
  }
  CHECK_FALSE(model::first_with_prefix("zz"));  // beyond 128 bits
  CHECK_FALSE(model::first_with_prefix("WEB"));
  CHECK_FALSE(model::first_with_prefix(text + "0"));
}
