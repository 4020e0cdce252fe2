// `skep exec`: run a command in a container, with our input and output, and end as it ended.
//
// The order matters: the exec is made, the terminal goes raw, the connection is hijacked, the size
// is told; when the daemon closes, the terminal is restored before anything is printed, and only
// then the exit code is asked for.
// SPDX-License-Identifier: Apache-2.0
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.hpp"
#include "cli/commands/service_options.hpp"
#include "cli/framed_stream.hpp"
#include "cli/hijacked_connection.hpp"
#include "cli/terminal.hpp"

namespace skep::cli {
namespace {

struct ExecOptions {
  bool interactive = false;
  bool tty = false;
  bool detach = false;
  bool privileged = false;
  Words env;
  Words env_files;
  std::optional<std::string> user;
  std::optional<std::string> workdir;
};

Result<Json> request_body(const ExecOptions& options, const Words& words) {
  Words variables;
  for (const std::string& file : options.env_files) {
    SKEP_TRY_ASSIGN(const Words some, variables_of_file(file));
    variables.insert(variables.end(), some.begin(), some.end());
  }
  for (const std::string& variable : options.env) {
    if (const auto resolved = resolved_variable(variable)) variables.push_back(*resolved);
  }
  const bool attached = !options.detach;
  Json body = {{"AttachStdin", attached && options.interactive},
               {"AttachStdout", attached},
               {"AttachStderr", attached},
               {"Tty", options.tty},
               {"Detach", options.detach},
               {"Privileged", options.privileged},
               {"User", options.user.value_or("")},
               {"WorkingDir", options.workdir.value_or("")},
               {"Env", variables},
               {"Cmd", Words(words.begin() + 1, words.end())}};
  const auto size = options.tty ? terminal_size(STDOUT_FILENO) : std::nullopt;
  if (size) body["ConsoleSize"] = {size->rows, size->columns};
  return body;
}

Status write_output(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(ErrorKind::cancelled, "the output was closed");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

void send_size(const Daemon& daemon, const std::string& exec_path) {
  const auto size = terminal_size(STDOUT_FILENO);
  if (!size || size->rows == 0) return;
  // A size that doesn't arrive costs the layout, not the command.
  const Result<Json> told = daemon.post(exec_path + "/resize?h=" + std::to_string(size->rows) +
                                        "&w=" + std::to_string(size->columns));
  (void)told;
}

// Copies input and output until the command has ended. The terminal is restored on return.
Status attach(const Daemon& daemon, const ExecOptions& options, const std::string& exec_path) {
  std::optional<RawMode> raw;
  if (options.tty && options.interactive) {
    SKEP_TRY_ASSIGN(RawMode entered, RawMode::enter(STDIN_FILENO));
    raw.emplace(std::move(entered));
  }
  int window_file = -1;
  if (options.tty && is_terminal(STDOUT_FILENO)) {
    SKEP_TRY_ASSIGN(window_file, window_change_file());
  }
  const Json body = {{"Detach", false}, {"Tty", options.tty}};
  SKEP_TRY_ASSIGN(
      HijackedConnection connection,
      HijackedConnection::open(daemon.client().address(), exec_path + "/start", compact(body)));
  if (options.tty) send_size(daemon, exec_path);
  FramedStream frames;
  HijackedConnection::Pump pump;
  pump.input_file = options.interactive ? STDIN_FILENO : -1;
  pump.alarm_file = window_file;
  pump.on_alarm = [&] {
    signalfd_siginfo taken;
    while (::read(window_file, &taken, sizeof(taken)) > 0) {
    }
    send_size(daemon, exec_path);
  };
  pump.on_output = [&](std::string_view bytes) -> Status {
    if (options.tty) return write_output(STDOUT_FILENO, bytes);
    Status written;
    SKEP_TRY(frames.feed(bytes, [&](OutputStream stream, std::string_view payload) {
      const int file = stream == OutputStream::standard_error ? STDERR_FILENO : STDOUT_FILENO;
      if (written) written = write_output(file, payload);
    }));
    return written;
  };
  const Status ended = connection.run(pump);
  if (window_file >= 0) ::close(window_file);
  return ended;
}

Result<int> exec(const ExecOptions& options, const Words& words, const Session& session) {
  if (options.tty && options.interactive && !is_terminal(STDIN_FILENO)) {
    return fail(ErrorKind::invalid, "the input device is not a TTY");
  }
  SKEP_TRY_ASSIGN(const Json body, request_body(options, words));
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json made,
                  daemon.post("/containers/" + url_escape(words[0]) + "/exec", body));
  const std::string exec_path = "/exec/" + url_escape(text_at(made, "/Id"));
  if (options.detach) {
    SKEP_TRY(daemon.post(exec_path + "/start", Json{{"Detach", true}, {"Tty", options.tty}}));
    return 0;
  }
  SKEP_TRY(attach(daemon, options, exec_path));
  SKEP_TRY_ASSIGN(const Json ended, daemon.get(exec_path + "/json"));
  if (flag_at(ended, "/Running")) {
    return fail(ErrorKind::unavailable, "the connection ended while the command is still running");
  }
  return static_cast<int>(integer_at(ended, "/ExitCode"));
}

}  // namespace

void add_exec_command(Command parent, const Session& session) {
  const Command command = parent.command("exec", "Execute a command in a running container",
                                         {.usage = "CONTAINER COMMAND [ARG...]",
                                          .min = 2,
                                          .max = Positionals::kAnyNumber,
                                          .options_end_at_first = true});
  ExecOptions& options = command.own<ExecOptions>();
  command.flag("-i,--interactive", options.interactive, "Keep STDIN open even if not attached");
  command.flag("-t,--tty", options.tty, "Allocate a pseudo-TTY");
  command.flag("-d,--detach", options.detach, "Detached mode: run command in the background");
  command.flag("--privileged", options.privileged, "Give extended privileges to the command");
  command.list("-e,--env", options.env, "list", "Set environment variables");
  command.list("--env-file", options.env_files, "list", "Read in a file of environment variables");
  command.text("-u,--user", options.user, "string",
               "Username or UID (format: \"<name|uid>[:<group|gid>]\")");
  command.text("-w,--workdir", options.workdir, "string", "Working directory inside the container");
  command.run([&](const Words& words) { return exec(options, words, session); });
}

}  // namespace skep::cli
