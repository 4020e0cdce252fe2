// The draws; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/profile.hpp"

namespace skep::sim {
namespace {

// Off, or somewhere between the two.
uint64_t sometimes(Random& random, uint64_t low, uint64_t high) {
  return random.below(2) == 0 ? 0 : random.between(low, high);
}

}  // namespace

Profile draw_profile(Random& random) {
  Profile p;
  p.hosts = random.between(3, 7);
  const uint64_t sizes[] = {3, 3, 5, 1, 2, 4};
  p.voters = sizes[random.below(6)];
  if (p.voters > p.hosts) p.voters = 3;
  p.store = random.below(4) == 0;

  p.delay_max_us = random.between(1, 15) * kMillisecond;
  p.lost = sometimes(random, 5, 150);
  p.doubled = sometimes(random, 5, 100);
  p.slow = sometimes(random, 5, 100);
  p.slow_max_us = random.between(50, 2000) * kMillisecond;
  p.replayed = sometimes(random, 2, 30);
  p.foreign = sometimes(random, 2, 30);

  p.cut_every_us = sometimes(random, 1000, 10'000) * kMillisecond;
  p.crash_every_us = sometimes(random, 500, 8'000) * kMillisecond;
  p.power_cut_every_us = random.below(4) == 0 ? random.between(5, 30) * kSecond : 0;
  p.pause_every_us = sometimes(random, 1000, 8'000) * kMillisecond;
  p.disk_trouble_every_us = sometimes(random, 1000, 10'000) * kMillisecond;
  p.rot_every_us = random.below(3) == 0 ? random.between(10, 40) * kSecond : 0;
  p.membership_every_us = sometimes(random, 500, 6'000) * kMillisecond;
  p.transfer_every_us = random.below(3) == 0 ? random.between(1, 10) * kSecond : 0;

  p.clocks_differ = random.below(2) == 0;
  p.disk_max_us = random.between(1, 30) * kMillisecond;
  p.chunk_bytes = random.between(64, 1024);
  p.damaged_chunks = sometimes(random, 10, 200);
  p.snapshot_entries = random.between(3, 60);
  p.keep_entries = random.between(0, 30);

  p.clients = random.between(2, 6);
  p.think_max_us = random.between(20, 500) * kMillisecond;
  p.wipe_every_us = random.below(3) == 0 ? random.between(10, 40) * kSecond : 0;
  return p;
}

}  // namespace skep::sim
