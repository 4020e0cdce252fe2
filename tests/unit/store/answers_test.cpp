// Requests that were answered: remembered by every manager alike, for a while, across snapshots.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/store/state_codec.hpp"
#include "core/store/transaction_codec.hpp"
#include "tests/unit/store/rows.hpp"

using namespace skep;
using namespace skep::test;

namespace {

// What a manager does with a request that carries an id.
std::string create_once(store::Draft& draft, model::RequestId id, uint64_t number) {
  if (const auto before = draft.answered(id)) return before->outcome.value();
  const model::Service row = service(number, "web" + std::to_string(number));
  draft.put_spec({row.id, 1}, spec(row.name));
  draft.put(row);
  draft.answer(id, row.id.str());
  return row.id.str();
}

size_t services(const store::Store& store) {
  size_t count = 0;
  store.each_service([&](const auto&) { ++count; });
  return count;
}

size_t answers(const store::Store& store) {
  return store.dump().answered.size();
}

}  // namespace

TEST_CASE("a request that is asked again is answered the same and makes nothing new") {
  store::Store store;
  std::string first;
  std::string again;
  apply(store, at(0), [&](auto& draft) { first = create_once(draft, request(1), 1); });
  apply(store, at(1), [&](auto& draft) {
    again = create_once(draft, request(1), 2);
    CHECK(draft.empty());
  });
  CHECK(first == again);
  CHECK(services(store) == 1);
}

TEST_CASE("a request that stands twice in one draft is done once") {
  store::Store store;
  apply(store, at(0), [&](auto& draft) {
    CHECK(create_once(draft, request(1), 1) == create_once(draft, request(1), 2));
  });
  CHECK(services(store) == 1);
}

// Guard: the answers in encode(State).
TEST_CASE("a snapshot carries the answers, and so does a replay of the entries (trap 22)") {
  store::Store store;
  store::Store replayed;
  for (uint64_t i = 1; i <= 40; ++i) {
    const store::Transaction transaction =
        apply(store, at(static_cast<int64_t>(i)),
              [&](auto& draft) { create_once(draft, request(i), i); });
    const auto decoded = store::decode_transaction(store::encode(transaction));
    REQUIRE(decoded);
    replayed.apply(i, *decoded);
  }
  const std::string bytes = store::encode(store.dump());
  CHECK(bytes == store::encode(replayed.dump()));

  store::Store loaded;
  auto state = store::decode_state(bytes);
  REQUIRE(state);
  loaded.load(40, std::move(*state));
  REQUIRE(loaded.answered(request(7)));
  CHECK(*loaded.answered(request(7)) == *store.answered(request(7)));
  apply(loaded, at(41), [&](auto& draft) {
    create_once(draft, request(7), 99);
    CHECK(draft.empty());
  });
  CHECK(services(loaded) == 40);
}

TEST_CASE("managers that came by the same entries in different ways go on being equal") {
  store::Store always;
  store::Store joined;
  for (uint64_t i = 1; i <= 60; ++i) {
    // A minute and more between entries: answers are forgotten all the time.
    const store::Transaction transaction =
        apply(always, at(static_cast<int64_t>(i) * 73),
              [&](auto& draft) { create_once(draft, request(i), i); });
    if (i == 30) {
      auto state = store::decode_state(store::encode(always.dump()));
      REQUIRE(state);
      joined.load(30, std::move(*state));
    } else if (i > 30) {
      joined.apply(i, transaction);
    }
    if (i >= 30) REQUIRE(store::encode(always.dump()) == store::encode(joined.dump()));
  }
  CHECK(answers(joined) == 9);
}

TEST_CASE("an answer is forgotten ten minutes later, by the time of the entries alone") {
  store::Store store;
  apply(store, at(0), [&](auto& draft) { create_once(draft, request(1), 1); });
  apply(store, at(599), [&](auto& draft) { create_once(draft, request(2), 2); });
  CHECK(store.answered(request(1)));
  apply(store, at(600), [&](auto& draft) { create_once(draft, request(3), 3); });
  CHECK_FALSE(store.answered(request(1)));
  CHECK(store.answered(request(2)));
}

TEST_CASE("of too many answers the oldest are forgotten") {
  store::Store store;
  const uint64_t count = store::kAnswersMax + 10;
  store::Transaction transaction{at(1), {}, {}};
  for (uint64_t i = 1; i <= count; ++i) {
    transaction.answered.push_back(std::make_shared<const store::AnsweredRequest>(
        store::AnsweredRequest{request(i), {}, std::string("x")}));
  }
  store.apply(5, transaction);
  CHECK(answers(store) == store::kAnswersMax);
  CHECK_FALSE(store.answered(request(10)));
  CHECK(store.answered(request(11)));
  CHECK(store.answered(request(count)));
}

TEST_CASE("when an id comes twice in the log the first answer stands") {
  store::Store store;
  for (const char* text : {"first", "second"}) {
    store::Transaction transaction{at(0), {}, {}};
    transaction.answered.push_back(std::make_shared<const store::AnsweredRequest>(
        store::AnsweredRequest{request(1), {}, std::string(text)}));
    store.apply(store.applied_index() + 1, transaction);
  }
  CHECK(store.answered(request(1))->outcome.value() == "first");
  CHECK(answers(store) == 1);
}

TEST_CASE("an error that was the answer is the answer again") {
  store::Store store;
  apply(store, at(0), [&](auto& draft) {
    draft.put(service(1, "web"));
    draft.answer(request(1), fail(ErrorKind::exhausted, "no address is left"));
  });
  auto state = store::decode_state(store::encode(store.dump()));
  REQUIRE(state);
  store::Store loaded;
  loaded.load(1, std::move(*state));
  CHECK(loaded.answered(request(1))->outcome.error() ==
        Error{ErrorKind::exhausted, "no address is left"});
}
