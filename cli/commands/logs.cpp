// `skep logs` and `skep service logs`: the output of containers, stdout and stderr kept apart.
//
// A container without a terminal sends frames, one with a terminal raw bytes; which one it is, its
// inspection tells.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/clock.hpp"
#include "cli/commands/commands.hpp"
#include "cli/framed_stream.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

struct LogOptions {
  bool follow = false;
  bool timestamps = false;
  bool details = false;
  std::optional<std::string> since;
  std::optional<std::string> until;
  std::optional<std::string> tail;

  void declare(const Command& command) {
    command.flag("-f,--follow", follow, "Follow log output");
    command.flag("-t,--timestamps", timestamps, "Show timestamps");
    command.flag("--details", details, "Show extra details provided to logs");
    command.text("--since", since, "string",
                 "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. "
                 "\"42m\" for 42 minutes)");
    command.text("-n,--tail", tail, "string",
                 "Number of lines to show from the end of the logs (default \"all\")");
  }

  Result<std::string> query() const {
    std::string out = "?stdout=1&stderr=1&tail=" + url_escape(tail.value_or("all"));
    if (follow) out += "&follow=1";
    if (timestamps) out += "&timestamps=1";
    if (details) out += "&details=1";
    if (since) {
      SKEP_TRY_ASSIGN(const std::string moment, parse_moment(*since, now()));
      out += "&since=" + moment;
    }
    if (until) {
      SKEP_TRY_ASSIGN(const std::string moment, parse_moment(*until, now()));
      out += "&until=" + moment;
    }
    return out;
  }
};

void write_output(OutputStream stream, std::string_view bytes) {
  FILE* const file = stream == OutputStream::standard_error ? stderr : stdout;
  std::fwrite(bytes.data(), 1, bytes.size(), file);
  std::fflush(file);
}

Status copy_logs(const Daemon& daemon, const std::string& path, bool framed) {
  FramedStream frames;
  Status broken;
  SKEP_TRY(daemon.stream(path, [&](std::string_view chunk) {
    if (!framed) {
      write_output(OutputStream::standard_output, chunk);
      return true;
    }
    broken = frames.feed(chunk, write_output);
    return broken.has_value();
  }));
  SKEP_TRY(broken);
  if (!frames.at_boundary()) {
    return fail(ErrorKind::unavailable, "the log stream ended in the middle of a line");
  }
  return {};
}

Result<int> container_logs(const LogOptions& options, const std::string& name,
                           const Session& session) {
  SKEP_TRY_ASSIGN(const std::string query, options.query());
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  const std::string path = "/containers/" + url_escape(name);
  SKEP_TRY_ASSIGN(const Json container, daemon.get(path + "/json"));
  SKEP_TRY(copy_logs(daemon, path + "/logs" + query, !flag_at(container, "/Config/Tty")));
  return 0;
}

Result<int> service_logs(const LogOptions& options, const std::string& name,
                         const Session& session) {
  SKEP_TRY_ASSIGN(const std::string query, options.query());
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  const std::string path = "/services/" + url_escape(name);
  SKEP_TRY_ASSIGN(const Json service, daemon.get(path));
  const bool tty = flag_at(service, "/Spec/TaskTemplate/ContainerSpec/TTY");
  SKEP_TRY(copy_logs(daemon, path + "/logs" + query, !tty));
  return 0;
}

}  // namespace

void add_log_command(Command parent, const Session& session) {
  const Command command = parent.command("logs", "Fetch the logs of a container",
                                         {.usage = "CONTAINER", .min = 1, .max = 1});
  LogOptions& options = command.own<LogOptions>();
  options.declare(command);
  command.text("--until", options.until, "string",
               "Show logs before a timestamp or relative (e.g. \"42m\" for 42 minutes)");
  command.run([&](const Words& words) { return container_logs(options, words[0], session); });
}

void add_service_logs(const Command& group, const Session& session) {
  const Command command = group.command("logs", "Fetch the logs of a service",
                                        {.usage = "SERVICE", .min = 1, .max = 1});
  LogOptions& options = command.own<LogOptions>();
  options.declare(command);
  command.run([&](const Words& words) { return service_logs(options, words[0], session); });
}

}  // namespace skep::cli
