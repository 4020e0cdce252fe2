// Works on copies and swaps them in at the end; a node has tens of tasks, not thousands.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/assignment_state.hpp"

#include <set>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/transport/node_rpc.pb.h"

namespace skep::agent {

Status AssignmentState::apply(const rpc::AssignmentsItem& item) {
  if (!item.full() && (!has_full_ || item.base() != generation_)) {
    return fail(ErrorKind::conflict, "a difference for generation " + std::to_string(item.base()) +
                                         " came while generation " + std::to_string(generation_) +
                                         " is known");
  }
  Tasks tasks = item.full() ? Tasks() : tasks_;
  Specs specs = item.full() ? Specs() : specs_;
  for (const rpc::AssignedSpec& from : item.specs()) {
    SKEP_TRY_ASSIGN(const model::ServiceId service,
                    codec::decode_id<model::ServiceId>(from.service(), "spec: service"));
    SKEP_TRY_ASSIGN(model::TaskSpec spec, codec::decode(from.spec()));
    SharedSpec shared;
    SKEP_TRY_ASSIGN(shared.service_labels,
                    codec::decode_map(from.service_labels(), "spec: service_labels"));
    shared.spec = std::make_shared<const model::TaskSpec>(std::move(spec));
    specs[model::SpecKey{service, from.version()}] = std::move(shared);
  }
  for (const std::string& id : item.remove()) {
    SKEP_TRY_ASSIGN(const model::TaskId task, codec::decode_id<model::TaskId>(id, "remove"));
    tasks.erase(task);
  }
  for (const proto::Task& from : item.upsert()) {
    SKEP_TRY_ASSIGN(model::Task task, codec::decode(from));
    tasks.insert_or_assign(task.id, std::move(task));
  }
  std::set<model::SpecKey> used;
  for (const auto& [id, task] : tasks) {
    const model::SpecKey key{task.service, task.spec_version};
    if (!specs.contains(key)) {
      return fail(ErrorKind::invalid, "task " + id.str() + " came without its spec");
    }
    used.insert(key);
  }
  std::erase_if(specs, [&](const auto& entry) { return !used.contains(entry.first); });
  tasks_ = std::move(tasks);
  specs_ = std::move(specs);
  generation_ = item.generation();
  has_full_ = true;
  more_ = item.more();
  return {};
}

AssignmentSet AssignmentState::set() const {
  AssignmentSet set;
  set.generation = generation_;
  set.tasks.reserve(tasks_.size());
  for (const auto& [id, task] : tasks_) {
    const SharedSpec& shared = specs_.at(model::SpecKey{task.service, task.spec_version});
    set.tasks.push_back(AssignedTask{task, shared.spec, shared.service_labels});
  }
  return set;
}

}  // namespace skep::agent
