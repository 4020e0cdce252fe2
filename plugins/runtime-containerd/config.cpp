// Reading the configuration. The logger stands beside the driver's .so; where that is the host says
// (plugin_dir), because it may have loaded the library from a copy. "log_program" overrides it.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/config.hpp"

#include <unistd.h>

#include <system_error>

namespace skep::containerd {

namespace fs = std::filesystem;

const char* const config_schema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "address": {"type": "string", "default": "/run/containerd/containerd.sock",
      "description": "absolute path of containerd's socket"},
    "namespace": {"type": "string", "default": "k8s.io",
      "description": "containerd's namespace; images are pulled through CRI, which knows k8s.io alone"},
    "snapshotter": {"type": "string", "default": "overlayfs", "description": "as in 'ctr plugins ls'"},
    "runtime": {"type": "string", "default": "io.containerd.runc.v2", "description": "the shim"},
    "log_program": {"type": "string",
      "description": "absolute path of skep-log, when it is not in the driver's folder"}
  }
})";

namespace {

constexpr size_t socket_path_max = 107;  // bytes that fit into sockaddr_un

fs::path log_program_in(const fs::path& folder) {
  const fs::path beside = folder / "skep-log";
  return access(beside.c_str(), X_OK) == 0 ? beside : fs::path();
}

}  // namespace

Config Config::parse(const sdk::json& request) {
  const auto invalid = [](const std::string& text) { return sdk::Failure(SKEP_E_INVALID, text); };
  Config config;
  std::string log_program;
  const sdk::json section = request.value("config", sdk::json());
  if (!section.is_object()) throw invalid("config: missing or not an object");
  for (const auto& [name, value] : section.items()) {
    std::string* target = name == "address"       ? &config.address
                          : name == "namespace"   ? &config.space
                          : name == "snapshotter" ? &config.snapshotter
                          : name == "runtime"     ? &config.runtime
                          : name == "log_program" ? &log_program
                                                  : nullptr;
    if (target == nullptr) throw invalid("config." + name + ": unknown member");
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
      throw invalid("config." + name + ": has to be a text that is not empty");
    }
    *target = value.get<std::string>();
  }
  if (config.address.starts_with("unix://")) config.address.erase(0, 7);
  if (!config.address.starts_with('/')) throw invalid("config.address: not an absolute path");
  if (config.address.size() > socket_path_max) {
    throw invalid("config.address: longer than the 107 bytes a socket's path may have");
  }
  config.node = request.value("node", std::string());
  if (config.node.empty()) throw invalid("node: missing");
  config.data_dir = request.value("data_dir", std::string());
  if (!config.data_dir.is_absolute()) throw invalid("data_dir: not an absolute path");
  config.log_program = log_program.empty()
                           ? log_program_in(request.value("plugin_dir", std::string()))
                           : fs::path(log_program);
  if (!log_program.empty() && access(log_program.c_str(), X_OK) != 0) {
    throw invalid("config.log_program: " + log_program + " can't be executed");
  }
  return config;
}

}  // namespace skep::containerd
