// The grammar of `skep playground`: which words there are and which function each of them calls.
//
// Options live in one struct that the callbacks share; CLI11 fills it before it calls any of them.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/commands.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>

#include "cli/outcome.hpp"
#include "cli/playground/network.hpp"
#include "cli/playground/node_init.hpp"
#include "cli/playground/playground.hpp"

namespace skep::cli {
namespace {

using playground::Layout;
using playground::Node;

struct Options {
  playground::Settings settings;
  bool no_cluster = false;
  bool no_skepd = false;
  std::string node;
  std::vector<std::string> command;
};

using Shared = std::shared_ptr<Options>;
using NodeAction = std::function<Status(const Layout&, const Node&)>;

Status with_node(const Options& options, const NodeAction& action) {
  SKEP_TRY(playground::check(options.settings));
  SKEP_TRY_ASSIGN(const Layout layout, playground::load_layout(options.settings.dir));
  SKEP_TRY_ASSIGN(const Node node, layout.find(options.node));
  return action(layout, node);
}

CLI::App* add_command(CLI::App& family, const Shared& options, const char* name, const char* text) {
  CLI::App* command = family.add_subcommand(name, text);
  command
      ->add_option("--dir", options->settings.dir, "The playground's folder (SKEP_PLAYGROUND_DIR)")
      ->capture_default_str();
  return command;
}

CLI::App* add_node_command(CLI::App& family, const Shared& options, const char* name,
                           const char* text, const NodeAction& action) {
  CLI::App* command = add_command(family, options, name, text);
  command->add_option("NODE", options->node, "A number or a name: 2 or node2")->required();
  command->callback([options, action] { finish(with_node(*options, action)); });
  return command;
}

void add_up(CLI::App& family, const Shared& options) {
  CLI::App* up = add_command(family, options, "up",
                             "Make a cluster on this machine (one at a time: names of network "
                             "namespaces are machine-wide)");
  playground::Settings& settings = options->settings;
  up->add_option("--nodes", settings.nodes, "How many nodes")->capture_default_str();
  up->add_option("--net", settings.net, "First three numbers of its network")
      ->capture_default_str();
  up->add_option("--hostname-prefix", settings.hostname_prefix, "Names are this and a number")
      ->capture_default_str();
  up->add_flag("--no-cluster", options->no_cluster, "Start the nodes, but don't join them");
  up->add_flag("--no-skepd", options->no_skepd, "Start containerd only")->group("");
  up->callback([options] {
    finish(playground::up(options->settings, {.form_cluster = !options->no_cluster,
                                              .with_skepd = !options->no_skepd}));
  });
}

void add_whole(CLI::App& family, const Shared& options) {
  add_up(family, options);
  add_command(family, options, "down", "Take everything of it away")->callback([options] {
    finish(playground::down(options->settings));
  });
  add_command(family, options, "status", "Show the nodes")->callback([options] {
    const Result<Layout> layout = playground::load_layout(options->settings.dir);
    finish(layout ? playground::show_status(*layout) : Status(fail(layout.error())));
  });
}

void add_power(CLI::App& family, const Shared& options) {
  add_node_command(family, options, "crash", "Cut a node's power", playground::crash_node);
  add_node_command(family, options, "kill", "SIGKILL a node's skepd only", playground::kill_skepd);
  add_node_command(family, options, "pause", "SIGSTOP every process of a node",
                   playground::pause_node);
  add_node_command(family, options, "resume", "SIGCONT them", playground::resume_node);
  add_node_command(family, options, "start", "Bring back whatever is missing of a node",
                   [options](const Layout& layout, const Node& node) {
                     return playground::start_node(layout, node,
                                                   {.with_skepd = !options->no_skepd});
                   })
      ->add_flag("--no-skepd", options->no_skepd, "Start containerd only")
      ->group("");
  add_node_command(family, options, "cut", "Take a node's link down",
                   [](const Layout&, const Node& node) {
                     return playground::set_link(node, playground::Link::down);
                   });
  add_node_command(family, options, "heal", "Take a node's link up",
                   [](const Layout&, const Node& node) {
                     return playground::set_link(node, playground::Link::up);
                   });
}

void add_views(CLI::App& family, const Shared& options) {
  add_node_command(family, options, "env", "Print what points docker and skep at a node",
                   [](const Layout&, const Node& node) -> Status {
                     std::printf("export DOCKER_HOST=unix://%s\n", node.api_socket().c_str());
                     return {};
                   });
  add_node_command(family, options, "pids", "Print \"label pid\" for each process of a node",
                   [](const Layout& layout, const Node& node) -> Status {
                     for (const auto& one : playground::node_processes(layout, node)) {
                       std::printf("%s %d\n", one.label.c_str(), one.process.pid);
                     }
                     return {};
                   });
  CLI::App* exec = add_command(family, options, "exec", "Run a command inside a node");
  exec->add_option("NODE", options->node, "A number or a name")->required();
  exec->add_option("COMMAND", options->command, "After a --, the command and its arguments")
      ->required();
  exec->callback([options] {
    int exit_code = 0;
    finish(with_node(*options, [&](const Layout& layout, const Node& node) -> Status {
      SKEP_TRY_ASSIGN(exit_code, playground::run_in_node(layout, node, options->command));
      return {};
    }));
    finish_with_code(exit_code);
  });
}

// The process that a node hangs on is this same program; nobody types this.
void add_hidden_init(CLI::App& app, const Shared& options) {
  CLI::App* init = app.add_subcommand("playground-node")->group("");
  init->add_option("--dir", options->settings.dir)->required();
  init->add_option("--node", options->node)->required();
  init->callback([options] { finish(with_node(*options, playground::run_node_init)); });
}

}  // namespace

void add_playground_commands(CLI::App& app) {
  const Shared options = std::make_shared<Options>();
  // Read here and not by CLI11: it would take the variable for every subcommand that was not named,
  // all of which fill the same field, and so over the --dir of the one that was.
  if (const char* dir = std::getenv("SKEP_PLAYGROUND_DIR"); dir != nullptr && *dir != '\0')
    options->settings.dir = dir;
  CLI::App* family = app.add_subcommand("playground", "A whole cluster on this machine");
  family->require_subcommand(1);
  add_whole(*family, options);
  add_power(*family, options);
  add_views(*family, options);
  add_hidden_init(app, options);
}

}  // namespace skep::cli
