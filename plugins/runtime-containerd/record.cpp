// Reading a record. The request comes back as it was given, from an extension of the record; a
// record without one, or with one that is no JSON object, was not made by this driver, and reads as
// an empty request.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/record.hpp"

#include <algorithm>
#include <array>

#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"

namespace skep::containerd {

using sdk::Failure;
using sdk::json;

namespace {

// What create() knows; a member that is not among these has no meaning and makes no difference.
constexpr std::array known_members{"id",
                                   "image",
                                   "command",
                                   "args",
                                   "env",
                                   "working_dir",
                                   "user",
                                   "groups",
                                   "hostname",
                                   "tty",
                                   "stdin_open",
                                   "read_only",
                                   "init",
                                   "privileged",
                                   "cap_add",
                                   "cap_drop",
                                   "sysctls",
                                   "ulimits",
                                   "oom_score_adj",
                                   "netns",
                                   "cgroup_parent",
                                   "resources",
                                   "mounts",
                                   "labels",
                                   "log"};

}  // namespace

std::string text_of(const json& request, const char* member) {
  const auto found = request.find(member);
  if (found == request.end()) throw Failure(SKEP_E_INVALID, std::string(member) + ": missing");
  if (!found->is_string()) throw Failure(SKEP_E_INVALID, std::string(member) + ": not a text");
  return found->get<std::string>();
}

std::string id_of(const json& request, const char* member) {
  std::string id = text_of(request, member);
  if (id.empty() || id.size() > SKEP_ID_MAX) {
    throw Failure(SKEP_E_INVALID, std::string(member) + ": empty or longer than 128 bytes");
  }
  return id;
}

bool asks_the_same(const json& one, const json& other) {
  return std::ranges::all_of(known_members, [&](const char* member) {
    return one.value(member, json()) == other.value(member, json());
  });
}

json request_of(const ContainerRecord& record) {
  const auto found = record.extensions().find(request_extension);
  if (found == record.extensions().end()) return json::object();
  json request = json::parse(found->second.value(), nullptr, false);
  return request.is_object() ? request : json::object();
}
bool is_ours(const ContainerRecord& record, const std::string& node) {
  const auto label = record.labels().find(node_label);
  return label != record.labels().end() && label->second == node;
}

std::string cgroup_path(const json& request) {
  return request.value("cgroup_parent", std::string("/skep")) + "/" +
         request.value("id", std::string("unknown"));
}

Failure no_such_container(const std::string& id) {
  return Failure(SKEP_E_NOTFOUND, "No such container: " + id);
}

}  // namespace skep::containerd
