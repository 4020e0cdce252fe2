// Reading a record. The request comes back as it was given, from an extension of the record; a
// record without one, or with one that is no JSON object, was not made by this driver, and reads as
// an empty request.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/record.hpp"

#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"

namespace skep::containerd {

using sdk::Failure;
using sdk::json;

std::string id_of(const json& request) {
  const std::string id = request.at("id").get<std::string>();
  if (id.empty() || id.size() > SKEP_ID_MAX) throw Failure(SKEP_E_INVALID, "id: empty or too long");
  return id;
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
