// The table itself, in the order of the numbers on the wire.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/access.hpp"

#include <algorithm>

#include "core/model/result.hpp"

namespace skep::identity {
namespace {

constexpr uint32_t kSmall = 4 * 1024;           // ids and numbers
constexpr uint32_t kCertificate = 64 * 1024;    // PEM texts, with room for a bundle of roots
constexpr uint32_t kLarge = 4 * 1024 * 1024;    // whatever a node has
// A piece of a snapshot and what stands around it, the group's members among that.
constexpr uint32_t kChunk = 256 * 1024 + 64 * 1024;

}  // namespace

const std::vector<MethodInfo>& all_methods() {
  static const std::vector<MethodInfo> methods = {
      {Method::get_root, "GetRoot", Access::anyone, kSmall, kCertificate},
      {Method::issue_certificate, "IssueCertificate", Access::anyone, kCertificate, kCertificate},
      {Method::certificate_status, "CertificateStatus", Access::anyone, kSmall, kCertificate},
      {Method::session, "Session", Access::worker, kLarge, kLarge},
      {Method::heartbeat, "Heartbeat", Access::worker, kCertificate, kSmall},
      {Method::assignments, "Assignments", Access::worker, kSmall, kLarge},
      {Method::status, "Status", Access::worker, kLarge, kSmall},
      {Method::away, "Away", Access::worker, kSmall, kSmall},
      {Method::leave, "Leave", Access::worker, kSmall, kSmall},
      {Method::renew_certificate, "RenewCertificate", Access::worker, kCertificate, kCertificate},
      {Method::managers, "Managers", Access::worker, kSmall, kCertificate},
      {Method::logs, "Logs", Access::worker, kLarge, kLarge},
      {Method::raft, "Raft", Access::manager, kLarge, kLarge},
      {Method::snapshot, "Snapshot", Access::manager, kChunk, kChunk},
      {Method::forward, "Forward", Access::manager, kLarge, kLarge},
      {Method::read_index, "ReadIndex", Access::manager, kSmall, kSmall},
      {Method::join_raft, "JoinRaft", Access::manager, kCertificate, kLarge},
      {Method::write, "Write", Access::manager, kLarge, kLarge},
      {Method::get_config, "GetConfig", Access::manager, kSmall, kLarge},
  };
  return methods;
}

const MethodInfo* find_method(uint16_t number) {
  const std::vector<MethodInfo>& methods = all_methods();
  const auto found = std::find_if(methods.begin(), methods.end(), [&](const MethodInfo& m) {
    return static_cast<uint16_t>(m.method) == number;
  });
  return found == methods.end() ? nullptr : &*found;
}

const MethodInfo& info(Method method) {
  const MethodInfo* found = find_method(static_cast<uint16_t>(method));
  SKEP_ASSERT(found != nullptr, "every method has its row in the table");
  return *found;
}

Access access_of(std::optional<model::NodeRole> role) {
  if (!role) return Access::anyone;
  switch (*role) {
    case model::NodeRole::worker:
      return Access::worker;
    case model::NodeRole::manager:
      return Access::manager;
  }
  return Access::anyone;
}

bool may_call(Access caller, Method method) {
  return caller >= info(method).needs;
}

std::string_view access_name(Access access) {
  switch (access) {
    case Access::anyone:
      return "anyone";
    case Access::worker:
      return "worker";
    case Access::manager:
      return "manager";
  }
  return "anyone";
}

}  // namespace skep::identity
