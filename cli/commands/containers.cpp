// The containers of one node: ps, stop, kill, rm, wait.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/clock.hpp"
#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

struct ListOptions {
  ListingOptions listing;
  bool all = false;
  bool latest = false;
  bool no_trunc = false;
  std::optional<int64_t> last;
  Words filters;
};

std::string names_of(const Json& container) {
  std::string out;
  for (const Json& name : array_at(container, "/Names")) {
    std::string text = name.is_string() ? name.get<std::string>() : std::string();
    if (text.starts_with('/')) text.erase(0, 1);
    out += (out.empty() ? "" : ",") + text;
  }
  return out;
}

std::string ports_of(const Json& container) {
  std::string out;
  for (const Json& port : array_at(container, "/Ports")) {
    if (!out.empty()) out += ", ";
    const int64_t published = integer_at(port, "/PublicPort");
    if (published != 0) out += text_at(port, "/IP") + ":" + std::to_string(published) + "->";
    out += std::to_string(integer_at(port, "/PrivatePort")) + "/" + text_at(port, "/Type");
  }
  return out;
}

Json row_of(const Json& container, bool truncate) {
  constexpr size_t kCommandCharactersMax = 20;
  constexpr int64_t kSecondNs = 1'000'000'000;
  const std::string id = text_at(container, "/Id");
  const std::string command = text_at(container, "/Command");
  const model::WallTime created{integer_at(container, "/Created") * kSecondNs};
  std::string labels;
  const Json& label_map = value_at(container, "/Labels");
  for (const auto& [key, value] : label_map.items()) {
    if (!value.is_string()) continue;
    labels += (labels.empty() ? "" : ",") + key + "=" + value.get<std::string>();
  }
  return {{"ID", truncate ? short_id(id) : id},
          {"Image", text_at(container, "/Image")},
          {"Command", compact(truncate ? ellipsis(command, kCommandCharactersMax) : command)},
          {"CreatedAt", format_time(created)},
          {"RunningFor", human_duration(now() - created) + " ago"},
          {"Status", text_at(container, "/Status")},
          {"State", text_at(container, "/State")},
          {"Ports", ports_of(container)},
          {"Names", names_of(container)},
          {"Labels", labels}};
}

Result<int> list(const ListOptions& options, const Session& session) {
  SKEP_TRY_ASSIGN(const std::string filters, filters_value(options.filters));
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::string path = "/containers/json?filters=" + filters;
  if (options.all) path += "&all=1";
  const int64_t limit = options.latest ? 1 : options.last.value_or(-1);
  if (limit > 0) path += "&limit=" + std::to_string(limit);
  SKEP_TRY_ASSIGN(const Json containers, daemon.get(path));
  std::vector<Json> rows;
  for (const Json& container : containers) rows.push_back(row_of(container, !options.no_trunc));
  const std::vector<Column> columns = {
      {"CONTAINER ID", "ID"}, {"IMAGE", "Image"}, {"COMMAND", "Command"}, {"CREATED", "RunningFor"},
      {"STATUS", "Status"},   {"PORTS", "Ports"}, {"NAMES", "Names"}};
  SKEP_TRY(print_listing(columns, rows, options.listing));
  return 0;
}

// Does `act` for each name, prints the names it worked for, and collects what failed.
Result<int> for_each(const Words& names, const Session& session,
                     const std::function<Status(const Daemon&, const std::string&)>& act) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::string failures;
  for (const std::string& name : names) {
    const Status done = act(daemon, name);
    if (done) {
      std::printf("%s\n", name.c_str());
      std::fflush(stdout);
    } else {
      failures += (failures.empty() ? "" : "\n") + done.error().message;
    }
  }
  if (!failures.empty()) return fail(ErrorKind::conflict, failures);
  return 0;
}

std::string container_path(const std::string& name) {
  return "/containers/" + url_escape(name);
}

Status done(const Result<Json>& answer) {
  if (!answer) return fail(answer.error());
  return {};
}

const Positionals kContainers = {
    .usage = "CONTAINER [CONTAINER...]", .min = 1, .max = Positionals::kAnyNumber};

void add_stop(const Command& parent, const Session& session) {
  struct Options {
    std::optional<std::string> signal;
    std::optional<int64_t> timeout;
  };
  const Command command =
      parent.command("stop", "Stop one or more running containers", kContainers);
  Options& options = command.own<Options>();
  command.text("-s,--signal", options.signal, "string", "Signal to send to the container");
  command.integer("-t,--timeout", options.timeout, "Seconds to wait before killing the container");
  command.run([&](const Words& names) {
    return for_each(names, session, [&](const Daemon& daemon, const std::string& name) {
      std::string query;
      if (options.timeout) query += "?t=" + std::to_string(*options.timeout);
      if (options.signal)
        query += (query.empty() ? "?" : "&") + ("signal=" + url_escape(*options.signal));
      return done(daemon.post_patiently(container_path(name) + "/stop" + query));
    });
  });
}

void add_remove(const Command& parent, const Session& session) {
  struct Options {
    bool force = false;
    bool volumes = false;
  };
  const Command command =
      parent.command("rm", "Remove one or more containers", kContainers).alias("remove");
  Options& options = command.own<Options>();
  command.flag("-f,--force", options.force,
               "Force the removal of a running container (uses SIGKILL)");
  command.flag("-v,--volumes", options.volumes,
               "Remove anonymous volumes associated with the container");
  command.run([&](const Words& names) {
    return for_each(names, session, [&](const Daemon& daemon, const std::string& name) {
      return done(daemon.del(container_path(name) + "?force=" + (options.force ? "1" : "0") +
                             "&v=" + (options.volumes ? "1" : "0")));
    });
  });
}

Result<int> wait_for(const Words& names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  for (const std::string& name : names) {
    SKEP_TRY_ASSIGN(const Json ended, daemon.post_patiently(container_path(name) + "/wait"));
    std::printf("%lld\n", static_cast<long long>(integer_at(ended, "/StatusCode")));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

void add_container_list(Command parent, std::string_view name, const Session& session) {
  const Command command = parent.command(name, "List containers", {});
  if (name == "ls") command.alias("list").alias("ps");
  ListOptions& options = command.own<ListOptions>();
  command.flag("-a,--all", options.all, "Show all containers (default shows just running)");
  command.flag("-q,--quiet", options.listing.quiet, "Only display container IDs");
  command.flag("-l,--latest", options.latest, "Show the latest created container");
  command.flag("--no-trunc", options.no_trunc, "Don't truncate output");
  command.integer("-n,--last", options.last, "Show n last created containers");
  command.filters(options.filters);
  command.text("--format", options.listing.format, "string",
               "Format output: 'table', 'table TEMPLATE', 'json', or a Go template");
  command.run([&](const Words&) { return list(options, session); });
}

void add_container_commands(Command parent, const Session& session) {
  add_stop(parent, session);
  add_remove(parent, session);
  const Command kill = parent.command("kill", "Kill one or more running containers", kContainers);
  auto& signal = kill.own<std::optional<std::string>>();
  kill.text("-s,--signal", signal, "string", "Signal to send to the container");
  kill.run([&](const Words& names) {
    return for_each(names, session, [&](const Daemon& daemon, const std::string& name) {
      const std::string query = signal ? "?signal=" + url_escape(*signal) : "";
      return done(daemon.post(container_path(name) + "/kill" + query));
    });
  });
  parent
      .command("wait", "Block until one or more containers stop, then print their exit codes",
               kContainers)
      .run([&](const Words& names) { return wait_for(names, session); });
}

}  // namespace skep::cli
