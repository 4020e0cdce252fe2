// Task rows: what each column says, and in which order the rows stand.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/task_rows.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "cli/clock.hpp"
#include "cli/listing.hpp"
#include "cli/task_history.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

// Names of services and nodes, each asked for once. One that is gone keeps its id.
class Names {
 public:
  Names(const Daemon& daemon, bool resolve) : daemon_(daemon), resolve_(resolve) {}

  std::string service(const std::string& id) { return name("/services/", id, "/Spec/Name"); }
  std::string node(const std::string& id) { return name("/nodes/", id, "/Description/Hostname"); }

 private:
  std::string name(const std::string& kind, const std::string& id, std::string_view path) {
    if (!resolve_ || id.empty()) return id;
    const auto [place, added] = known_.try_emplace(kind + id, id);
    if (!added) return place->second;
    if (const Result<Json> object = daemon_.get(kind + url_escape(id))) {
      const std::string found = text_at(*object, path);
      if (!found.empty()) place->second = found;
    }
    return place->second;
  }

  const Daemon& daemon_;
  bool resolve_;
  std::map<std::string, std::string> known_;
};

std::string task_name(const Json& task, Names& names) {
  const std::string service = names.service(text_at(task, "/ServiceID"));
  const int64_t slot = integer_at(task, "/Slot");
  return service + "." + (slot != 0 ? std::to_string(slot) : text_at(task, "/NodeID"));
}

// "busybox:1.28.3@sha256:..." shows without its digest, unless that is all there is.
std::string shown_image(const std::string& image, bool truncate) {
  const size_t at = image.find('@');
  if (!truncate || at == std::string::npos) return image;
  const size_t tag = image.find(':', image.rfind('/', at) + 1);
  return tag < at ? image.substr(0, at) : image;
}

std::string title(std::string word) {
  if (!word.empty() && word[0] >= 'a' && word[0] <= 'z') word[0] = static_cast<char>(word[0] - 32);
  return word;
}

std::string current_state(const Json& task) {
  const std::string state = title(text_at(task, "/Status/State"));
  const auto since = parse_time(text_at(task, "/Status/Timestamp"));
  if (!since) return state;
  std::string age = human_duration(now() - *since);
  if (age[0] >= 'A' && age[0] <= 'Z') age[0] = static_cast<char>(age[0] + 32);
  return state + " " + age + " ago";
}

std::string shown_error(const Json& task, bool truncate) {
  constexpr size_t kErrorCharactersMax = 30;
  const std::string error = text_at(task, "/Status/Err");
  if (error.empty()) return {};
  return compact(truncate ? ellipsis(error, kErrorCharactersMax) : error);
}

std::string host_ports(const Json& task) {
  std::string out;
  for (const Json& port : array_at(task, "/Status/PortStatus/Ports")) {
    if (!out.empty()) out += ",";
    out += "*:" + std::to_string(integer_at(port, "/PublishedPort")) + "->" +
           std::to_string(integer_at(port, "/TargetPort")) + "/" + text_at(port, "/Protocol");
  }
  return out;
}

}  // namespace

void TaskListOptions::declare(const Command& command) {
  command.flag("-q,--quiet", quiet, "Only display task IDs");
  command.flag("--no-trunc", no_trunc, "Do not truncate output");
  command.flag("--no-resolve", no_resolve, "Do not map IDs to Names");
  command.filters(filters);
  command.text("--format", format, "string", "Pretty-print tasks using a Go template");
}

Status print_tasks(const Daemon& daemon, const Json& tasks, const TaskListOptions& options) {
  const bool truncate = !options.no_trunc;
  Names names(daemon, !options.no_resolve);
  std::vector<TaskLine> lines;
  for (size_t i = 0; i < tasks.size(); ++i) {
    lines.push_back({.name = task_name(tasks[i], names),
                     .created_at = text_at(tasks[i], "/CreatedAt"),
                     .index = i});
  }
  // Marks would be noise in the output of somebody's own format.
  arrange(lines, options.format.value_or("table").starts_with("table") ? HistoryMark::branch
                                                                       : HistoryMark::none);
  std::vector<Json> rows;
  for (const TaskLine& line : lines) {
    const Json& task = tasks[line.index];
    const std::string id = text_at(task, "/ID");
    rows.push_back({{"ID", truncate && !options.quiet ? short_id(id) : id},
                    {"Name", line.name},
                    {"Image", shown_image(text_at(task, "/Spec/ContainerSpec/Image"), truncate)},
                    {"Node", names.node(text_at(task, "/NodeID"))},
                    {"DesiredState", title(text_at(task, "/DesiredState"))},
                    {"CurrentState", current_state(task)},
                    {"Error", shown_error(task, truncate)},
                    {"Ports", host_ports(task)}});
  }
  const std::vector<Column> columns = {{"ID", "ID"},
                                       {"NAME", "Name"},
                                       {"IMAGE", "Image"},
                                       {"NODE", "Node"},
                                       {"DESIRED STATE", "DesiredState"},
                                       {"CURRENT STATE", "CurrentState"},
                                       {"ERROR", "Error"},
                                       {"PORTS", "Ports"}};
  return print_listing(columns, rows, {.quiet = options.quiet, .format = options.format});
}

Result<std::string> task_filters(const Words& filters, const std::string& key,
                                 const Words& owners) {
  Words all = filters;
  for (const std::string& owner : owners) all.push_back(key + "=" + owner);
  return filters_value(all);
}

}  // namespace skep::cli
