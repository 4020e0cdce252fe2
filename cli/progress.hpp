// When has a service converged, and what does the waiting person see? The rules as a pure machine.
//
// Each look at the service (spec, its tasks of the present spec, the live nodes) goes into `step`,
// with the time; out come the lines that changed and whether the wait is over. The reading, the
// sleeping and the drawing are converge.cpp's. The rules are those docker clients follow: as many
// running tasks as replicas, held for the update's monitor time; an update that paused ends the
// wait as a failure. One rule per slot: the task that is wanted most and has come farthest
// backwards stands for it, so a replacement shows instead of what it replaces.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/model/time.hpp"

namespace skep::cli {

// What is looked at in one round.
struct ProgressTask {
  uint64_t slot = 0;
  std::string node;  // empty until placed
  std::string desired;
  std::string state;
  std::string error;
};

struct ProgressView {
  std::string service_id;
  std::optional<uint64_t> replicas;  // none: a global service, one per eligible node
  uint64_t eligible_nodes = 0;       // of a global service
  model::Nanoseconds monitor{0};
  std::string update_state;  // "updating", "paused", ... or empty
  std::string update_message;
  std::vector<ProgressTask> tasks;
  std::set<std::string> live_nodes;
};

// One line of the display; the same name again replaces its line.
struct ProgressLine {
  std::string name;  // "overall progress", "1/3", "verify"
  std::string text;
  std::optional<int> done_of_nine;  // a bar of this length
  bool operator==(const ProgressLine&) const = default;
};

enum class ProgressEnd { waiting, succeeded, failed };

struct ProgressStep {
  std::vector<ProgressLine> lines;
  ProgressEnd end = ProgressEnd::waiting;
  std::string failure;  // with `failed`
};

class Progress {
 public:
  ProgressStep step(const ProgressView& view, model::WallTime now);
  bool converged() const { return converged_at_.has_value(); }

 private:
  void draw_tasks(const ProgressView& view, std::vector<ProgressLine>& lines);
  bool finished_by_update(const ProgressView& view, ProgressStep& step);

  bool drawn_ = false;
  bool complete_ = false;  // all were running at the last look
  bool rolling_back_ = false;
  std::map<std::string, uint64_t> line_of_slot_;  // key: slot, or node of a global service
  std::optional<model::WallTime> converged_at_;
};

}  // namespace skep::cli
