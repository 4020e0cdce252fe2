// The order of `service ps`.
// SPDX-License-Identifier: Apache-2.0
#include "cli/task_history.hpp"

#include <catch2/catch.hpp>

using skep::cli::arrange;
using skep::cli::TaskLine;

TEST_CASE("what a slot ran before stands under what it runs now") {
  std::vector<TaskLine> lines = {{"web.10", "2026-01-01T00:00:00Z", 0},
                                 {"web.2", "2026-01-01T00:00:00Z", 1},
                                 {"web.2", "2026-01-01T00:00:09.5Z", 2},
                                 {"web.2", "2026-01-01T00:00:09.45Z", 3}};
  arrange(lines, skep::cli::HistoryMark::branch);
  std::vector<size_t> order;
  std::vector<std::string> names;
  for (const TaskLine& line : lines) {
    order.push_back(line.index);
    names.push_back(line.name);
  }
  CHECK(order == std::vector<size_t>{2, 3, 1, 0});
  CHECK(names == std::vector<std::string>{"web.2", " \\_ web.2", " \\_ web.2", "web.10"});
}
