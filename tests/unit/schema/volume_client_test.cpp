// What the daemon's volume client sends, and what it can read, against the published schemas.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "daemon/drivers/restore_plan.hpp"
#include "daemon/drivers/volume_driver.hpp"
#include "tests/unit/schema/recording.hpp"

namespace {

using skep::drivers::RestorePlan;
using skep::drivers::VolumeDriver;
using skep::test::Recording;

}  // namespace

TEST_CASE("what the daemon asks a volume driver is what the schemas say") {
  Recording driver;
  VolumeDriver volumes(driver.plugin());
  driver.ok(volumes.scope());
  skep::drivers::VolumeRequest request;
  request.volume = "data";
  driver.ok(volumes.create(request));
  request.options = {{"type", "tmpfs"}, {"o", "size=1m"}};
  driver.ok(volumes.create(request));
  driver.ok(volumes.get("data"));
  driver.ok(volumes.list(100, ""));
  driver.ok(volumes.list(100, "next"));
  skep::drivers::VolumeHolding holding;
  holding.volume = "data";
  holding.holder = "c1";
  driver.ok(volumes.publish(holding));
  holding.handle = R"({"version":1})";
  holding.holders = {"c2", "c3"};
  holding.read_only = true;
  driver.ok(volumes.publish(holding));
  driver.ok(volumes.unpublish(holding));
  driver.ok(volumes.usage("data"));
  driver.ok(volumes.remove("data", "", false));
  driver.ok(volumes.remove("data", "null", true));
  const skep::drivers::RestoreSource source = [] {
    RestorePlan plan;
    plan.objects = {skep::drivers::restored_volume("data", "null", {"c1"}),
                    skep::drivers::restored_volume("more", R"({"version":1})", {})};
    plan.ids = {"data", "more"};
    return plan;
  };
  driver.ok(volumes.restore_from(source));
  const std::set<std::string> seen = driver.check();
  for (const char* operation :
       {"create", "get", "list", "publish", "unpublish", "usage", "remove"}) {
    INFO(operation);
    CHECK(seen.contains(std::string("skep.volume/1 ") + operation));
  }
  CHECK(seen.contains("skep.base/1 restore"));
  CHECK(seen.contains("skep.base/1 restore_done"));
}
