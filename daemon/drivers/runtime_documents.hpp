// The documents of skep/runtime.h, to and from the structs of runtime_driver.hpp.
//
// Writers leave out what has its default, because the contract says that an absent member has it.
// Readers throw nlohmann::json::exception on a wrong type or a missing required member; their
// caller (typed_call.hpp) turns that into an Error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/drivers/runtime_driver.hpp"

namespace skep::drivers {

nlohmann::json to_json(const ContainerRequest& request);
nlohmann::json to_json(const ExecRequest& request);
nlohmann::json to_json(const RegistryAuth& auth);

ContainerRequest container_request(const nlohmann::json& document);
CreatedContainer created_container(const nlohmann::json& document);
StartedContainer started_container(const nlohmann::json& document);
ContainerExit container_exit(const nlohmann::json& document);
ContainerState container_state(const nlohmann::json& document);
std::vector<ContainerState> container_states(const nlohmann::json& document);
std::vector<ContainerStats> container_stats(const nlohmann::json& document);
RuntimeHealth runtime_health(const nlohmann::json& document);
RuntimeEvent runtime_event(const nlohmann::json& document);
ImageInfo image_info(const nlohmann::json& document);
std::vector<ImageInfo> image_infos(const nlohmann::json& document);
PullProgress pull_progress(const nlohmann::json& document);
RemovedImage removed_image(const nlohmann::json& document);

}  // namespace skep::drivers
