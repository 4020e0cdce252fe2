// The receiving end of assignments: items of the stream in, full states out.
//
// Holds the last full state. A full item replaces it; a difference applies only to the generation
// it names, and any other is a gap. Nothing of an item that can't be read is kept: the state is
// either the one before or the one after. A state that comes in several items is `complete` when
// the last of them is there; until then it is not to be acted on. No I/O.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "core/model/result.hpp"
#include "daemon/agent/assignments.hpp"

namespace skep::rpc {
class AssignmentsItem;
}

namespace skep::agent {

class AssignmentState {
 public:
  // Errors: conflict for a gap, invalid for an item that can't be read. After either the stream is
  // to be opened anew, which begins with the full state.
  Status apply(const rpc::AssignmentsItem& item);
  bool complete() const { return has_full_ && !more_; }
  AssignmentSet set() const;

 private:
  struct SharedSpec {
    std::shared_ptr<const model::TaskSpec> spec;
    model::Labels service_labels;
  };
  using Tasks = std::map<model::TaskId, model::Task>;
  using Specs = std::map<model::SpecKey, SharedSpec>;

  uint64_t generation_ = 0;
  bool has_full_ = false;
  bool more_ = false;  // the last item was not the end of a state
  Tasks tasks_;
  Specs specs_;
};

}  // namespace skep::agent
