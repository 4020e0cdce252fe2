// Each rule of a spec, and that its refusal names the field.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/validate.hpp"

#include <catch2/catch.hpp>

namespace skep::model {
namespace {

ServiceSpec good() {
  ServiceSpec spec;
  spec.name = "web";
  spec.task.container.image = "httpd:2.4.34";
  return spec;
}

void check_refused(const ServiceSpec& spec, const std::string& field) {
  const Status status = validate_service_spec(spec);
  INFO(field);
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::invalid);
  CHECK(status.error().message.starts_with(field + ":"));
}

TEST_CASE("a plain service is accepted, named or not") {
  ServiceSpec spec = good();
  CHECK(validate_service_spec(spec));
  spec.name.clear();
  CHECK(validate_service_spec(spec));
}

TEST_CASE("a service name is a DNS label with underscores") {
  for (const char* name : {"-web", "web-", "we b", "web.1", "wéb"}) {
    ServiceSpec spec = good();
    spec.name = name;
    check_refused(spec, "Name");
  }
  ServiceSpec spec = good();
  spec.name = std::string(63, 'a');
  CHECK(validate_service_spec(spec));
  spec.name += "a";
  check_refused(spec, "Name");
}

TEST_CASE("resources below what the kernel can keep are refused") {
  ServiceSpec spec = good();
  spec.task.limits = Resources{0, 4 * 1024 * 1024 - 1, 0};
  check_refused(spec, "TaskTemplate.Resources.Limits.MemoryBytes");
  spec.task.limits = Resources{999'999, 0, 0};
  check_refused(spec, "TaskTemplate.Resources.Limits.NanoCPUs");
  spec.task.limits = Resources{0, 0, -1};
  check_refused(spec, "TaskTemplate.Resources.Limits.Pids");
  spec.task.limits = Resources{1'000'000, 4 * 1024 * 1024, 10};
  CHECK(validate_service_spec(spec));
  spec.task.reservations = Resources{0, 8 * 1024 * 1024, 0};
  check_refused(spec, "TaskTemplate.Resources.Reservations.MemoryBytes");
}

TEST_CASE("times are not negative and the ratio is a ratio") {
  ServiceSpec spec = good();
  spec.task.restart.emplace().delay = Nanoseconds(-1);
  check_refused(spec, "TaskTemplate.RestartPolicy.Delay");
  spec = good();
  spec.update.emplace().max_failure_ratio = 1.5;
  check_refused(spec, "UpdateConfig.MaxFailureRatio");
  spec = good();
  spec.rollback.emplace().failure_action = UpdateFailureAction::rollback;
  check_refused(spec, "RollbackConfig.FailureAction");
}

TEST_CASE("constraints, preferences and labels are judged when they are set") {
  ServiceSpec spec = good();
  spec.task.placement.emplace().constraints = {"node.rol==worker"};
  check_refused(spec, "TaskTemplate.Placement.Constraints");
  spec = good();
  spec.task.placement.emplace().spread_over = {"node.role"};
  check_refused(spec, "TaskTemplate.Placement.Preferences");
  spec = good();
  spec.labels = {{"skep.unknown", "1"}};
  check_refused(spec, "Labels");
}

TEST_CASE("image references are judged by their syntax") {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  for (const std::string& good_one :
       {std::string("httpd"), std::string("httpd:2.4.34"), "httpd" + digest,
        std::string("team/app"), std::string("example.org:5000/team/app_x:V1-2"),
        std::string("localhost/app"), "example.org/a/b__c-d.e:t" + digest}) {
    INFO(good_one);
    CHECK(validate_image_reference("Image", good_one));
  }
  for (const std::string& bad :
       {std::string(""), std::string("Httpd"), std::string("httpd:"), std::string("a//b"),
        std::string("/a"), std::string("a b"), std::string("a@sha256:12"), std::string("a..b"),
        std::string("example.org:x/a"), std::string("a:-x")}) {
    INFO(bad);
    CHECK_FALSE(validate_image_reference("Image", bad));
  }
}

}  // namespace
}  // namespace skep::model
