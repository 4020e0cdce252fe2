// From what the managers assigned to what the runtime is asked, and to what the API shows.
//
// Pure translation; the one place that knows Docker's labels on a task's container and the meaning
// of Docker's "command" (replaces the entrypoint) and "args" (replace the command).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/agent/assignments.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/agent/options.hpp"
#include "daemon/drivers/runtime_driver.hpp"

namespace skep::agent {

// The name the container has for itself: the spec's, else the id's first 12 digits.
std::string container_hostname(const AssignedTask& assigned);

std::string container_files_folder(const AgentOptions& options, const std::string& id);
std::string container_log_folder(const AgentOptions& options, const std::string& id);

// Errors: invalid, for an image name that can't be one.
Result<drivers::ContainerRequest> container_request(const AssignedTask& assigned,
                                                    const AgentOptions& options,
                                                    const std::string& netns_path);

// A mount of the spec, its target cleaned; the source of a volume is empty yet.
drivers::ContainerMount runtime_mount(const model::Mount& mount);

// Adds the mounts of the spec to those that every container has. What lies below another mount
// comes after it, or it would be hidden; in one place the last is seen, which is the spec's.
void put_mounts(std::vector<drivers::ContainerMount> mounts, drivers::ContainerRequest* request);

// The row of the container table, as known before the runtime said anything.
Container container_record(const AssignedTask& assigned, const AgentOptions& options);

// Brings the row up to what the runtime says of the container.
void apply_state(const drivers::ContainerState& state, Container* container);

// Docker's X-Registry-Auth: base64url of a JSON object. Empty or unreadable: none.
std::optional<drivers::RegistryAuth> registry_auth(const std::string& text);

// The grace given to a container that is stopped, and the signal ("" is the image's).
int64_t stop_grace_ms(const model::ContainerSpec& spec);

// "10m" -> bytes. Errors: nullopt.
std::optional<int64_t> parse_byte_size(std::string_view text);

}  // namespace skep::agent
