// Ids of 64 hex digits, as container tools expect them, and the two spellings of time.
//
// A task's container id is the SHA-256 of the task id: the same task always finds its own container
// again, also when the agent died between asking for it and writing that down. Execs and everything
// else without a name in the cluster get a random one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/model/ids.hpp"
#include "core/model/result.hpp"
#include "core/model/time.hpp"

namespace skep::agent {

// SHA-256 of `text` as 64 lower-case hex digits.
std::string sha256_hex(std::string_view text);

std::string container_id_of(model::TaskId task);

// 64 hex digits from the operating system's generator. Errors: internal when it has none.
Result<std::string> random_hex_id();

// The instant of an RFC 3339 text ("2024-05-06T07:08:09.123456789Z", or with an offset); zero for
// an empty text and for what can't be read.
model::WallTime parse_time_text(std::string_view text);

}  // namespace skep::agent
