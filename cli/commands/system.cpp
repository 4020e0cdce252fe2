// `skep version` and `skep info`: this program, the daemon, and the machine it runs on.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

void field(const char* indent, const char* name, const std::string& value) {
  if (!value.empty()) std::printf("%s%s: %s\n", indent, name, value.c_str());
}

std::string count(const Json& info, std::string_view path) {
  return std::to_string(integer_at(info, path));
}

Result<int> version(const std::optional<std::string>& format, const Session& session) {
  const Json client = {{"Version", SKEP_VERSION}, {"DefaultAPIVersion", "1.47"}, {"Os", "linux"}};
  if (!format) std::printf("Client: skep\n Version:           %s\n", SKEP_VERSION);
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json server, daemon.get("/version"));
  if (format) {
    SKEP_TRY(print_objects({Json{{"Client", client}, {"Server", server}}}, format));
    return 0;
  }
  std::printf("\nServer: %s\n Engine:\n", text_at(server, "/Platform/Name").c_str());
  std::printf("  Version:          %s\n", text_at(server, "/Version").c_str());
  std::printf("  API version:      %s (minimum version %s)\n",
              text_at(server, "/ApiVersion").c_str(), text_at(server, "/MinAPIVersion").c_str());
  std::printf("  Git commit:       %s\n", text_at(server, "/GitCommit").c_str());
  std::printf("  OS/Arch:          %s/%s\n", text_at(server, "/Os").c_str(),
              text_at(server, "/Arch").c_str());
  return 0;
}

void print_swarm(const Json& swarm) {
  std::printf(" Swarm: %s\n", text_at(swarm, "/LocalNodeState").c_str());
  if (text_at(swarm, "/LocalNodeState") == "inactive") return;
  field("  ", "NodeID", text_at(swarm, "/NodeID"));
  field("  ", "Error", text_at(swarm, "/Error"));
  const bool manager = flag_at(swarm, "/ControlAvailable");
  std::printf("  Is Manager: %s\n", manager ? "true" : "false");
  if (manager) {
    field("  ", "ClusterID", text_at(swarm, "/Cluster/ID"));
    std::printf("  Managers: %s\n  Nodes: %s\n", count(swarm, "/Managers").c_str(),
                count(swarm, "/Nodes").c_str());
  }
  field("  ", "Node Address", text_at(swarm, "/NodeAddr"));
  const Json& managers = array_at(swarm, "/RemoteManagers");
  if (!managers.empty()) std::printf("  Manager Addresses:\n");
  for (const Json& one : managers) std::printf("   %s\n", text_at(one, "/Addr").c_str());
}

Result<int> info(const std::optional<std::string>& format, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json all, daemon.get("/info"));
  if (format) {
    SKEP_TRY(print_objects({all}, format));
    return 0;
  }
  std::printf("Client: skep\n Version:    %s\n\nServer:\n", SKEP_VERSION);
  std::printf(" Containers: %s\n  Running: %s\n  Paused: %s\n  Stopped: %s\n Images: %s\n",
              count(all, "/Containers").c_str(), count(all, "/ContainersRunning").c_str(),
              count(all, "/ContainersPaused").c_str(), count(all, "/ContainersStopped").c_str(),
              count(all, "/Images").c_str());
  field(" ", "Server Version", text_at(all, "/ServerVersion"));
  field(" ", "Storage Driver", text_at(all, "/Driver"));
  field(" ", "Logging Driver", text_at(all, "/LoggingDriver"));
  field(" ", "Cgroup Driver", text_at(all, "/CgroupDriver"));
  field(" ", "Cgroup Version", text_at(all, "/CgroupVersion"));
  print_swarm(value_at(all, "/Swarm"));
  field(" ", "Default Runtime", text_at(all, "/DefaultRuntime"));
  field(" ", "Kernel Version", text_at(all, "/KernelVersion"));
  field(" ", "Operating System", text_at(all, "/OperatingSystem"));
  field(" ", "OSType", text_at(all, "/OSType"));
  field(" ", "Architecture", text_at(all, "/Architecture"));
  std::printf(" CPUs: %s\n Total Memory: %s\n", count(all, "/NCPU").c_str(),
              format_binary_bytes(static_cast<uint64_t>(integer_at(all, "/MemTotal"))).c_str());
  field(" ", "Name", text_at(all, "/Name"));
  field(" ", "ID", text_at(all, "/ID"));
  field(" ", "Root Dir", text_at(all, "/DockerRootDir"));
  for (const Json& warning : array_at(all, "/Warnings")) {
    if (warning.is_string()) std::fprintf(stderr, "%s\n", warning.get<std::string>().c_str());
  }
  return 0;
}

}  // namespace

void add_system_commands(Command root, const Session& session) {
  const Command about = root.command("version", "Show the version information", {});
  auto& version_format = about.own<std::optional<std::string>>();
  about.text("-f,--format", version_format, "string", "Format output: 'json' or a Go template");
  about.run([&](const Words&) { return version(version_format, session); });

  const Command wide = root.command("info", "Display system-wide information", {});
  auto& info_format = wide.own<std::optional<std::string>>();
  wide.text("-f,--format", info_format, "string", "Format output: 'json' or a Go template");
  wide.run([&](const Words&) { return info(info_format, session); });
}

}  // namespace skep::cli
