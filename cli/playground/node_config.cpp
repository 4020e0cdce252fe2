// Text of containerd.toml, hosts.toml and skepd.toml.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/node_config.hpp"

#include <initializer_list>

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

std::string quoted(const fs::path& path) {
  return "\"" + path.string() + "\"";
}

// Left out of containerd are the snapshotters nobody uses here (their probing takes most of its
// start), tracing, and `opt`, which would make /opt/containerd on the host.
std::string containerd_toml(const Node& node) {
  return "version = 2\n"
         "root = " +
         quoted(node.dir / "containerd") +
         "\n"
         "state = \"/run/containerd\"\n"
         "disabled_plugins = [\n"
         "  \"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.btrfs\",\n"
         "  \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.zfs\",\n"
         "  \"io.containerd.internal.v1.opt\",\n"
         "  \"io.containerd.tracing.processor.v1.otlp\", \"io.containerd.internal.v1.tracing\"]\n"
         "[grpc]\n"
         "  address = " +
         quoted(node.containerd_socket()) +
         "\n"
         "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
         "  config_path = " +
         quoted(node.certs_dir()) +
         "\n"
         "[plugins.\"io.containerd.grpc.v1.cri\".cni]\n"
         "  conf_dir = " +
         quoted(node.dir / "cni") + "\n";
}

std::string hosts_toml(const Layout& layout) {
  const std::string registry = "http://" + layout.gateway() + ":" + std::to_string(kRegistryPort);
  return "server = \"" + registry + "\"\n[host.\"" + registry +
         "\"]\n  capabilities = [\"pull\", \"resolve\"]\n";
}

// The installed file of a plugin, by its kind and name; authors differ about a "lib" in front.
fs::path plugin_file(const Layout& layout, const std::string& name) {
  const fs::path with_lib = layout.plugin_dir() / ("lib" + name + ".so");
  std::error_code error;
  return fs::exists(with_lib, error) ? with_lib : layout.plugin_dir() / (name + ".so");
}

std::string skepd_toml(const Layout& layout, const Node& node) {
  return "data_dir = " + quoted(node.dir / "data") +
         "\n"
         "run_dir = " +
         quoted(node.run_dir()) +
         "\n"
         "hostname = \"" +
         node.name +
         "\"\n"
         "[api]\n"
         "socket = " +
         quoted(node.api_socket()) +
         "\n"
         "group = \"root\"\n"
         "[log]\n"
         "level = \"info\"\n"
         "[plugins.runtime-containerd]\n"
         "path = " +
         quoted(plugin_file(layout, "runtime-containerd")) +
         "\n"
         "[plugins.runtime-containerd.config]\n"
         "address = " +
         quoted(node.containerd_socket()) +
         "\n"
         "namespace = \"k8s.io\"\n"
         "[plugins.net-bridge]\n"
         "path = " +
         quoted(plugin_file(layout, "net-bridge")) +
         "\n"
         "[plugins.net-bridge.config]\n"
         "subnet = \"172.30.0.0/16\"\n"
         "bridge = \"skep0\"\n"
         "[plugins.volume-local]\n"
         "path = " +
         quoted(plugin_file(layout, "volume-local")) + "\n";
}

}  // namespace

Status write_node_config(const Layout& layout, const Node& node) {
  const fs::path mirror = node.certs_dir() / "docker.io";
  for (const fs::path& folder :
       {node.dir, node.run_dir(), node.dir / "data", node.dir / "cni", mirror}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return fail(ErrorKind::internal, folder.string() + ": " + error.message());
  }
  // The control socket in it ends processes of root; the Engine API socket is root's as well.
  std::error_code error;
  fs::permissions(node.dir, fs::perms::owner_all, error);
  if (error) return fail(ErrorKind::internal, node.dir.string() + ": " + error.message());
  SKEP_TRY(write_file(node.containerd_config(), containerd_toml(node)));
  SKEP_TRY(write_file(mirror / "hosts.toml", hosts_toml(layout)));
  return write_file(node.skepd_config(), skepd_toml(layout, node));
}

}  // namespace skep::cli::playground
