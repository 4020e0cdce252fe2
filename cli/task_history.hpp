// The order in which `service ps` and `node ps` show tasks: by name, newest first, so that what a
// slot ran before stands under what it runs now, marked by a branch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace skep::cli {

struct TaskLine {
  std::string name;        // "web.1"; the branch is added by arrange()
  std::string created_at;  // RFC 3339, as the daemon gave it
  size_t index = 0;        // where the caller keeps the rest of it
};

enum class HistoryMark { branch, none };

// Sorts, and with `branch` prefixes the earlier tasks of a slot with " \_ ".
void arrange(std::vector<TaskLine>& lines, HistoryMark mark);

}  // namespace skep::cli
