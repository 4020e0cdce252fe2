// The hand that breaks things, at times and in ways the seed decides.
//
// Each kind of fault comes back at random distances around its mean. The trouble it makes ends by
// itself after a while, except for a disk that has rotted or was wiped; heal() ends all of it at
// once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/sim/event.hpp"

namespace skep::sim {

class World;

class Faults {
 public:
  explicit Faults(World& world) : world_(world) {}

  void begin();
  void due(FaultKind kind);
  void over(const TroubleOver& trouble);
  // No fault from now on; whatever is broken is mended and whoever is down is started.
  void heal();

 private:
  uint64_t mean_us(FaultKind kind) const;
  void again(FaultKind kind);
  void strike(FaultKind kind);
  void crash_one();
  void cut_power();
  void pause_one();
  void trouble_disk();
  void rot_one();
  void wipe_one();
  void set_clock(int host);

  World& world_;
  bool healed_ = false;
  uint64_t troubles_ = 0;
};

}  // namespace skep::sim
