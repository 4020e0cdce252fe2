// What skep writes into a container's record in containerd, and reads back: the label that makes it
// ours, the image it was made from, and the whole create request. Nothing without the label of this
// node is ever touched.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "skep/cpp/driver.hpp"

namespace containerd::services::containers::v1 {
class Container;
}

namespace skep::containerd {

using ContainerRecord = ::containerd::services::containers::v1::Container;

inline constexpr const char* node_label = "io.skep.node";
inline constexpr const char* image_id_label = "io.skep.image-id";
inline constexpr const char* request_extension = "io.skep/spec";

// A member that has to be a text. Throws Failure(SKEP_E_INVALID) that names it.
std::string text_of(const sdk::json& request, const char* member);
// A member that names an object: 1 to 128 bytes, else as text_of.
std::string id_of(const sdk::json& request, const char* member = "id");
// Whether two create requests ask for the same container.
bool asks_the_same(const sdk::json& one, const sdk::json& other);
// The request that the container was created with; an empty object when it is not there.
sdk::json request_of(const ContainerRecord& record);
// Whether this node's driver made it.
bool is_ours(const ContainerRecord& record, const std::string& node);
// "/skep/NODE/ID", the cgroup of a container made from this request.
std::string cgroup_path(const sdk::json& request);
// SKEP_E_NOTFOUND "No such container: ID".
sdk::Failure no_such_container(const std::string& id);

}  // namespace skep::containerd
