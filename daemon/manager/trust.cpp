// Making roots, signing across, drawing tokens.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/trust.hpp"

#include "core/identity/token.hpp"
#include "daemon/storage/key_file.hpp"
#include "daemon/transport/pki.hpp"

namespace skep::manager {
namespace {

Result<std::string> new_token(const identity::Digest& root) {
  SKEP_TRY_ASSIGN(const identity::Secret secret, transport::random_secret());
  return identity::JoinToken{root, secret}.str();
}

Result<model::RootRotation> rotation_to(const transport::KeyAndCertificate& root,
                                        const model::Cluster& cluster, model::WallTime now) {
  model::RootRotation rotation;
  rotation.certificate_pem = root.certificate_pem;
  rotation.key_pem = root.key_pem;
  const transport::KeyAndCertificate present{cluster.ca_key_pem, cluster.ca_certificate_pem};
  SKEP_TRY_ASSIGN(rotation.cross_signed_pem,
                  transport::cross_sign(present, root.certificate_pem, now));
  SKEP_TRY_ASSIGN(rotation.issuer, transport::issuer_info(root.certificate_pem));
  SKEP_TRY_ASSIGN(const identity::Digest digest,
                  transport::certificate_digest(root.certificate_pem));
  SKEP_TRY_ASSIGN(rotation.worker_token, new_token(digest));
  SKEP_TRY_ASSIGN(rotation.manager_token, new_token(digest));
  return rotation;
}

}  // namespace

Result<planner::TrustChange> prepare_trust_change(const model::Cluster& cluster,
                                                  const model::ClusterSpec& spec,
                                                  const TokenRotation& rotate,
                                                  model::WallTime now) {
  planner::TrustChange change;
  SKEP_TRY_ASSIGN(const identity::Digest digest,
                  transport::certificate_digest(cluster.ca_certificate_pem));
  if (rotate.worker) {
    SKEP_TRY_ASSIGN(change.worker_token, new_token(digest));
  }
  if (rotate.manager) {
    SKEP_TRY_ASSIGN(change.manager_token, new_token(digest));
  }
  if (spec.auto_lock_managers && (rotate.unlock_key || cluster.unlock_key.empty())) {
    SKEP_TRY_ASSIGN(const storage::UnlockKey key, storage::UnlockKey::random());
    change.unlock_key = key.text();
  }
  transport::KeyAndCertificate root;
  if (!rotate.signing_certificate_pem.empty()) {
    if (rotate.signing_key_pem.empty()) {
      return fail(ErrorKind::invalid,
                  "SigningCAKey: a root is of no use without its key, as there is no external CA");
    }
    SKEP_TRY_ASSIGN(root, transport::check_given_root(rotate.signing_certificate_pem,
                                                      rotate.signing_key_pem, now));
  } else if (!rotate.signing_key_pem.empty()) {
    return fail(ErrorKind::invalid, "SigningCACert: the certificate of SigningCAKey is missing");
  } else if (spec.force_rotate != cluster.spec.force_rotate) {
    SKEP_TRY_ASSIGN(root, transport::make_root(now));
  } else {
    return change;
  }
  SKEP_TRY_ASSIGN(change.rotation, rotation_to(root, cluster, now));
  change.cross_signed_by = cluster.ca_certificate_pem;
  return change;
}

}  // namespace skep::manager
