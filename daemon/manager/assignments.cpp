// Store rows to wire items.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/assignments.hpp"

#include <utility>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/transport/node_rpc.pb.h"

namespace skep::manager {

bool AssignmentFeed::follow(const store::RowChange& change) {
  const auto* task = std::get_if<store::Replaced<model::Task>>(&change);
  if (!task) return false;
  const bool was_here = task->before && task->before->node == node_;
  const bool is_here = task->after && task->after->node == node_;
  if (!was_here && !is_here) return false;
  const model::TaskId id = is_here ? task->after->id : task->before->id;
  const auto known = sent_.find(id);
  if (is_here && known != sent_.end() &&
      known->second ==
          Sent{task->after->desired, {task->after->service, task->after->spec_version}}) {
    return false;
  }
  dirty_.insert(id);
  return true;
}

std::optional<std::string> AssignmentFeed::next(const store::View& view) {
  rpc::AssignmentsItem item;
  if (generation_ == 0) {
    item.set_full(true);
    view.each_task_of_node(node_,
                           [&](const store::Row<model::Task>& task) { dirty_.insert(task->id); });
  } else if (dirty_.empty()) {
    return std::nullopt;
  }
  item.set_base(generation_);
  item.set_generation(++generation_);
  size_t bytes = 0;
  while (!dirty_.empty() && bytes < kItemBytes) {
    const model::TaskId id = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    const store::Row<model::Task> task = view.task(id);
    if (task && task->node == node_) {
      bytes += add_task(view, task, item);
    } else if (sent_.erase(id) != 0) {
      *item.add_remove() = codec::id_bytes(id.bits);
      bytes += item.remove(item.remove_size() - 1).size();
    }
  }
  item.set_more(!dirty_.empty());
  if (item.remove_size() > 0) forget_unused_specs();
  return item.SerializeAsString();
}

// The bytes it added.
size_t AssignmentFeed::add_task(const store::View& view, const store::Row<model::Task>& task,
                                rpc::AssignmentsItem& item) {
  size_t bytes = 0;
  const model::SpecKey key{task->service, task->spec_version};
  if (sent_specs_.insert(key).second) {
    const store::Row<model::ServiceSpec> spec = view.spec(key);
    SKEP_ASSERT(spec != nullptr, "a task's spec is in the store as long as the task");
    rpc::AssignedSpec* out = item.add_specs();
    out->set_service(codec::id_bytes(key.service.bits));
    out->set_version(key.version);
    codec::encode(spec->task, out->mutable_spec());
    for (const auto& [name, value] : spec->labels) {
      proto::KeyValue* label = out->add_service_labels();
      label->set_key(name);
      label->set_value(value);
    }
    bytes += out->ByteSizeLong();
  }
  proto::Task* out = item.add_upsert();
  codec::encode(*task, out);
  sent_[task->id] = Sent{task->desired, key};
  return bytes + out->ByteSizeLong();
}

void AssignmentFeed::forget_unused_specs() {
  sent_specs_.clear();
  for (const auto& [id, sent] : sent_) sent_specs_.insert(sent.spec);
}

}  // namespace skep::manager
