// Reports on their way to the managers: the newest of each task, none lost, none sent twice at
// once.
//
// A batch that was taken stays here until it is known to be committed; if it isn't, it goes back,
// except where a newer report has come meanwhile. Bounded by the number of tasks the node has had.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/agent/assignments.hpp"

namespace skep::agent {

class StatusQueue {
 public:
  void add(std::vector<TaskReport> reports);
  // Something waits and no batch is out.
  bool ready() const { return !waiting_.empty() && out_.empty(); }
  // Up to count_max of the waiting ones. Requires: ready().
  std::vector<TaskReport> take(size_t count_max);
  void committed() { out_.clear(); }
  void failed();
  size_t size() const;

 private:
  std::map<model::TaskId, model::TaskStatus> waiting_;
  std::map<model::TaskId, model::TaskStatus> out_;
};

}  // namespace skep::agent
