// Paths, names and the settings file of a playground.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/layout.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSocketPathBytesMax = 107;  // sockaddr_un::sun_path less its final zero
// The longest socket name below a node's folder: one of a plugin under run/plugins/.
constexpr size_t kSocketNameBytes = 40;
constexpr size_t kPrefixBytesMax = 10;  // the name is also a network interface's: 15 bytes at most

bool is_number_up_to(std::string_view text, int limit) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= limit;
}

bool is_three_bytes(std::string_view net) {
  int parts = 0;
  while (true) {
    const size_t dot = net.find('.');
    if (!is_number_up_to(net.substr(0, dot), 255)) return false;
    ++parts;
    if (dot == std::string_view::npos) return parts == 3;
    net.remove_prefix(dot + 1);
  }
}

bool is_prefix(std::string_view text) {
  return !text.empty() && text.size() <= kPrefixBytesMax && text.front() >= 'a' &&
         text.front() <= 'z' && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

}  // namespace

Node Layout::node(int number) const {
  const std::string name = settings.hostname_prefix + std::to_string(number);
  return {.name = name,
          .address = settings.net + "." + std::to_string(10 + number),
          .netns = "skep-" + name,
          .dir = settings.dir / name};
}

std::vector<Node> Layout::nodes() const {
  std::vector<Node> all;
  for (int number = 1; number <= settings.nodes; ++number) all.push_back(node(number));
  return all;
}

Result<Node> Layout::find(std::string_view number_or_name) const {
  for (int number = 1; number <= settings.nodes; ++number) {
    Node candidate = node(number);
    if (number_or_name == candidate.name || number_or_name == std::to_string(number)) {
      return candidate;
    }
  }
  return fail(ErrorKind::not_found, "there is no node \"" + std::string(number_or_name) +
                                        "\": the playground has " + node(1).name + " to " +
                                        node(settings.nodes).name);
}

Status check(const Settings& settings) {
  const std::string dir = settings.dir.string();
  if (!settings.dir.is_absolute() || settings.dir.lexically_normal() != settings.dir ||
      dir.ends_with('/')) {
    return fail(ErrorKind::invalid, "--dir must be an absolute path in its shortest form: " + dir);
  }
  if (dir == "/run" || dir.starts_with("/run/") || dir.starts_with("/var/run/") ||
      dir.starts_with("/proc/")) {
    return fail(ErrorKind::invalid, "--dir can't be under /run: each node has a /run of its own");
  }
  if (dir.find_first_of("\"\\\n ") != std::string::npos) {
    return fail(ErrorKind::invalid, "--dir can't hold quotes, backslashes or blanks: " + dir);
  }
  if (settings.nodes < 1 || settings.nodes > kNodesMax) {
    return fail(ErrorKind::invalid, "--nodes must be 1 to " + std::to_string(kNodesMax));
  }
  if (!is_three_bytes(settings.net)) {
    return fail(ErrorKind::invalid,
                "--net must be the first three numbers of an address, such as "
                "10.77.0: " +
                    settings.net);
  }
  if (!is_prefix(settings.hostname_prefix)) {
    return fail(ErrorKind::invalid,
                "--hostname-prefix must be 1 to 10 lower-case letters, digits or dashes: " +
                    settings.hostname_prefix);
  }
  if (settings.hostname_prefix == "net") {
    return fail(ErrorKind::invalid, "--hostname-prefix can't be \"net\"");
  }
  const Layout layout{settings};
  const size_t longest = layout.node(settings.nodes).dir.string().size() + kSocketNameBytes;
  if (longest > kSocketPathBytesMax) {
    return fail(ErrorKind::invalid,
                "--dir is " + std::to_string(longest - kSocketPathBytesMax) +
                    " bytes too long: the path of a Unix socket in it would be over 107 bytes");
  }
  return {};
}

Result<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in) return fail(ErrorKind::not_found, "can't read " + path.string());
  return std::move(text).str();
}

Status write_file(const fs::path& path, std::string_view text) {
  const fs::path temporary = path.string() + ".new";
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.flush();
    if (!out) return fail(ErrorKind::internal, "can't write " + temporary.string());
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error)
    return fail(ErrorKind::internal, "can't write " + path.string() + ": " + error.message());
  return {};
}

Result<Layout> load_layout(const fs::path& dir) {
  Layout layout;
  layout.settings.dir = dir;
  Result<std::string> text = read_file(layout.state_file());
  if (!text) {
    return fail(ErrorKind::not_found,
                "no playground in " + dir.string() + "; make one with `skep playground up`");
  }
  const nlohmann::json json = nlohmann::json::parse(*text, nullptr, false);
  try {
    layout.settings.net = json.at("net").get<std::string>();
    layout.settings.hostname_prefix = json.at("hostname_prefix").get<std::string>();
    layout.settings.nodes = json.at("nodes").get<int>();
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorKind::internal, layout.state_file().string() + " is damaged: " + error.what());
  }
  SKEP_TRY(check(layout.settings));
  return layout;
}

Status save_layout(const Layout& layout) {
  const nlohmann::json json = {{"net", layout.settings.net},
                               {"hostname_prefix", layout.settings.hostname_prefix},
                               {"nodes", layout.settings.nodes}};
  return write_file(layout.state_file(), json.dump(2) + "\n");
}

}  // namespace skep::cli::playground
