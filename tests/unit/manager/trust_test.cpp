// What is made ready for a change of the cluster's trust: real keys, certificates and tokens.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/trust.hpp"

#include <catch2/catch.hpp>

#include "core/identity/rotation.hpp"
#include "core/identity/token.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/storage/key_file.hpp"
#include "daemon/transport/pki.hpp"

using namespace skep;
using namespace skep::manager;

namespace {

model::Cluster cluster() {
  const transport::KeyAndCertificate root = *transport::make_root(base::wall_now());
  model::Cluster made;
  made.id = {{1, 1}};
  made.ca_certificate_pem = root.certificate_pem;
  made.ca_key_pem = root.key_pem;
  return made;
}

Result<planner::TrustChange> prepared(const model::Cluster& row, uint64_t force_rotate,
                                      const TokenRotation& rotate = {}) {
  model::ClusterSpec spec = row.spec;
  spec.force_rotate = force_rotate;
  return prepare_trust_change(row, spec, rotate, base::wall_now());
}

identity::Digest digest_in(const std::string& token) {
  return identity::parse_join_token(token).value().root_digest;
}

}  // namespace

TEST_CASE("a spec with the same number asks for no new root, another number does") {
  model::Cluster row = cluster();
  const auto nothing = prepared(row, 0);
  REQUIRE(nothing);
  CHECK_FALSE(nothing->rotation);
  CHECK_FALSE(nothing->worker_token);
  const auto change = prepared(row, 1);
  REQUIRE(change);
  REQUIRE(change->rotation);
  CHECK(change->rotation->certificate_pem != row.ca_certificate_pem);
  CHECK(digest_in(change->rotation->worker_token) ==
        transport::certificate_digest(change->rotation->certificate_pem).value());
  CHECK(change->rotation->worker_token != change->rotation->manager_token);
}

TEST_CASE("what the rotation's key signs is good under the old root and under the new one") {
  model::Cluster row = cluster();
  const std::string old_root = row.ca_certificate_pem;
  const auto change = prepared(row, 1);
  REQUIRE(identity::begin_rotation(row, *change->rotation, change->cross_signed_by));
  const identity::SigningRoot signer = identity::signing_root(row);
  const auto request = transport::make_request();
  const transport::CertificateOrder order{{{1, 2}}, row.id, model::NodeRole::worker};
  const auto leaf = transport::sign_request({signer.key_pem, signer.certificate_pem},
                                            request->csr_pem, order, base::wall_now());
  REQUIRE(leaf);
  const std::string chain = *leaf + signer.chain_pem;
  for (const std::string& roots :
       {old_root, change->rotation->certificate_pem, identity::trusted_roots(row)}) {
    const auto checked = transport::check_credentials(roots, chain, request->key_pem);
    REQUIRE(checked);
    CHECK(checked->issuer == change->rotation->issuer);
  }
}

TEST_CASE("new tokens carry the digest of the present root") {
  const model::Cluster row = cluster();
  TokenRotation rotate;
  rotate.worker = true;
  const auto change = prepared(row, 0, rotate);
  REQUIRE(change);
  REQUIRE(change->worker_token);
  CHECK_FALSE(change->manager_token);
  CHECK(digest_in(*change->worker_token) ==
        transport::certificate_digest(row.ca_certificate_pem).value());
}

TEST_CASE("a given root needs its key, and the present one given again calls a rotation off") {
  model::Cluster row = cluster();
  TokenRotation given;
  given.signing_key_pem = row.ca_key_pem;
  CHECK(prepared(row, 0, given).error().kind == ErrorKind::invalid);
  given.signing_certificate_pem = row.ca_certificate_pem;
  given.signing_key_pem.clear();
  CHECK(prepared(row, 0, given).error().message.find("SigningCAKey") == 0);
  const auto change = prepared(row, 1);
  REQUIRE(identity::begin_rotation(row, *change->rotation, change->cross_signed_by));
  given.signing_key_pem = row.ca_key_pem;
  const auto back = prepared(row, 0, given);
  REQUIRE(back);
  REQUIRE(back->rotation);
  REQUIRE(identity::begin_rotation(row, *back->rotation, back->cross_signed_by));
  CHECK_FALSE(row.root_rotation);
}

TEST_CASE(
    "an unlock key is made when the lock is turned on or its key is to change, and not else") {
  model::Cluster row = cluster();
  model::ClusterSpec locked = row.spec;
  locked.auto_lock_managers = true;
  TokenRotation rotate;
  rotate.unlock_key = true;
  const auto asked = [&](const model::ClusterSpec& spec, const TokenRotation& rotation) {
    const auto change = prepare_trust_change(row, spec, rotation, base::wall_now());
    REQUIRE(change);
    return change->unlock_key;
  };
  CHECK_FALSE(asked(row.spec, {}));
  CHECK_FALSE(asked(row.spec, rotate));  // without a lock there is no key
  const auto first = asked(locked, {});
  REQUIRE(first);
  CHECK(storage::UnlockKey::parse(*first));
  row.spec = locked;
  row.unlock_key = *first;
  CHECK_FALSE(asked(locked, {}));
  const auto second = asked(locked, rotate);
  REQUIRE(second);
  CHECK(*second != *first);
}
