// The rows of a rotation: what is in them while it goes on, and after.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/rotation.hpp"

namespace skep::identity {

std::string trusted_roots(const model::Cluster& cluster) {
  if (!cluster.root_rotation) return cluster.ca_certificate_pem;
  return cluster.ca_certificate_pem + cluster.root_rotation->certificate_pem;
}

const std::string& wanted_root(const model::Cluster& cluster) {
  return cluster.root_rotation ? cluster.root_rotation->certificate_pem
                               : cluster.ca_certificate_pem;
}

SigningRoot signing_root(const model::Cluster& cluster) {
  if (!cluster.root_rotation) return {cluster.ca_certificate_pem, cluster.ca_key_pem, ""};
  const model::RootRotation& rotation = *cluster.root_rotation;
  return {rotation.certificate_pem, rotation.key_pem, rotation.cross_signed_pem};
}

Status begin_rotation(model::Cluster& cluster, model::RootRotation rotation,
                      const std::string& cross_signed_by) {
  if (cluster.ca_certificate_pem != cross_signed_by) {
    return fail(ErrorKind::conflict, "update out of sequence");
  }
  if (rotation.certificate_pem == cluster.ca_certificate_pem) {
    cluster.ca_key_pem = rotation.key_pem;
    cluster.root_rotation.reset();
    return {};
  }
  if (cluster.root_rotation && cluster.root_rotation->certificate_pem == rotation.certificate_pem) {
    return {};
  }
  cluster.root_rotation = std::move(rotation);
  return {};
}

bool has_wanted_issuer(const model::RootRotation& rotation, const model::Node& node) {
  return node.trust.issuer == rotation.issuer;
}

void finish_rotation(model::Cluster& cluster) {
  SKEP_ASSERT(cluster.root_rotation, "there is a rotation to finish");
  model::RootRotation done = std::move(*cluster.root_rotation);
  cluster.root_rotation.reset();
  cluster.ca_certificate_pem = std::move(done.certificate_pem);
  cluster.ca_key_pem = std::move(done.key_pem);
  cluster.worker_token = std::move(done.worker_token);
  cluster.manager_token = std::move(done.manager_token);
}

}  // namespace skep::identity
