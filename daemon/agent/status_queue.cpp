// SPDX-License-Identifier: Apache-2.0
// Two maps by task: what waits, and what is out; a task can be in both.
#include "daemon/agent/status_queue.hpp"

namespace skep::agent {

void StatusQueue::add(std::vector<TaskReport> reports) {
  for (TaskReport& report : reports) {
    waiting_.insert_or_assign(report.id, std::move(report.status));
  }
}

std::vector<TaskReport> StatusQueue::take(size_t count_max) {
  SKEP_ASSERT(out_.empty(), "one batch is out at a time, or order would be lost");
  std::vector<TaskReport> batch;
  while (!waiting_.empty() && batch.size() < count_max) {
    auto node = waiting_.extract(waiting_.begin());
    batch.push_back(TaskReport{node.key(), node.mapped()});
    out_.insert(std::move(node));
  }
  return batch;
}

void StatusQueue::failed() {
  waiting_.merge(out_);  // keeps the newer ones
  out_.clear();
}

size_t StatusQueue::size() const {
  size_t count = waiting_.size();
  for (const auto& [id, status] : out_) count += waiting_.contains(id) ? 0 : 1;
  return count;
}

}  // namespace skep::agent
