// Sorting task lines into their history.
// SPDX-License-Identifier: Apache-2.0
#include "cli/task_history.hpp"

#include <algorithm>

#include "cli/values.hpp"

namespace skep::cli {

void arrange(std::vector<TaskLine>& lines, HistoryMark mark) {
  std::ranges::stable_sort(lines, [](const TaskLine& a, const TaskLine& b) {
    if (a.name != b.name) return natural_less(a.name, b.name);
    // Parsed, because the daemon drops final zeros and texts of different length don't compare.
    const model::WallTime a_time = parse_time(a.created_at).value_or(model::WallTime{});
    const model::WallTime b_time = parse_time(b.created_at).value_or(model::WallTime{});
    return a_time > b_time;
  });
  if (mark == HistoryMark::none) return;
  std::string slot;
  for (TaskLine& line : lines) {
    if (line.name == slot) {
      line.name = " \\_ " + line.name;
    } else {
      slot = line.name;
    }
  }
}

}  // namespace skep::cli
