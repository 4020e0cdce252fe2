// What a seed decides before anything happens: how big the group is, and which troubles it meets.
//
// Each trouble is on in about half of the seeds, with a strength of its own: a run with all of them
// at once would make little progress and hide what two of them do together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tests/sim/random.hpp"

namespace skep::sim {

inline constexpr uint64_t kMillisecond = 1000;  // all times are in microseconds
inline constexpr uint64_t kSecond = 1000 * kMillisecond;
inline constexpr uint64_t kTickUs = 50 * kMillisecond;

struct Profile {
  uint64_t hosts = 3;   // some of them spare at first
  uint64_t voters = 3;  // of the first configuration
  bool store = false;   // the state machine is the daemon's store

  // The network. Parts of a thousand messages.
  uint64_t delay_max_us = 5 * kMillisecond;
  uint64_t lost = 0;
  uint64_t doubled = 0;
  uint64_t slow = 0;  // delayed by up to slow_max_us, so overtaken by others
  uint64_t slow_max_us = 300 * kMillisecond;
  uint64_t replayed = 0;  // followed by an old message, of whatever term and incarnation
  uint64_t foreign = 0;   // followed by a lie of another cluster, a group given up, an older disk

  // Means between two of them; zero: never.
  uint64_t cut_every_us = 0;        // a partition, one-way or both ways, of a host or a half
  uint64_t crash_every_us = 0;      // of one process, at once or in the middle of an output
  uint64_t power_cut_every_us = 0;  // of all hosts
  uint64_t pause_every_us = 0;
  uint64_t disk_trouble_every_us = 0;
  uint64_t rot_every_us = 0;   // damage at rest: the member is lost
  uint64_t wipe_every_us = 0;  // a blank disk under an old name: so is this member
  uint64_t membership_every_us = 0;
  uint64_t transfer_every_us = 0;

  bool clocks_differ = false;
  uint64_t disk_max_us = 4 * kMillisecond;  // of one flush
  uint64_t chunk_bytes = 256;
  uint64_t damaged_chunks = 0;  // of a thousand
  uint64_t snapshot_entries = 40;
  uint64_t keep_entries = 10;

  uint64_t clients = 4;
  uint64_t think_max_us = 400 * kMillisecond;
};

Profile draw_profile(Random& random);

}  // namespace skep::sim
