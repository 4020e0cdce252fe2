// The arithmetic of restarts, on moments that are made up.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/restart_policy.hpp"

#include <catch2/catch.hpp>

using skep::drivers::RestartPolicy;
using namespace std::chrono_literals;

namespace {

struct Clock {
  RestartPolicy policy;
  RestartPolicy::Moment now{};

  // The wait after a life of this length, which passes as well.
  RestartPolicy::Milliseconds lost_after(RestartPolicy::Milliseconds lived) {
    now += lived;
    const RestartPolicy::Milliseconds wait = policy.lost(now, lived);
    now += wait;
    return wait;
  }
};

}  // namespace

TEST_CASE("the first restart is at once, and short lives make the next ones wait longer") {
  Clock clock;
  CHECK(clock.lost_after(1ms) == 0ms);
  CHECK(clock.lost_after(1ms) == 250ms);
  CHECK(clock.lost_after(1ms) == 500ms);
  CHECK(clock.lost_after(1ms) == 1000ms);
  CHECK_FALSE(clock.policy.open());
}

TEST_CASE("after a good life nothing is held against it") {
  Clock clock;
  clock.lost_after(1ms);
  CHECK(clock.lost_after(1ms) == 250ms);
  CHECK(clock.lost_after(RestartPolicy::good_life) == 0ms);
}

TEST_CASE("the wait has an upper bound") {
  Clock clock;
  RestartPolicy::Milliseconds longest{0};
  for (int i = 0; i < 40; ++i) {
    longest = std::max(longest, clock.lost_after(9s));
    clock.now += 60s;  // so that the breaker stays closed
  }
  CHECK_FALSE(clock.policy.open());
  CHECK(longest == RestartPolicy::wait_max);
}

TEST_CASE("five losses in two minutes open the breaker") {
  Clock clock;
  for (int i = 0; i < 4; ++i) clock.lost_after(1ms);
  CHECK_FALSE(clock.policy.open());
  CHECK(clock.lost_after(1ms) == RestartPolicy::open_for);
  CHECK(clock.policy.open());
  CHECK(clock.policy.losses(clock.now) == 5);
  CHECK(clock.policy.losses(clock.now + RestartPolicy::window) == 0);
}

TEST_CASE("five losses in a longer time do not") {
  Clock clock;
  for (int i = 0; i < 8; ++i) {
    clock.lost_after(31s);
    CHECK_FALSE(clock.policy.open());
  }
}

TEST_CASE("a start on trial that is lost young opens the breaker again at once") {
  Clock clock;
  for (int i = 0; i < 5; ++i) clock.lost_after(1ms);
  clock.policy.served();
  CHECK_FALSE(clock.policy.open());
  CHECK(clock.lost_after(1s) == RestartPolicy::open_for);
  CHECK(clock.policy.open());
}

TEST_CASE("a start on trial that lives well closes the breaker for good") {
  Clock clock;
  for (int i = 0; i < 5; ++i) clock.lost_after(1ms);
  clock.policy.served();
  CHECK(clock.lost_after(RestartPolicy::good_life) == 0ms);
  CHECK(clock.policy.losses(clock.now) == 1);
  CHECK(clock.lost_after(1ms) == 250ms);
}

TEST_CASE("an operator's reset forgets everything") {
  Clock clock;
  for (int i = 0; i < 5; ++i) clock.lost_after(1ms);
  clock.policy.reset();
  CHECK_FALSE(clock.policy.open());
  CHECK(clock.lost_after(1ms) == 0ms);
}
