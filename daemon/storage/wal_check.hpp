// Looks for damage in a write-ahead log that SQLite would take for its end.
//
// SQLite reads its log up to the first frame whose checksum fails and forgets the rest: right for a
// transaction that was being written when the power went, wrong for a bit that flipped further up,
// since everything after it was made durable and would be gone without a word. The difference shows
// in what follows: a transaction is begun only when the one before it was flushed, so a bad frame
// with a whole transaction's end and then more frames behind it is damage, not a torn tail.
//
// What can't be told apart is damage in the very last transaction of the log. A daemon that was
// stopped in good order has none in the log, and so leaves nothing to that.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "daemon/storage/file_system.hpp"

namespace skep::storage {

// ErrorKind::internal if the log (of the database it is beside) was damaged. Requires: nobody has
// the database open, and every run began with all of the log in the database, so that frames with
// the header's salt are of the last run.
Status check_write_ahead_log(FileSystem& files, const std::string& path);

}  // namespace skep::storage
