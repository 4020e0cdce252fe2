// Task and its status to protobuf and back.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/task.pb.h"

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"

namespace skep::codec {
namespace {

using model::TaskState;

constexpr EnumTable<TaskState, proto::TaskState, 14> kStates = {{
    {TaskState::fresh, proto::TASK_STATE_NEW},
    {TaskState::pending, proto::TASK_STATE_PENDING},
    {TaskState::assigned, proto::TASK_STATE_ASSIGNED},
    {TaskState::accepted, proto::TASK_STATE_ACCEPTED},
    {TaskState::preparing, proto::TASK_STATE_PREPARING},
    {TaskState::ready, proto::TASK_STATE_READY},
    {TaskState::starting, proto::TASK_STATE_STARTING},
    {TaskState::running, proto::TASK_STATE_RUNNING},
    {TaskState::complete, proto::TASK_STATE_COMPLETE},
    {TaskState::shutdown, proto::TASK_STATE_SHUTDOWN},
    {TaskState::failed, proto::TASK_STATE_FAILED},
    {TaskState::rejected, proto::TASK_STATE_REJECTED},
    {TaskState::remove, proto::TASK_STATE_REMOVE},
    {TaskState::orphaned, proto::TASK_STATE_ORPHANED},
}};

}  // namespace

void encode(const model::TaskStatus& from, proto::TaskStatus* to) {
  to->Clear();
  to->set_state(encode_enum(kStates, from.state));
  to->set_timestamp_unix_ns(from.timestamp.unix_ns);
  to->set_applied_at_unix_ns(from.applied_at.unix_ns);
  to->set_message(from.message);
  to->set_error(from.error);
  if (from.container) {
    proto::ContainerStatus* out = to->mutable_container();
    out->set_container_id(from.container->container_id);
    out->set_pid(from.container->pid);
    out->set_exit_code(from.container->exit_code);
  }
}

Result<model::TaskStatus> decode(const proto::TaskStatus& from) {
  model::TaskStatus to;
  SKEP_TRY_ASSIGN(to.state, decode_enum(kStates, from.state(), "status: state"));
  to.timestamp = {from.timestamp_unix_ns()};
  to.applied_at = {from.applied_at_unix_ns()};
  to.message = from.message();
  to.error = from.error();
  if (from.has_container()) {
    to.container = model::ContainerStatus{from.container().container_id(), from.container().pid(),
                                          from.container().exit_code()};
  }
  return to;
}

void encode(const model::Task& from, proto::Task* to) {
  to->Clear();
  to->set_id(encode_id(from.id));
  encode(from.meta, to->mutable_meta());
  to->set_service(encode_id(from.service));
  to->set_service_name(from.service_name);
  to->set_slot(from.slot);
  to->set_spec_version(from.spec_version);
  to->set_node(encode_id(from.node));
  to->set_desired(encode_enum(kStates, from.desired));
  encode(from.status, to->mutable_status());
  to->set_start_at_unix_ns(from.start_at.unix_ns);
  to->set_start_after(encode_id(from.start_after));
}

Result<model::Task> decode(const proto::Task& from) {
  model::Task to;
  SKEP_TRY_ASSIGN(to.id, decode_id<model::TaskId>(from.id(), "task: id"));
  to.meta = decode_meta(from.meta());
  SKEP_TRY_ASSIGN(to.service, decode_id<model::ServiceId>(from.service(), "task: service"));
  to.service_name = from.service_name();
  to.slot = from.slot();
  to.spec_version = from.spec_version();
  SKEP_TRY_ASSIGN(to.node, decode_id_or_none<model::NodeId>(from.node(), "task: node"));
  SKEP_TRY_ASSIGN(to.desired, decode_enum(kStates, from.desired(), "task: desired"));
  SKEP_TRY_ASSIGN(to.status, within(decode(from.status()), "task"));
  to.start_at = {from.start_at_unix_ns()};
  SKEP_TRY_ASSIGN(to.start_after,
                  decode_id_or_none<model::TaskId>(from.start_after(), "task: start_after"));
  return to;
}

}  // namespace skep::codec
