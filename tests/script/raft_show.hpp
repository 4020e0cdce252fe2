// How the core's words are printed in transcripts: stable, one thing a line, nothing left out that
// a reader would need to follow what happens.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/raft/raft.hpp"

namespace skep::script {

std::string_view name(raft::RoleName role);
std::string show(const raft::Configuration& configuration);
std::string show(const raft::Entry& entry);
std::string show(const raft::HardState& state);
// "1>2 append-request term=1 ..."
std::string show(const raft::Message& message);

// What is asked for; without the messages and the disk work that make a step move on by itself.
std::string show_news(const raft::Output& out);
// The same and the persist, as one member by itself sees it.
std::string show(const raft::Output& out);

}  // namespace skep::script
