// TOML in, Config out, every unknown key refused where it stands.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/base/config.hpp"

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <vector>

#include "sdk/host/limits.hpp"

namespace skep::base {
namespace {

constexpr size_t kPluginNameMax = 63;  // bytes
constexpr const char* kDefaultPath = "/etc/skep/skepd.toml";

// Where in which file a complaint is about.
std::string at(std::string_view origin, const toml::node& node) {
  return std::string(origin) + ":" + std::to_string(node.source().begin.line);
}

tl::unexpected<Error> complain(std::string_view origin, const toml::node& node,
                               const std::string& message) {
  return fail(ErrorKind::invalid, at(origin, node) + ": " + message);
}

// Bytes; 0 for "none".
std::optional<int64_t> parse_size(std::string_view word) {
  if (word == "none") return 0;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  const std::string_view unit(end, static_cast<size_t>(word.data() + word.size() - end));
  int shift = -1;
  if (unit == "k") shift = 10;
  if (unit == "m") shift = 20;
  if (unit == "g") shift = 30;
  if (error != std::errc() || shift < 0 || number < 1 || number >= (int64_t{1} << 30)) {
    return std::nullopt;
  }
  return number << shift;
}

// One table being read: takes the known keys and then refuses what is left.
class Section {
 public:
  Section(const toml::table& table, std::string path, std::string_view origin)
      : table_(table), path_(std::move(path)), origin_(origin) {}

  Status text(std::string_view key, std::string& out) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (!node) return {};
    const auto* value = node->as_string();
    if (!value) return complain(origin_, *node, "'" + name(key) + "' must be a string");
    out = value->get();
    return {};
  }

  Status flag(std::string_view key, bool& out) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (!node) return {};
    const auto* value = node->as_boolean();
    if (!value) return complain(origin_, *node, "'" + name(key) + "' must be true or false");
    out = value->get();
    return {};
  }

  Status count(std::string_view key, int64_t least, int64_t& out) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (!node) return {};
    const auto* value = node->as_integer();
    if (!value || value->get() < least) {
      return complain(origin_, *node,
                      "'" + name(key) + "' must be a number from " + std::to_string(least) + " on");
    }
    out = value->get();
    return {};
  }

  // "512m", "4g", "none"; `least` is in bytes, whole MiB.
  Status size(std::string_view key, int64_t least, int64_t& out) {
    std::string word;
    SKEP_TRY(text(key, word));
    if (word.empty()) return {};
    const std::optional<int64_t> bytes = parse_size(word);
    if (bytes && *bytes != 0 && *bytes < least) {
      return complain(origin_, *table_.get(key),
                      "'" + name(key) + "' must be \"" + std::to_string(least >> 20) +
                          "m\" at least, or a driver's process does not come up, not \"" + word +
                          "\"");
    }
    if (bytes) out = *bytes;
    if (bytes) return {};
    return complain(origin_, *table_.get(key),
                    "'" + name(key) + "' must be a size such as \"512m\" or \"4g\", or \"none\"");
  }

  Status texts(std::string_view key, std::vector<std::string>& out) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (!node) return {};
    const toml::array* values = node->as_array();
    if (!values) return complain(origin_, *node, "'" + name(key) + "' must be a list of strings");
    for (const toml::node& value : *values) {
      if (!value.is_string()) {
        return complain(origin_, value, "'" + name(key) + "' must be a list of strings");
      }
      out.push_back(value.as_string()->get());
    }
    return {};
  }

  Result<const toml::table*> table(std::string_view key) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (!node) return nullptr;
    if (const toml::table* inner = node->as_table()) return inner;
    return complain(origin_, *node, "'" + name(key) + "' must be a table");
  }

  Status nothing_else() const {
    for (const auto& [key, node] : table_) {
      if (std::find(known_.begin(), known_.end(), key.str()) == known_.end()) {
        return complain(origin_, node, "unknown key '" + name(key.str()) + "'");
      }
    }
    return {};
  }

 private:
  std::string name(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  }

  const toml::table& table_;
  std::string path_;
  std::string_view origin_;
  std::vector<std::string_view> known_;
};

// A folder is named after it, and it stands in paths of the API.
bool is_plugin_name(std::string_view name) {
  return !name.empty() && name.size() <= kPluginNameMax && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

Status read_limits(const toml::table& table, std::string path, std::string_view origin,
                   PluginSection& plugin) {
  Section section(table, std::move(path), origin);
  SKEP_TRY(section.size("address_space", host::address_space_min, plugin.address_space_bytes));
  SKEP_TRY(section.count("open_files", host::open_files_min, plugin.open_files));
  return section.nothing_else();
}

Status read_plugins(const toml::table& table, std::string_view origin, Config& config) {
  for (const auto& [key, node] : table) {
    const std::string path = "plugins." + std::string(key.str());
    const toml::table* section_table = node.as_table();
    if (!section_table) return complain(origin, node, "'" + path + "' must be a table");
    Section section(*section_table, path, origin);
    PluginSection plugin;
    plugin.name = key.str();
    if (!is_plugin_name(plugin.name)) {
      return complain(origin, node,
                      "a plugin's name is 1 to 63 of a-z, 0-9 and '-', and begins with a letter or "
                      "digit, unlike '" +
                          plugin.name + "'");
    }
    SKEP_TRY(section.text("path", plugin.path));
    SKEP_TRY(section.text("sha256", plugin.sha256));
    SKEP_TRY(section.text("isolation", plugin.isolation));
    SKEP_TRY(section.flag("debug", plugin.debug));
    SKEP_TRY_ASSIGN(const toml::table* own, section.table("config"));
    SKEP_TRY_ASSIGN(const toml::table* limits, section.table("limits"));
    SKEP_TRY(section.nothing_else());
    if (!plugin.isolation.empty() && plugin.isolation != "process" &&
        plugin.isolation != "in-process") {
      return complain(
          origin, *section_table->get("isolation"),
          "'" + path + ".isolation' must be process or in-process, not '" + plugin.isolation + "'");
    }
    if (limits) SKEP_TRY(read_limits(*limits, path + ".limits", origin, plugin));
    if (plugin.path.empty()) return complain(origin, node, "'" + path + ".path' is missing");
    if (own) {
      std::ostringstream json;
      json << toml::json_formatter{*own};
      plugin.config_json = json.str();
    }
    config.plugins[plugin.name] = std::move(plugin);
  }
  return {};
}

Status read_labels(const toml::table& table, std::string_view origin, Config& config) {
  for (const auto& [key, node] : table) {
    const auto* value = node.as_string();
    if (!value) {
      return complain(origin, node, "'labels." + std::string(key.str()) + "' must be a string");
    }
    config.engine_labels[std::string(key.str())] = value->get();
  }
  return {};
}

Status read(const toml::table& root, std::string_view origin, Config& config) {
  Section top(root, "", origin);
  SKEP_TRY(top.text("data_dir", config.data_dir));
  SKEP_TRY(top.text("run_dir", config.run_dir));
  SKEP_TRY(top.text("hostname", config.hostname));
  SKEP_TRY(top.texts("lb", config.lb));
  SKEP_TRY_ASSIGN(const toml::table* api, top.table("api"));
  SKEP_TRY_ASSIGN(const toml::table* log, top.table("log"));
  SKEP_TRY_ASSIGN(const toml::table* labels, top.table("labels"));
  SKEP_TRY_ASSIGN(const toml::table* plugins, top.table("plugins"));
  SKEP_TRY(top.nothing_else());
  if (api) {
    Section section(*api, "api", origin);
    SKEP_TRY(section.text("socket", config.api_socket));
    SKEP_TRY(section.text("group", config.api_group));
    SKEP_TRY(section.nothing_else());
  }
  if (log) {
    Section section(*log, "log", origin);
    SKEP_TRY(section.text("level", config.log_level));
    SKEP_TRY(section.nothing_else());
    constexpr std::array<std::string_view, 4> levels = {"debug", "info", "warning", "error"};
    if (std::find(levels.begin(), levels.end(), config.log_level) == levels.end()) {
      return complain(
          origin, *log,
          "'log.level' must be debug, info, warning or error, not '" + config.log_level + "'");
    }
  }
  if (labels) SKEP_TRY(read_labels(*labels, origin, config));
  if (plugins) {
    config.plugins.clear();
    SKEP_TRY(read_plugins(*plugins, origin, config));
  }
  for (const std::string& name : config.lb) {
    if (!config.plugins.contains(name)) {
      return complain(origin, *root.get("lb"),
                      "'lb' names '" + name + "', but there is no [plugins." + name + "]");
    }
  }
  return {};
}

}  // namespace

Config default_config() {
  Config config;
  config.plugins["runtime-containerd"] = {
      "runtime-containerd", "runtime-containerd.so", "",
      R"({"address": "/run/containerd/containerd.sock", "namespace": "k8s.io"})"};
  config.plugins["net-bridge"] = {"net-bridge", "net-bridge.so", "",
                                  R"({"bridge": "skep0", "subnet": "172.30.0.0/16"})"};
  config.plugins["volume-local"] = {"volume-local", "volume-local.so", "", "{}"};
  return config;
}

Result<Config> load_config(const std::string& path) {
  std::error_code missing;
  if (path.empty() && !std::filesystem::exists(kDefaultPath, missing)) return default_config();
  const std::string file = path.empty() ? kDefaultPath : path;
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return fail(ErrorKind::invalid, "cannot read the configuration file " + file);
  SKEP_TRY_ASSIGN(Config config, parse_config(text.str(), file));
  config.path = file;
  return config;
}

Result<Config> parse_config(std::string_view text, std::string_view origin) {
  toml::table root;
  try {
    root = toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::invalid, std::string(origin) + ":" +
                                        std::to_string(error.source().begin.line) + ": " +
                                        std::string(error.description()));
  }
  Config config = default_config();
  SKEP_TRY(read(root, origin, config));
  return config;
}

std::string default_config_text() {
  return R"(# skepd.toml: the configuration of one node. Every key is shown with its default.

# State that must survive a reboot: the cluster's log, this node's certificate, container logs.
data_dir = "/var/lib/skep"

# State of this boot: sockets and network namespaces.
run_dir = "/run/skep"

# The name under which the node appears; empty: the machine's host name.
hostname = ""

# Balancers in the order they are tried, by the names of their plugins, such as ["lb-ebpf", "lb-ipvs"]:
# the first that says it is ready is used. Empty: all that are configured, by name.
lb = []

[api]
# The Engine API's Unix socket; empty: RUN_DIR/skep.sock. At most 107 bytes.
socket = ""
# The group that may use it, besides root. Being in this group is being root on this machine.
group = "skep"

[log]
# debug, info, warning or error
level = "info"

# Labels of this engine, for placement constraints such as engine.labels.disk==ssd.
[labels]

# Drivers. A relative path is looked up in the folder of the shipped plugins. `sha256` pins the file;
# [plugins.NAME.config] goes to the driver, which says what it understands. A driver runs in a process
# of its own (isolation = "process"), but for the shipped runtime, network and balancer drivers, which
# are as trusted as skepd itself (isolation = "in-process"). [plugins.NAME.limits] bounds that process:
# address_space = "512m" (or "none"), open_files = 1024. debug = true maps the file from its path, so
# that a debugger finds symbols.
[plugins.runtime-containerd]
path = "runtime-containerd.so"
[plugins.runtime-containerd.config]
address = "/run/containerd/containerd.sock"
namespace = "k8s.io"

[plugins.net-bridge]
path = "net-bridge.so"
[plugins.net-bridge.config]
bridge = "skep0"
subnet = "172.30.0.0/16"

# Keeps volumes in folders of its own; the driver "local" of docker.
[plugins.volume-local]
path = "volume-local.so"
)";
}

}  // namespace skep::base
