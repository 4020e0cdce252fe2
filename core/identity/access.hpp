// Who may call what on the port between the nodes: one table.
//
// The numbers are those on the wire (Method in daemon/transport/frame.proto, which a static
// assertion compares). A manager may do all that a worker may, and a worker all that anyone may.
// What a caller may touch beyond the method (a node reports its own tasks only) is the business of
// the method's handler, which is told who calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"

namespace skep::identity {

enum class Method : uint16_t {
  get_root = 1,
  issue_certificate = 2,
  certificate_status = 3,
  session = 10,
  heartbeat = 11,
  assignments = 12,
  status = 13,
  away = 14,
  leave = 15,
  renew_certificate = 16,
  managers = 17,
  logs = 18,
  raft = 30,
  snapshot = 31,
  forward = 32,
  read_index = 33,
  join_raft = 34,
  write = 35,
  get_config = 36,
};

// From least to most: each may do what the one before may.
enum class Access : uint8_t { anyone, worker, manager };

struct MethodInfo {
  Method method;
  std::string_view name;  // as in logs: "IssueCertificate"
  Access needs;           // the least a caller must be
  uint32_t request_max;   // bytes of payload
  uint32_t response_max;  // bytes of payload, of the response or of each item
};

// Null: no such method.
const MethodInfo* find_method(uint16_t number);
const MethodInfo& info(Method method);
const std::vector<MethodInfo>& all_methods();

// What a certificate's role gives; no certificate gives Access::anyone.
Access access_of(std::optional<model::NodeRole> role);
bool may_call(Access caller, Method method);

// "anyone", "worker", "manager".
std::string_view access_name(Access access);

}  // namespace skep::identity
