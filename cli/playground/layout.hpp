// Where everything of a playground is: folders, sockets, addresses and names, all from four
// settings.
//
// Nothing else in the playground spells a path or a name, so `down` finds what `up` made. The
// settings are kept in DIR/playground.json, which is also the mark by which a folder is known to be
// ours: `down` deletes nothing in a folder without it. Names of network namespaces are
// machine-wide, so two playgrounds can't be up at once; /run/skep-playground names the folder of
// the one that is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace skep::cli::playground {

struct Settings {
  std::filesystem::path dir = "/var/lib/skep-playground";  // absolute
  std::string net = "10.77.0";                             // first three bytes of a /24
  std::string hostname_prefix = "node";
  int nodes = 3;  // 1 to kNodesMax
};

// Each node's containerd and skepd take about 100 MB.
inline constexpr int kNodesMax = 50;
inline constexpr const char* kOwnerFile = "/run/skep-playground";
inline constexpr const char* kNetworkNamespace = "skep-net";
inline constexpr const char* kBridge = "skep-br0";
inline constexpr int kRegistryPort = 5000;
inline constexpr int kClusterPort = 2377;

// One node's places. A value; knows nothing about whether the node exists.
struct Node {
  std::string name;     // also its hostname and the name of its port on the bridge
  std::string address;  // IPv4, without a prefix length
  std::string netns;    // as in /run/netns
  std::filesystem::path dir;

  std::filesystem::path api_socket() const { return dir / "skep.sock"; }
  std::filesystem::path containerd_socket() const { return dir / "containerd.sock"; }
  std::filesystem::path control_socket() const { return dir / "control.sock"; }
  std::filesystem::path containerd_config() const { return dir / "containerd.toml"; }
  std::filesystem::path skepd_config() const { return dir / "skepd.toml"; }
  std::filesystem::path certs_dir() const { return dir / "certs.d"; }
  std::filesystem::path run_dir() const { return dir / "run"; }
  std::filesystem::path log(std::string_view program) const {
    return dir / (std::string(program) + ".log");
  }
};

struct Layout {
  Settings settings;

  Node node(int number) const;  // 1-based
  std::vector<Node> nodes() const;
  // "2" or "node2"; `not_found` for others.
  Result<Node> find(std::string_view number_or_name) const;

  std::filesystem::path state_file() const { return settings.dir / "playground.json"; }
  std::filesystem::path bin_dir() const { return settings.dir / "bin"; }
  std::filesystem::path plugin_dir() const { return settings.dir / "plugins"; }
  std::filesystem::path registry_dir() const { return settings.dir / "registry"; }
  std::filesystem::path registry_config() const { return registry_dir() / "config.yml"; }
  std::string gateway() const { return settings.net + ".1"; }
};

// Refuses settings that can't work: a relative folder, one under /run (each node has its own /run),
// one so long that a socket in it would be over 107 bytes, a bad address or prefix, too many nodes.
Status check(const Settings& settings);

// Reads DIR/playground.json; `not_found` when no playground is there.
Result<Layout> load_layout(const std::filesystem::path& dir);
Status save_layout(const Layout& layout);

// Writes the whole file or nothing (a rename), mode 0644.
Status write_file(const std::filesystem::path& path, std::string_view text);
Result<std::string> read_file(const std::filesystem::path& path);

}  // namespace skep::cli::playground
