// The grammar of constraints and what they match.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/constraint.hpp"

#include <catch2/catch.hpp>

namespace skep::model {
namespace {

Node sample_node() {
  Node node;
  node.id = *NodeId::parse("0123456789abcdefghijklmno");
  node.description.hostname = "Ubuntu2";
  node.description.platform = {"x86_64", "linux"};
  node.description.engine_labels = {{"kernel", "new"}};
  node.spec.labels = {{"disk", "SSD"}};
  node.role = NodeRole::worker;
  node.status.address = "10.1.2.3";
  return node;
}

bool holds(const char* text) {
  const Result<Constraint> constraint = parse_constraint(text);
  REQUIRE(constraint);
  return matches(*constraint, sample_node());
}

TEST_CASE("a constraint compares whole values without regard to case") {
  CHECK(holds("node.hostname==ubuntu2"));
  CHECK_FALSE(holds("node.hostname==ubuntu"));
  CHECK_FALSE(holds("node.hostname != UBUNTU2"));
  CHECK(holds("node.role == worker"));
  CHECK(holds("node.id==0123456789abcdefghijklmno"));
  CHECK(holds("node.platform.os==Linux"));
  CHECK(holds("node.platform.arch!=aarch64"));
  CHECK(holds("engine.labels.kernel==new"));
}

TEST_CASE("a missing label is the empty text, so only != matches") {
  CHECK(holds("node.labels.disk==ssd"));
  CHECK_FALSE(holds("node.labels.zone==a"));
  CHECK(holds("node.labels.zone!=a"));
  CHECK_FALSE(holds("node.labels.Disk==ssd"));  // the label's own name keeps its case
}

TEST_CASE("node.ip takes an address or a block") {
  CHECK(holds("node.ip==10.1.2.3"));
  CHECK(holds("node.ip==10.1.0.0/16"));
  CHECK_FALSE(holds("node.ip==10.2.0.0/16"));
  CHECK(holds("node.ip!=fe80::/10"));
  Node node = sample_node();
  node.status.address = "[fd00::1:2]:2377";
  CHECK(matches(*parse_constraint("node.ip==fd00::/8"), node));
  CHECK_FALSE(matches(*parse_constraint("node.ip==fd00::1:3"), node));
}

TEST_CASE("what is no constraint is refused with a sentence that quotes it") {
  for (const char* text : {"node.role", "node.role=worker", "node.rol==worker", "==x",
                           "node.labels.==x", "node.role==", "node.ip==10.1.2",
                           "node.ip==10.0.0.0/33", "node.ip==1:2:3", "node.ip==::1::"}) {
    const Result<Constraint> constraint = parse_constraint(text);
    INFO(text);
    REQUIRE_FALSE(constraint);
    CHECK(constraint.error().kind == ErrorKind::invalid);
    CHECK(constraint.error().message.find(text) != std::string::npos);
  }
}

}  // namespace
}  // namespace skep::model
