// The daemon's own log store below the simulated managers, on a disk in memory that fails.
//
// What the journal is a model of, here is the real thing: SqliteLogStore on a FaultyDisk, which is
// a SQLite VFS and a file system at once. A process that is killed while a batch or a snapshot is
// on its way is killed at any of the disk's operations in between, and what was not flushed is lost
// sector by sector.
//
// Slow, and not repeatable to the bit: SQLite and the keys draw their own random numbers. So a seed
// that fails says where to look, not always how to see it again. Damage at rest is not played here;
// the store's own tests flip every bit.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "tests/sim/disk.hpp"

namespace skep::sim {

std::unique_ptr<Disk> make_sqlite_disk(uint64_t seed);

}  // namespace skep::sim
