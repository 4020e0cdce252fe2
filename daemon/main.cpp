// skepd: one process per machine. Reads its configuration, assembles the rooms, runs the loop.
//
//   configuration -> one lock on the data directory -> drivers, agent, membership (Node) -> Engine
//   API
//
// One thread runs everything that decides or talks (the loop); the disk has one thread, drivers
// have theirs. SIGTERM and SIGINT stop the daemon in good order: containers go on, the managers are
// told.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>

#include "daemon/api/api_server.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/base/log.hpp"
#include "daemon/node.hpp"
#include "daemon/version.hpp"

namespace skep {
namespace {

struct Arguments {
  std::string config_path;
  std::string data_dir;
  std::string run_dir;
  std::string log_level;
};

Status make_folder(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(ErrorKind::internal, path + ": " + error.message());
  if (chmod(path.c_str(), mode) != 0) {
    return fail(ErrorKind::internal, path + ": " + std::strerror(errno));
  }
  return {};
}

// Held until the process ends: two daemons on one data directory would each believe themselves
// alone.
Status lock_data(const std::string& data_dir) {
  const std::string path = data_dir + "/skepd.lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorKind::internal, path + ": " + std::strerror(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorKind::conflict, "another skepd is running on " + data_dir);
  }
  return {};
}

Result<base::Config> configuration(const Arguments& arguments) {
  SKEP_TRY_ASSIGN(base::Config config, base::load_config(arguments.config_path));
  if (!arguments.data_dir.empty()) config.data_dir = arguments.data_dir;
  if (!arguments.run_dir.empty()) config.run_dir = arguments.run_dir;
  if (!arguments.log_level.empty()) config.log_level = arguments.log_level;
  for (std::string* folder : {&config.data_dir, &config.run_dir}) {
    *folder = std::filesystem::absolute(*folder).lexically_normal().string();
  }
  if (config.api_socket.empty()) config.api_socket = config.run_dir + "/skep.sock";
  SKEP_TRY(make_folder(config.data_dir, 0711));
  SKEP_TRY(make_folder(config.run_dir, 0711));
  SKEP_TRY(lock_data(config.data_dir));
  return config;
}

api::Options api_options(const base::Config& config, const std::string& hostname) {
  api::Options options;
  options.socket_path = config.api_socket;
  options.group = config.api_group;
  options.version = kVersion;
  options.data_dir = config.data_dir;
  options.hostname = hostname;
  options.now = base::wall_now;
  return options;
}

// The whole life of the daemon as one coroutine.
asio::awaitable<Status> live(asio::io_context& loop, base::Config config) {
  asio::signal_set signals(loop, SIGTERM, SIGINT);
  Node node(loop, config);
  SKEP_CO_TRY(co_await node.start());
  Status served;
  {
    api::ApiServer server(loop, node, node.containers(), node.volumes(), node.driver_set(),
                          api_options(config, node.hostname()));
    served = server.listen();
    if (served) {
      base::log_info("skepd", std::string("skepd ") + kVersion + " serves " + config.api_socket);
      const int signal = co_await signals.async_wait(asio::use_awaitable);
      base::log_info("skepd", std::string("stopping: ") + strsignal(signal));
    }
    server.stop();
    co_await node.stop();
    loop.stop();
    // The server and the node are destroyed with this frame, after the loop has stopped:
    // connections that still had something to say are closed by the kernel.
  }
  co_return served;
}

int run(const Arguments& arguments) {
  Result<base::Config> config = configuration(arguments);
  if (!config) {
    std::cerr << "skepd: " << config.error().message << "\n";
    return info(config.error().kind).exit_code;
  }
  base::set_log_level(config->log_level);
  std::signal(SIGPIPE, SIG_IGN);
  asio::io_context loop(1);
  Status outcome;
  asio::co_spawn(loop, live(loop, std::move(*config)),
                 [&](std::exception_ptr failure, Status status) {
                   outcome = std::move(status);
                   if (failure) {
                     try {
                       std::rethrow_exception(failure);
                     } catch (const std::exception& error) {
                       outcome = fail(ErrorKind::internal, error.what());
                     }
                   }
                   loop.stop();
                 });
  loop.run();
  if (outcome) return 0;
  std::cerr << "skepd: " << outcome.error().message << "\n";
  return info(outcome.error().kind).exit_code;
}

}  // namespace
}  // namespace skep

int main(int argc, char** argv) {
  skep::Arguments arguments;
  bool print_config = false;
  CLI::App app("skepd, the daemon of skep: one per machine");
  app.set_version_flag("--version", std::string("skepd ") + skep::kVersion);
  app.add_option("--config", arguments.config_path, "configuration file [/etc/skep/skepd.toml]");
  app.add_option("--data-dir", arguments.data_dir, "overrides data_dir of the configuration");
  app.add_option("--run-dir", arguments.run_dir, "overrides run_dir of the configuration");
  app.add_option("--log-level", arguments.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_flag("--print-default-config", print_config, "print a commented configuration and exit");
  CLI11_PARSE(app, argc, argv);
  if (print_config) {
    std::cout << skep::base::default_config_text();
    return 0;
  }
  return skep::run(arguments);
}
