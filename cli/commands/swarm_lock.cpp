// `skep swarm unlock` and `skep swarm unlock-key`.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/swarm_lock.hpp"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/terminal.hpp"

namespace skep::cli {
namespace {

struct KeyOptions {
  bool rotate = false;
  bool quiet = false;
};

Result<std::string> ask_for_key(const Daemon& daemon) {
  SKEP_TRY_ASSIGN(const Json answer, daemon.get("/swarm/unlockkey"));
  return text_at(answer, "/UnlockKey");
}

Status rotate_key(const Daemon& daemon) {
  SKEP_TRY_ASSIGN(const Json swarm, daemon.get("/swarm"));
  if (!flag_at(swarm, "/Spec/EncryptionConfig/AutoLockManagers")) {
    return fail(ErrorKind::precondition, "cannot rotate because autolock is not turned on");
  }
  SKEP_TRY(daemon.post(
      "/swarm/update?version=" + std::to_string(integer_at(swarm, "/Version/Index")) +
          "&rotateWorkerToken=false&rotateManagerToken=false&rotateManagerUnlockKey=true",
      value_at(swarm, "/Spec")));
  return {};
}

Result<int> unlock_key(const KeyOptions& options, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  if (options.rotate) {
    SKEP_TRY(rotate_key(daemon));
    if (!options.quiet) std::printf("Successfully rotated manager unlock key.\n\n");
  }
  SKEP_TRY_ASSIGN(const std::string key, ask_for_key(daemon));
  if (key.empty()) return fail(ErrorKind::precondition, "no unlock key is set");
  if (options.quiet) {
    std::printf("%s\n", key.c_str());
  } else {
    std::printf("%s", unlock_instructions(key).c_str());
  }
  return 0;
}

// Nobody is asked for a key that is of no use.
Result<int> unlock(const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json info, daemon.get("/info"));
  const std::string state = text_at(info, "/Swarm/LocalNodeState");
  if (state == "inactive") {
    return fail(ErrorKind::precondition, "Error: This node is not part of a swarm");
  }
  if (state != "locked") return fail(ErrorKind::conflict, "Error: swarm is not locked");
  SKEP_TRY_ASSIGN(const std::string key, read_unlock_key(STDIN_FILENO));
  SKEP_TRY(daemon.post("/swarm/unlock", Json{{"UnlockKey", key}}));
  return 0;
}

}  // namespace

std::string unlock_instructions(const std::string& key) {
  return "To unlock a swarm manager after it restarts, run the `skep swarm unlock`\n"
         "command and provide the following key:\n\n    " +
         key +
         "\n\nRemember to store this key in a password manager, since without it you\n"
         "will not be able to restart the manager.\n";
}

Status print_unlock_instructions(const Daemon& daemon) {
  SKEP_TRY_ASSIGN(const std::string key, ask_for_key(daemon));
  if (!key.empty()) std::printf("%s", unlock_instructions(key).c_str());
  return {};
}

Result<std::string> read_unlock_key(int file) {
  const Result<std::string> line =
      is_terminal(file) ? read_hidden_line(file, "Enter unlock key: ") : read_line(file);
  if (!line) return line;
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = line->find_first_not_of(kBlanks);
  if (first == std::string::npos) return std::string();
  return line->substr(first, line->find_last_not_of(kBlanks) - first + 1);
}

void add_swarm_lock(const Command& group, const Session& session) {
  const Command open = group.command("unlock", "Unlock swarm", {});
  open.run([&](const Words&) { return unlock(session); });

  const Command key = group.command("unlock-key", "Manage the unlock key", {});
  KeyOptions& options = key.own<KeyOptions>();
  key.flag("--rotate", options.rotate, "Rotate unlock key");
  key.flag("-q,--quiet", options.quiet, "Only display token");
  key.run([&](const Words&) { return unlock_key(options, session); });
}

}  // namespace skep::cli
