// What the cluster's row says of trust before, during and after a rotation.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/rotation.hpp"

#include <catch2/catch.hpp>

using namespace skep;
using namespace skep::identity;

namespace {

model::Cluster cluster() {
  model::Cluster made;
  made.ca_certificate_pem = "A.";
  made.ca_key_pem = "key of A";
  made.worker_token = "worker A";
  made.manager_token = "manager A";
  return made;
}

model::RootRotation to(const std::string& name) {
  return {name + ".",       "key of " + name, "A on " + name, {"name", "spki of " + name},
          "worker " + name, "manager " + name};
}

}  // namespace

TEST_CASE(
    "during a rotation both roots are trusted, and the new one signs with what A says of it") {
  model::Cluster row = cluster();
  CHECK(trusted_roots(row) == "A.");
  CHECK(wanted_root(row) == "A.");
  CHECK(signing_root(row).chain_pem.empty());
  REQUIRE(begin_rotation(row, to("B"), "A."));
  CHECK(trusted_roots(row) == "A.B.");
  CHECK(wanted_root(row) == "B.");
  CHECK(signing_root(row).key_pem == "key of B");
  CHECK(signing_root(row).chain_pem == "A on B");
  CHECK(row.worker_token == "worker A");  // joiners still know A
  finish_rotation(row);
  CHECK(trusted_roots(row) == "B.");
  CHECK(row.ca_key_pem == "key of B");
  CHECK(row.worker_token == "worker B");
  CHECK(row.manager_token == "manager B");
  CHECK_FALSE(row.root_rotation);
}

TEST_CASE("a second rotation replaces the target and keeps the root that signs across") {
  model::Cluster row = cluster();
  REQUIRE(begin_rotation(row, to("B"), "A."));
  REQUIRE(begin_rotation(row, to("C"), "A."));
  CHECK(trusted_roots(row) == "A.C.");
  CHECK(signing_root(row).chain_pem == "A on C");
}

TEST_CASE("the same target again changes nothing, the present root calls the rotation off") {
  model::Cluster row = cluster();
  REQUIRE(begin_rotation(row, to("B"), "A."));
  const model::Cluster before = row;
  model::RootRotation again = to("B");
  again.worker_token = "another";
  REQUIRE(begin_rotation(row, again, "A."));
  CHECK(row == before);
  REQUIRE(begin_rotation(row, to("A"), "A."));
  CHECK_FALSE(row.root_rotation);
  CHECK(trusted_roots(row) == "A.");
}

TEST_CASE("what another root than the present one signed across is out of sequence") {
  model::Cluster row = cluster();
  const Status late = begin_rotation(row, to("C"), "B.");
  REQUIRE_FALSE(late);
  CHECK(late.error() == Error{ErrorKind::conflict, "update out of sequence"});
  CHECK(row == cluster());
}
