// A LogStore in one SQLite database: WAL mode, synchronous=FULL, so a commit is one flush.
//
// Every row carries a CRC-32 over its key and its content: SQLite finds torn pages of its WAL but
// not a bit that flipped in a page at rest. The hard-state row names the highest durable entry, so
// that a log whose end has gone is told from one that never was longer.
//
// One process may have it open (an exclusive lock is held). The file is made with mode 0600: it
// holds the cluster's CA key.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "daemon/storage/log_store.hpp"

namespace skep::storage {

// Opens or makes the database at `path`; its folder exists. Errors: conflict (another process has
// it), internal (what SQLite says).
Result<std::unique_ptr<LogStore>> open_sqlite_log_store(const std::string& path);

}  // namespace skep::storage
