// What `swarm init`, `update`, `unlock` and `unlock-key` share of the swarm's lock.
//
// The unlock key is shown to whoever asks for it, on standard output, and read from standard input;
// it is never an argument, which other users of the machine could see.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/daemon.hpp"
#include "cli/grammar.hpp"

namespace skep::cli {

void add_swarm_lock(const Command& group, const Session& session);  // unlock, unlock-key

// What a person is told together with the key.
std::string unlock_instructions(const std::string& key);

// Asks the daemon for the key and prints the instructions; nothing if there is no lock.
Status print_unlock_instructions(const Daemon& daemon);

// The first line of `file`, without blanks around it: asked for, and not shown, if it is a
// terminal.
Result<std::string> read_unlock_key(int file);

}  // namespace skep::cli
