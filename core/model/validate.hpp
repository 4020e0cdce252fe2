// What a spec must satisfy to be accepted, judged from the spec alone.
//
// These are the rules that need no look at the cluster: names, limits, enumerations, syntax. What
// depends on other objects (a name already taken, a port in use) is the manager's. Every refusal is
// `invalid` and begins with the field it is about, in the API's spelling. Pure; any thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::model {

inline constexpr size_t kNameLengthMax = 63;                 // as a DNS label
inline constexpr int64_t kNanoCpusMin = 1'000'000;           // a thousandth of a CPU
inline constexpr int64_t kMemoryBytesMin = 4 * 1024 * 1024;  // the kernel refuses less
inline constexpr uint64_t kReplicasMax = 1'000'000;  // bounds one decision, not a design limit
inline constexpr size_t kLabelsMax = 1024;
inline constexpr size_t kConfigNameLengthMax = 64;
inline constexpr size_t kConfigDataBytesMax = 1000 * 1024;

// Letters and digits, with '-' and '_' inside, up to 63 characters. `field` begins the sentence.
Status validate_name(std::string_view field, std::string_view name);

// "httpd", "example.org:5000/team/httpd:2.4", "httpd@sha256:...": the syntax only.
Status validate_image_reference(std::string_view field, std::string_view reference);

// An empty name is accepted: the manager makes one up.
Status validate_service_spec(const ServiceSpec& spec);
Status validate_node_spec(const NodeSpec& spec);
Status validate_cluster_spec(const ClusterSpec& spec);
// A name of 1 to 64 letters, digits, '.', '-' and '_' that begins and ends with a letter or digit.
Status validate_config_spec(const ConfigSpec& spec);

}  // namespace skep::model
