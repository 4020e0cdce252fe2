// Words for states, durations and counts.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/daemon_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/table.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

std::string with_reason(std::string word, const std::string& reason) {
  return reason.empty() ? word : std::move(word) + ": " + reason;
}

// Three digits and a unit: "870ns", "12.4us", "1.03ms", "2.5s".
std::string short_duration(int64_t nanoseconds) {
  const auto value = static_cast<double>(nanoseconds);
  if (nanoseconds < 1'000) return fmt::format("{}ns", nanoseconds);
  if (nanoseconds < 1'000'000) return fmt::format("{:.3g}us", value / 1e3);
  if (nanoseconds < 1'000'000'000) return fmt::format("{:.3g}ms", value / 1e6);
  return fmt::format("{:.3g}s", value / 1e9);
}

// "skep.volume/1" and "publish" as "volume.publish".
std::string operation_name(const Json& operation) {
  std::string interface = text_at(operation, "/interface");
  constexpr std::string_view kHouse = "skep.";
  if (interface.starts_with(kHouse)) interface.erase(0, kHouse.size());
  return interface.substr(0, interface.find('/')) + "." + text_at(operation, "/operation");
}

std::string error_counts(const Json& operation) {
  std::string out;
  const Json& errors = value_at(operation, "/errors");
  if (!errors.is_object()) return "-";
  for (const auto& [kind, count] : errors.items()) {
    out += (out.empty() ? "" : ", ") + kind + " " + compact(count);
  }
  return out.empty() ? "-" : out;
}

std::string operation_table(const Json& plugin) {
  std::vector<TableRow> rows = {{"OPERATION", "COUNT", "IN FLIGHT", "P50", "P99", "ERRORS"}};
  for (const Json& operation : array_at(plugin, "/operations")) {
    const int64_t ended = integer_at(operation, "/ended");
    const auto latency = [&](std::string_view path) {
      return ended == 0 ? std::string("-") : short_duration(integer_at(operation, path));
    };
    rows.push_back({operation_name(operation), std::to_string(ended),
                    std::to_string(integer_at(operation, "/in_flight")), latency("/p50_ns"),
                    latency("/p99_ns"), error_counts(operation)});
  }
  return rows.size() == 1 ? "" : "\n" + format_table(rows);
}

std::string metric_table(const Json& plugin) {
  std::vector<TableRow> rows = {{"METRIC", "KIND", "VALUE"}};
  for (const Json& metric : array_at(plugin, "/metrics")) {
    rows.push_back({text_at(metric, "/name"), text_at(metric, "/kind"),
                    std::to_string(integer_at(metric, "/value"))});
  }
  return rows.size() == 1 ? "" : "\n" + format_table(rows);
}

std::string isolation_line(const Json& plugin) {
  const int64_t pid = integer_at(plugin, "/pid");
  const std::string isolation = text_at(plugin, "/isolation");
  if (pid != 0) return fmt::format("{} ({})", isolation, pid);
  return isolation;
}

std::string restart_line(const Json& plugin) {
  std::string line = std::to_string(integer_at(plugin, "/restarts"));
  const int64_t recent = integer_at(plugin, "/recent_losses");
  if (recent > 0) line += fmt::format(" (lost {} times within two minutes)", recent);
  return line;
}

}  // namespace

std::string plugin_state(const Json& plugin) {
  const std::string state = text_at(plugin, "/state");
  const std::string reason = text_at(plugin, "/reason");
  if (state != "serving") return with_reason(state, reason);
  const std::string probe = text_at(plugin, "/probe/state");
  const std::string why = text_at(plugin, "/probe/reason");
  if (probe == "ready") return "ready";
  if (probe == "broken") return with_reason("broken", why);
  return with_reason("not ready", probe == "unknown" ? "not asked yet" : why);
}

std::string plugin_kind(const Json& plugin) {
  for (const Json& interface : array_at(plugin, "/interfaces")) {
    const std::string id = interface.is_string() ? interface.get<std::string>() : "";
    if (!id.starts_with("skep.") || id.starts_with("skep.base/")) continue;
    const std::string name = id.substr(id.find('.') + 1);
    return name.substr(0, name.find_first_of("./"));
  }
  return "-";
}

std::vector<Json> plugin_rows(const Json& answer) {
  const std::string balancer = text_at(answer, "/lb/used");
  std::vector<Json> rows;
  for (const Json& plugin : array_at(answer, "/plugins")) {
    const std::string name = text_at(plugin, "/name");
    std::string state = plugin_state(plugin);
    if (name == balancer && plugin_kind(plugin) == "lb") state += " (in use)";
    rows.push_back({{"Name", name},
                    {"ID", text_at(plugin, "/id")},
                    {"Version", text_at(plugin, "/version")},
                    {"Kind", plugin_kind(plugin)},
                    {"Isolation", text_at(plugin, "/isolation")},
                    {"State", std::move(state)},
                    {"Restarts", std::to_string(integer_at(plugin, "/restarts"))}});
  }
  std::ranges::sort(rows, [](const Json& a, const Json& b) {
    return natural_less(text_at(a, "/Name"), text_at(b, "/Name"));
  });
  return rows;
}

std::string plugin_page(const Json& plugin) {
  std::string out;
  const auto line = [&out](const char* name, const std::string& value) {
    out += fmt::format("{:<12}{}\n", name, value);
  };
  line("Name:", text_at(plugin, "/name"));
  line("Plugin:", text_at(plugin, "/id") + " " + text_at(plugin, "/version"));
  line("State:", plugin_state(plugin));
  std::string interfaces;
  for (const Json& interface : array_at(plugin, "/interfaces")) {
    if (interface.is_string())
      interfaces += (interfaces.empty() ? "" : " ") + interface.get<std::string>();
  }
  line("Interfaces:", interfaces);
  line("File:", text_at(plugin, "/path"));
  line("Isolation:", isolation_line(plugin));
  line("Restarts:", restart_line(plugin));
  line("Log level:", text_at(plugin, "/log_level"));
  line("Config:", compact(value_at(plugin, "/config")));
  return out + operation_table(plugin) + metric_table(plugin);
}

}  // namespace skep::cli
