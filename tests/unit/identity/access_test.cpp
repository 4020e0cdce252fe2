// Who may call what: the table of the design page, row by row.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/access.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace skep::identity;
using skep::model::NodeRole;

TEST_CASE("anyone may fetch the root and ask for a certificate, and nothing else") {
  const std::set<Method> open = {Method::get_root, Method::issue_certificate,
                                 Method::certificate_status};
  for (const MethodInfo& method : all_methods()) {
    CHECK(may_call(access_of(std::nullopt), method.method) == open.contains(method.method));
  }
}

TEST_CASE("a worker may not call what belongs to the managers") {
  const std::set<Method> closed = {Method::raft,       Method::snapshot,  Method::forward,
                                   Method::read_index, Method::join_raft, Method::write,
                                   Method::get_config};
  for (const MethodInfo& method : all_methods()) {
    CHECK(may_call(access_of(NodeRole::worker), method.method) == !closed.contains(method.method));
    CHECK(may_call(access_of(NodeRole::manager), method.method));
  }
}

TEST_CASE("an unknown number is no method") {
  CHECK(find_method(0) == nullptr);
  CHECK(find_method(999) == nullptr);
  REQUIRE(find_method(12) != nullptr);
  CHECK(find_method(12)->name == "Assignments");
}
