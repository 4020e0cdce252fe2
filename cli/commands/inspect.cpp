// `skep inspect NAME...`: whatever is called that, looked for kind by kind in docker's order.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"

namespace skep::cli {
namespace {

struct Kind {
  std::string_view name;
  std::string_view before;
  std::string_view after;
  bool on_managers = false;
};

constexpr std::array<Kind, 9> kKinds = {{{"container", "/containers/", "/json"},
                                         {"image", "/images/", "/json"},
                                         {"network", "/networks/", ""},
                                         {"volume", "/volumes/", ""},
                                         {"service", "/services/", "?insertDefaults=true", true},
                                         {"task", "/tasks/", "", true},
                                         {"node", "/nodes/", "", true},
                                         {"secret", "/secrets/", "", true},
                                         {"config", "/configs/", "", true}}};

// A kind this daemon has no such object of, or doesn't serve at all.
bool means_absent(ErrorKind kind) {
  return kind == ErrorKind::not_found || kind == ErrorKind::unimplemented;
}

Result<Json> find(const Daemon& daemon, const std::string& name,
                  const std::optional<std::string>& type) {
  for (const Kind& kind : kKinds) {
    if (type && *type != kind.name) continue;
    Result<Json> object =
        daemon.get(std::string(kind.before) + url_escape(name) + std::string(kind.after));
    if (object) return object;
    // A worker, or a node of no cluster, cannot know objects of the cluster.
    const bool no_manager = kind.on_managers && object.error().kind == ErrorKind::unavailable &&
                            object.error().message.find("not a swarm manager") != std::string::npos;
    if (!type && (means_absent(object.error().kind) || no_manager)) continue;
    if (means_absent(object.error().kind)) break;
    return object;
  }
  return fail(ErrorKind::not_found,
              "Error: No such " + (type ? *type : std::string("object")) + ": " + name);
}

struct Options {
  std::optional<std::string> format;
  std::optional<std::string> type;
};

Result<int> inspect(const Options& options, const Words& names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::vector<Json> objects;
  std::string failures;
  for (const std::string& name : names) {
    Result<Json> object = find(daemon, name, options.type);
    if (object) {
      objects.push_back(std::move(*object));
    } else {
      failures += (failures.empty() ? "" : "\n") + object.error().message;
    }
  }
  SKEP_TRY(print_objects(objects, options.format));
  if (!failures.empty()) return fail(ErrorKind::not_found, failures);
  return 0;
}

}  // namespace

void add_inspect_of(Command parent, std::string_view kind_word, const Session& session) {
  const std::string kind(kind_word);
  std::string word = kind;
  for (char& c : word) c = static_cast<char>(c - 32);
  const Command command = parent.command(
      "inspect", "Display detailed information on one or more " + kind + "s",
      {.usage = word + " [" + word + "...]", .min = 1, .max = Positionals::kAnyNumber});
  Options& options = command.own<Options>();
  options.type = kind;
  command.text("-f,--format", options.format, "string", "Format output: 'json' or a Go template");
  command.run([&](const Words& names) { return inspect(options, names, session); });
}

void add_inspect_commands(Command root, const Session& session) {
  const Command command =
      root.command("inspect", "Return low-level information on objects",
                   {.usage = "NAME|ID [NAME|ID...]", .min = 1, .max = Positionals::kAnyNumber});
  Options& options = command.own<Options>();
  command.text("-f,--format", options.format, "string", "Format output: 'json' or a Go template");
  command.text("--type", options.type, "string", "Only inspect objects of the given type");
  command.run([&](const Words& names) { return inspect(options, names, session); });
}

}  // namespace skep::cli
