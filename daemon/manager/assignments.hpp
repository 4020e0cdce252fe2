// What one node must run, as the stream of items its session is sent.
//
// The first item is the full state; after it come differences. Only what concerns the node is sent
// again: the echo of its own status reports is not, because nothing the node could do follows from
// it. What is too large for one item goes in several. Pure bookkeeping over the store; the sending
// is the caller's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/store/changes.hpp"
#include "core/store/view.hpp"

namespace skep::rpc {
class AssignmentsItem;
}

namespace skep::manager {

class AssignmentFeed {
 public:
  // An item is closed once it holds this much. Far enough below a frame's limit for the largest
  // spec to come on top.
  static constexpr size_t kItemBytes = 1 << 20;

  explicit AssignmentFeed(model::NodeId node) : node_(node) {}

  // Notes what an applied change means for this node; true if there is something to send.
  bool follow(const store::RowChange& change);

  // The next item as a serialised AssignmentsItem; nullopt when the node knows everything.
  std::optional<std::string> next(const store::View& view);

 private:
  size_t add_task(const store::View& view, const store::Row<model::Task>& task,
                  rpc::AssignmentsItem& item);
  void forget_unused_specs();

  struct Sent {
    model::TaskState desired;
    model::SpecKey spec;
    bool operator==(const Sent&) const = default;
  };

  model::NodeId node_;
  uint64_t generation_ = 0;  // 0: the full state was not sent yet
  std::map<model::TaskId, Sent> sent_;
  std::set<model::SpecKey> sent_specs_;  // those of the tasks in sent_: the node drops all others
  std::set<model::TaskId> dirty_;
};

}  // namespace skep::manager
