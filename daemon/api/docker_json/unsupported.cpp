// The one table of what Docker knows and skep doesn't do yet.
//
// A key listed here and set to something else than its empty value is refused with its name, so
// that nobody believes a mount or a port was taken when it was dropped. When a feature is built,
// its line goes.
// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {
namespace {

enum class Refuse : uint8_t {
  when_set,      // anything but null, false, 0, "", [], {}
  when_present,  // anything but null: an empty object means something
};

struct Unsupported {
  std::string_view noun;
  std::string_view path;
  Refuse refuse = Refuse::when_set;
};

constexpr std::array kUnsupported = {
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Mounts"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Secrets"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Configs"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Healthcheck"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Privileges"},
    Unsupported{"ServiceSpec", "TaskTemplate.ContainerSpec.Init"},
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
    Unsupported{"SwarmSpec", "EncryptionConfig.AutoLockManagers"},
    Unsupported{"SwarmSpec", "CAConfig.ExternalCAs"},
    Unsupported{"SwarmSpec", "CAConfig.SigningCACert"},
    Unsupported{"SwarmSpec", "CAConfig.SigningCAKey"},
    Unsupported{"SwarmSpec", "CAConfig.ForceRotate"},
    Unsupported{"SwarmSpec", "TaskDefaults.LogDriver.Options"},
    Unsupported{"SwarmInit", "AutoLockManagers"},
    Unsupported{"SwarmInit", "ForceNewCluster"},
    Unsupported{"SwarmInit", "DataPathAddr"},
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

}  // namespace

Status refuse_unsupported(std::string_view noun, const Json& json) {
  for (const Unsupported& entry : kUnsupported) {
    if (entry.noun != noun) continue;
    const Json* value = find_path(json, entry.path);
    if (!value || value->is_null()) continue;
    if (entry.refuse == Refuse::when_present || !is_empty_value(*value)) {
      return fail(ErrorKind::unimplemented, "not implemented yet: " + std::string(entry.path));
    }
  }
  return {};
}

}  // namespace skep::docker_json
