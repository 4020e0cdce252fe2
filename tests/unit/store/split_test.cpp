// Decisions over the size of an entry: every prefix is a valid state, and no answer comes too
// early.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/split.hpp"

#include <catch2/catch.hpp>

#include "core/store/transaction_codec.hpp"
#include "tests/unit/store/rows.hpp"

using namespace skep;
using namespace skep::test;

namespace {

constexpr size_t kPart = 4096;

// Applies the parts one by one, calling `look` after each.
template <class Look>
void apply_parts(store::Store& store, const std::vector<store::Part>& parts, Look&& look) {
  for (const store::Part& part : parts) {
    CHECK(part.bytes.size() <= kPart);
    CHECK(part.bytes == store::encode(part.transaction));
    store.apply(store.applied_index() + 1, part.transaction);
    look();
  }
}

}  // namespace

TEST_CASE("what fits one entry is one part") {
  store::Store store;
  store::Draft draft(store);
  draft.put(config(1, "a"));
  draft.answer(request(1), std::string("a"));
  const auto parts = store::split(draft, at(0), kPart);
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].transaction.answered.size() == 1);
}

TEST_CASE("a service comes with its spec, and is answered before the tasks that follow") {
  store::Store store;
  store::Draft draft(store);
  for (uint64_t i = 1; i <= 8; ++i) {
    draft.put_spec({{{1, i}}, 1}, spec("web", 1000));
    draft.put(service(i, "web" + std::to_string(i)));
    draft.answer(request(i), std::to_string(i));
  }
  (void)draft.take_journal();
  for (uint64_t i = 1; i <= 200; ++i) draft.put(task(i, 1 + i % 8, i));
  const auto parts = store::split(draft, at(0), kPart);
  CHECK(parts.size() > 5);
  apply_parts(store, parts, [&] {
    store.each_service([&](const auto& row) { CHECK(store.spec_of(*row)); });
    store.each_task([&](const auto& row) { CHECK(store.spec_of(*row)); });
    for (uint64_t i = 1; i <= 8; ++i) {
      CHECK(bool(store.answered(request(i))) == bool(store.service({{1, i}})));
    }
  });
  CHECK(store.task_count() == 200);
  for (uint64_t i = 1; i <= 8; ++i) CHECK(store.answered(request(i)));
}

TEST_CASE("a removal is answered with the part that removes, which comes last") {
  store::Store store;
  apply(store, at(0), [](auto& draft) {
    draft.put_spec({{{1, 1}}, 1}, spec("web"));
    draft.put(service(1, "web"));
    for (uint64_t i = 1; i <= 200; ++i) draft.put(task(i, 1, i));
  });
  store::Draft draft(store);
  draft.erase(model::ServiceId{{1, 1}});
  draft.answer(request(1), std::string());
  (void)draft.take_journal();
  for (uint64_t i = 1; i <= 200; ++i) {
    model::Task leaving = task(i, 1, i);
    leaving.desired = model::TaskState::remove;
    draft.put(leaving);
  }
  const auto parts = store::split(draft, at(1), kPart);
  CHECK(parts.size() > 2);
  apply_parts(store, parts, [&] {
    CHECK(bool(store.answered(request(1))) == !store.service({{1, 1}}));
  });
  CHECK(store.answered(request(1)));
}

TEST_CASE("an answer that finds no room beside a big row goes into a part of its own") {
  store::Store store;
  store::Draft draft(store);
  draft.put(config(1, "big", kPart - 100));
  for (uint64_t i = 1; i <= 50; ++i) {
    draft.answer(request(i), std::string(40, 'r'));
  }
  const auto parts = store::split(draft, at(0), kPart);
  REQUIRE(parts.size() >= 2);
  apply_parts(store, parts, [] {});
  for (uint64_t i = 1; i <= 50; ++i) CHECK(store.answered(request(i)));
}
