// One function for each kind of fault; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/faults.hpp"

#include "tests/sim/world.hpp"

namespace skep::sim {

void Faults::begin() {
  for (int host = 0; host < world_.hosts(); ++host) {
    set_clock(host);
    world_.host(host).disk_max_us = world_.profile().disk_max_us;
  }
  for (uint32_t kind = 0; kind < static_cast<uint32_t>(FaultKind::count); ++kind) {
    again(static_cast<FaultKind>(kind));
  }
}

uint64_t Faults::mean_us(FaultKind kind) const {
  const Profile& profile = world_.profile();
  switch (kind) {
    case FaultKind::cut:
      return profile.cut_every_us;
    case FaultKind::crash:
      return profile.crash_every_us;
    case FaultKind::power_cut:
      return profile.power_cut_every_us;
    case FaultKind::pause:
      return profile.pause_every_us;
    case FaultKind::disk:
      return profile.disk_trouble_every_us;
    case FaultKind::rot:
      return profile.rot_every_us;
    case FaultKind::wipe:
      return profile.wipe_every_us;
    case FaultKind::count:
      break;
  }
  return 0;
}

void Faults::again(FaultKind kind) {
  const uint64_t mean = mean_us(kind);
  if (mean != 0) world_.after(world_.random().between(1, 2 * mean), FaultDue{kind});
}

void Faults::due(FaultKind kind) {
  if (healed_) return;
  strike(kind);
  again(kind);
}

void Faults::strike(FaultKind kind) {
  switch (kind) {
    case FaultKind::cut:
      return world_.network().cut();
    case FaultKind::crash:
      return crash_one();
    case FaultKind::power_cut:
      return cut_power();
    case FaultKind::pause:
      return pause_one();
    case FaultKind::disk:
      return trouble_disk();
    case FaultKind::rot:
      return rot_one();
    case FaultKind::wipe:
      return wipe_one();
    case FaultKind::count:
      return;
  }
}

void Faults::crash_one() {
  const int victim = world_.any_host();
  Host& host = world_.host(victim);
  if (!host.running()) return;
  if (world_.random().below(2) == 0) return host.crash_within(world_.random().below(8));
  host.crash();
  world_.restart_later(victim);
}

void Faults::cut_power() {
  world_.note(What::crash, -1, {}, "power cut");
  for (int i = 0; i < world_.hosts(); ++i) {
    if (!world_.host(i).running()) continue;
    world_.host(i).crash();
    world_.restart_later(i);
  }
}

void Faults::pause_one() {
  const int victim = world_.any_host();
  Host& host = world_.host(victim);
  const uint64_t length = world_.random().between(50 * kMillisecond, 4 * kSecond);
  host.paused_until_us = world_.now_us() + length;
  host.clock_runs_on = world_.random().below(2) == 0;
  world_.note(What::clock_fault, victim, {length}, "pause");
  if (world_.profile().clocks_differ) set_clock(victim);
}

void Faults::set_clock(int host) {
  if (!world_.profile().clocks_differ) return;
  world_.host(host).clock_percent = world_.random().between(50, 200);
  world_.note(What::clock_fault, host, {world_.host(host).clock_percent}, "rate");
}

void Faults::trouble_disk() {
  Random& random = world_.random();
  const int victim = world_.any_host();
  Host& host = world_.host(victim);
  DeviceFaults& faults = host.disk().faults();
  const uint64_t length = random.between(100 * kMillisecond, 10 * kSecond);
  switch (random.below(5)) {
    case 0:
      faults.failing_flushes = static_cast<uint32_t>(random.between(1, 3));
      world_.note(What::disk_fault, victim, {faults.failing_flushes}, "flushes fail");
      return;
    case 1:
      faults.dead = true;
      world_.note(What::disk_fault, victim, {length}, "dead");
      break;
    case 2:
      faults.full = true;
      world_.note(What::disk_fault, victim, {length}, "full");
      break;
    case 3:
      host.disk_hangs_until_us = world_.now_us() + length;
      world_.note(What::disk_fault, victim, {length}, "hangs");
      return;
    default:
      host.disk_max_us = random.between(50, 500) * kMillisecond;
      world_.note(What::disk_fault, victim, {host.disk_max_us}, "slow");
      break;
  }
  world_.after(length, TroubleOver{victim, ++troubles_});
}

// An earlier trouble of the same host may end this one; that only makes it shorter.
void Faults::over(const TroubleOver& trouble) {
  Host& host = world_.host(trouble.host);
  host.disk().faults().dead = false;
  host.disk().faults().full = false;
  host.disk_max_us = world_.profile().disk_max_us;
}

// Found when the process reads its disk again, so it is crashed.
void Faults::rot_one() {
  const int victim = world_.any_host();
  Host& host = world_.host(victim);
  if (!host.running() || !host.is_well() || !world_.membership().may_lose(host.member())) return;
  host.rot();
  world_.restart_later(victim);
}

// The daemon is refused its old id when its log is gone; this one does not ask.
void Faults::wipe_one() {
  const int victim = world_.any_host();
  Host& host = world_.host(victim);
  if (!host.running() || !host.is_well() || !world_.membership().may_lose(host.member())) return;
  if (!world_.membership().is_known_by_disk(host.member())) return;
  world_.note(What::disk_fault, victim, {host.member().value}, "wiped");
  host.come_back_blank(world_.membership().next_incarnation());
}

void Faults::heal() {
  healed_ = true;
  world_.network().heal();
  for (int i = 0; i < world_.hosts(); ++i) {
    Host& host = world_.host(i);
    host.disk().faults() = {};
    host.disk_hangs_until_us = 0;
    host.disk_max_us = world_.profile().disk_max_us;
    host.paused_until_us = 0;
    host.clock_percent = 100;
    host.start();
  }
}

}  // namespace skep::sim
