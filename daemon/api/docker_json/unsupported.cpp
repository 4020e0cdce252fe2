// The one table of what Docker knows and skep doesn't do yet.
//
// A key listed here and set to something else than its empty value is refused with its name, so
// that nobody believes a mount or a port was taken when it was dropped. When a feature is built,
// its line goes.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {
namespace {

enum class Refuse : uint8_t {
  when_set,      // anything but null, false, 0, "", [], {}
  when_present,  // anything but null: an empty object means something
  unless_ours,   // anything but the one log driver there is
  templates,     // texts, or lists or values of texts, that hold a placeholder
  propagation,   // propagations of mounts other than the one there is
};

constexpr std::string_view kLogDriver = "json-file";
constexpr std::array kPropagations = {"private", "shared", "rshared", "slave", "rslave"};
constexpr std::string_view kPlaceholder = "{{";

struct Unsupported {
  std::string_view noun;
  std::string_view path;
  Refuse refuse = Refuse::when_set;
};

constexpr std::array kUnsupported = {
    Unsupported{"Mount", "Source", Refuse::templates},
    Unsupported{"Mount", "Target", Refuse::templates},
    Unsupported{"Mount", "VolumeOptions.Labels", Refuse::templates},
    Unsupported{"Mount", "VolumeOptions.DriverConfig.Options", Refuse::templates},
    Unsupported{"Mount", "BindOptions.NonRecursive"},
    Unsupported{"Mount", "BindOptions.CreateMountpoint"},
    Unsupported{"Mount", "BindOptions.ReadOnlyNonRecursive"},
    Unsupported{"Mount", "BindOptions.ReadOnlyForceRecursive"},
    Unsupported{"Mount", "BindOptions.Propagation", Refuse::propagation},
    Unsupported{"Mount", "VolumeOptions.Subpath"},
    Unsupported{"Mount", "TmpfsOptions.Options"},
    Unsupported{"Mount", "ImageOptions"},
    Unsupported{"Mount", "ClusterOptions"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Secrets"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Configs"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Healthcheck"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Privileges"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Init"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Env", Refuse::templates},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Hostname", Refuse::templates},
    Unsupported{"ServiceSpec", "TaskTemplate.LogDriver.Name", Refuse::unless_ours},
    Unsupported{"ServiceSpec", "TaskTemplate.PluginSpec"},
    Unsupported{"ServiceSpec", "TaskTemplate.NetworkAttachmentSpec"},
    Unsupported{"ServiceSpec", "TaskTemplate.Networks"},
    Unsupported{"ServiceSpec", "TaskTemplate.Resources.Reservations.GenericResources"},
    Unsupported{"ServiceSpec", "TaskTemplate.Resources.SwapBytes"},
    Unsupported{"ServiceSpec", "TaskTemplate.Resources.MemorySwappiness"},
    Unsupported{"ServiceSpec", "Networks"},
    Unsupported{"ServiceSpec", "EndpointSpec.Ports"},
    Unsupported{"ServiceSpec", "Mode.Global", Refuse::when_present},
    Unsupported{"ServiceSpec", "Mode.ReplicatedJob", Refuse::when_present},
    Unsupported{"ServiceSpec", "Mode.GlobalJob", Refuse::when_present},
    Unsupported{"SwarmSpec", "CAConfig.ExternalCAs"},
    Unsupported{"SwarmSpec", "TaskDefaults.LogDriver.Options"},
    Unsupported{"SwarmInit", "DataPathAddr"},
    Unsupported{"SwarmInit", "Spec.CAConfig.SigningCACert"},
    Unsupported{"SwarmInit", "Spec.CAConfig.SigningCAKey"},
    Unsupported{"SwarmJoin", "DataPathAddr"},
};

const Json* find_path(const Json& json, std::string_view path) {
  const Json* at = &json;
  while (true) {
    const size_t dot = path.find('.');
    if (!at->is_object()) return nullptr;
    const auto found = at->find(std::string(path.substr(0, dot)));
    if (found == at->end()) return nullptr;
    at = &*found;
    if (dot == std::string_view::npos) return at;
    path.remove_prefix(dot + 1);
  }
}

bool holds_placeholder(const Json& value) {
  if (value.is_string()) {
    return value.get_ref<const std::string&>().find(kPlaceholder) != std::string::npos;
  }
  // Of an object the values: Docker doesn't look into keys either.
  return value.is_structured() && std::any_of(value.begin(), value.end(), holds_placeholder);
}

bool refused(const Json& value, Refuse refuse) {
  switch (refuse) {
    case Refuse::when_set:
      return !is_empty_value(value);
    case Refuse::when_present:
      return true;
    case Refuse::unless_ours:
      return !is_empty_value(value) && value != kLogDriver;
    case Refuse::templates:
      return holds_placeholder(value);
    case Refuse::propagation:
      return value.is_string() &&
             std::ranges::find(kPropagations, lowered(value.get<std::string>())) !=
                 kPropagations.end();
  }
  return true;
}

// What is said after the path.
std::string_view detail(Refuse refuse) {
  if (refuse == Refuse::templates) return ": placeholders ({{...}})";
  if (refuse == Refuse::propagation) return ": the only propagation is rprivate";
  if (refuse == Refuse::unless_ours) return ": the only log driver is json-file";
  return "";
}

}  // namespace

Status refuse_unsupported(std::string_view noun, const Json& json) {
  for (const Unsupported& entry : kUnsupported) {
    if (entry.noun != noun) continue;
    const Json* value = find_path(json, entry.path);
    if (!value || value->is_null()) continue;
    if (refused(*value, entry.refuse)) {
      return fail(ErrorKind::unimplemented, "not implemented yet: " + std::string(entry.path) +
                                                std::string(detail(entry.refuse)));
    }
  }
  return {};
}

}  // namespace skep::docker_json
