// What is due: by time, and by another task's end.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/deadlines.hpp"

#include <catch2/catch.hpp>

using namespace skep;
using planner::Deadlines;
using Tasks = std::set<model::TaskId>;

namespace {

model::TaskId id(uint64_t number) {
  return {{0, number}};
}

}  // namespace

TEST_CASE("a wait is due at its time and stands until it is erased") {
  Deadlines waiting;
  waiting.set(id(1), {100});
  waiting.set(id(2), {50});
  CHECK(waiting.next() == model::WallTime{50});
  CHECK(waiting.due({49}).empty());
  CHECK(waiting.due({50}) == Tasks{id(2)});
  CHECK(waiting.due({100}) == Tasks{id(1), id(2)});
  waiting.erase(id(2));
  CHECK(waiting.next() == model::WallTime{100});
  CHECK_FALSE(waiting.waits(id(2)));
}

TEST_CASE("a wait for another task is due when that is over, once") {
  Deadlines waiting;
  waiting.set(id(1), {100}, id(7));
  waiting.set(id(2), {100}, id(7));
  waiting.set(id(3), {100}, id(8));
  waiting.over(id(7));
  waiting.over(id(9));
  CHECK(waiting.due({0}) == Tasks{id(1), id(2)});
  CHECK(waiting.due({0}).empty());
  CHECK(waiting.due({100}).size() == 3);
}

TEST_CASE("a wait that was set anew or erased is not due for the old reason") {
  Deadlines waiting;
  waiting.set(id(1), {100}, id(7));
  waiting.set(id(1), {200}, id(8));
  waiting.over(id(7));
  CHECK(waiting.due({100}).empty());
  waiting.over(id(8));
  waiting.erase(id(1));
  CHECK(waiting.due({500}).empty());
  CHECK(waiting.next() == std::nullopt);
}
