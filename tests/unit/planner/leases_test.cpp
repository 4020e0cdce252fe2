// Leases: silence alone ends one.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/dispatcher/leases.hpp"

using namespace skep;
using namespace std::chrono_literals;
using dispatcher::Leases;

namespace {
const model::NodeId kNode{{0, 1}};
const model::NodeId kOther{{0, 2}};
}  // namespace

TEST_CASE("a node that beats keeps its lease, a silent one loses it after three beats") {
  Leases leases(1s);
  leases.renew(kNode, 0s);
  leases.renew(kOther, 0s);
  leases.renew(kNode, 2s);
  CHECK(leases.expire(2999ms).empty());
  CHECK(leases.expire(3s) == std::vector<model::NodeId>{kOther});
  CHECK(leases.expire(4999ms).empty());
  CHECK(leases.expire(5s) == std::vector<model::NodeId>{kNode});
  CHECK_FALSE(leases.holds(kNode));
}

TEST_CASE("a leader that was held up itself blames no node") {
  Leases leases(1s);
  leases.renew(kNode, 0s);
  leases.renew(kOther, 1s);
  CHECK(leases.expire(30s).empty());
  CHECK(leases.expire(32999ms).empty());
  leases.renew(kOther, 32s);
  CHECK(leases.expire(33s) == std::vector<model::NodeId>{kNode});
}

TEST_CASE("a node that says it will be away keeps its lease that long") {
  Leases leases(1s);
  leases.renew(kNode, 0s, 60s);
  leases.renew(kNode, 1s);  // a beat that was still on its way
  CHECK(leases.expire(59s).empty());
  CHECK(leases.next_expiry() == dispatcher::Instant(60s));
  CHECK(leases.expire(60s).size() == 1);
}
