// Each noun survives the trip through bytes, and bytes that are wrong are told apart by field.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/model/codec/cluster.pb.h"
#include "core/model/codec/codec.hpp"
#include "core/model/codec/config.pb.h"
#include "core/model/codec/network.pb.h"
#include "core/model/codec/node.pb.h"
#include "core/model/codec/service.pb.h"
#include "core/model/codec/task.pb.h"
#include "tests/unit/codec/samples.hpp"

namespace skep {
namespace {

template <class Proto, class Model>
std::string to_bytes(const Model& value) {
  Proto message;
  codec::encode(value, &message);
  return message.SerializeAsString();
}

template <class Proto, class Model>
void survives(const Model& value) {
  const std::string bytes = to_bytes<Proto>(value);
  Proto parsed;
  REQUIRE(parsed.ParseFromString(bytes));
  const Result<Model> back = codec::decode(parsed);
  REQUIRE(back.has_value());
  CHECK(*back == value);

  // Field 15000, a varint: what a newer version might write.
  const std::string newer = bytes + std::string("\xc0\xa9\x07\x01", 4);
  Proto with_unknown;
  REQUIRE(with_unknown.ParseFromString(newer));
  const Result<Model> still = codec::decode(with_unknown);
  REQUIRE(still.has_value());
  CHECK(*still == value);
}

// No field of the message is left unset by the sample: a field added to a .proto and forgotten in
// the sample, or in the codec, shows here.
void every_field_is_set(const google::protobuf::Message& message) {
  const google::protobuf::Descriptor* type = message.GetDescriptor();
  const google::protobuf::Reflection* reflection = message.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = type->field(i);
    INFO(field->full_name());
    if (field->is_repeated()) {
      CHECK(reflection->FieldSize(message, field) > 0);
    } else if (field->full_name() != "skep.proto.ServiceSpec.replicas" &&
               field->full_name() != "skep.proto.Resources.pids" &&
               field->full_name() != "skep.proto.UpdateConfig.parallelism") {
      CHECK(reflection->HasField(message, field));
    }
    if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE &&
        !field->is_repeated() && reflection->HasField(message, field)) {
      every_field_is_set(reflection->GetMessage(message, field));
    }
  }
}

template <class Proto, class Model>
void sample_is_full(const Model& value) {
  Proto message;
  codec::encode(value, &message);
  every_field_is_set(message);
}

}  // namespace

TEST_CASE("every noun with every field set comes back equal") {
  survives<proto::Cluster>(samples::cluster());
  survives<proto::Node>(samples::node());
  survives<proto::NodeDescription>(samples::node().description);
  survives<proto::NodeStatus>(samples::node().status);
  survives<proto::Service>(samples::service());
  survives<proto::ServiceSpec>(samples::service_spec());
  survives<proto::TaskSpec>(samples::service_spec().task);
  survives<proto::Task>(samples::task());
  survives<proto::TaskStatus>(samples::task().status);
  survives<proto::Network>(samples::network());
  survives<proto::Config>(samples::config());
}

TEST_CASE("the samples leave no field of a message unset") {
  sample_is_full<proto::Cluster>(samples::cluster());
  sample_is_full<proto::Node>(samples::node());
  sample_is_full<proto::Service>(samples::service());
  sample_is_full<proto::ServiceSpec>(samples::service_spec());
  sample_is_full<proto::Task>(samples::task());
  sample_is_full<proto::Network>(samples::network());
  sample_is_full<proto::Config>(samples::config());
}

TEST_CASE("absent optional parts stay absent") {
  model::Task task = samples::task();
  task.node = {};
  task.start_after = {};
  task.status.container.reset();
  survives<proto::Task>(task);
  survives<proto::ServiceSpec>(model::ServiceSpec{});
  model::Node node = samples::node();
  node.manager.reset();
  survives<proto::Node>(node);
}

TEST_CASE("every task state survives") {
  for (int number = 0; number <= 832; number += 32) {
    const auto state = static_cast<model::TaskState>(number);
    if (!proto::TaskState_IsValid(number)) continue;
    model::TaskStatus status = samples::task().status;
    status.state = state;
    survives<proto::TaskStatus>(status);
  }
}

TEST_CASE("an id of the wrong length is an error that names the field") {
  proto::Task message;
  codec::encode(samples::task(), &message);
  message.set_node("abc");
  const Result<model::Task> result = codec::decode(message);
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().kind == ErrorKind::invalid);
  CHECK(result.error().message == "task: node: an id is 16 bytes, this is 3");
}

TEST_CASE("an id that may not be absent is an error when it is") {
  proto::Service message;
  codec::encode(samples::service(), &message);
  message.clear_id();
  CHECK(codec::decode(message).error().message == "service: id: an id is 16 bytes, this is 0");
  message.set_id(std::string(16, '\0'));
  CHECK(codec::decode(message).error().message == "service: id: the id is all zero");
}

TEST_CASE("an enum value nobody knows is an error that names the field") {
  proto::Node message;
  codec::encode(samples::node(), &message);
  message.mutable_status()->set_state(static_cast<proto::NodeState>(77));
  CHECK(codec::decode(message).error().message == "node: status: state: unknown value 77");
}

TEST_CASE("a map key that stands twice is an error that names the field") {
  proto::Network message;
  codec::encode(samples::network(), &message);
  *message.add_labels() = message.labels(0);
  CHECK(codec::decode(message).error().message == "network: labels: the key \"a\" stands twice");
}

TEST_CASE("truncated bytes are an error or a different value, never a crash") {
  const std::string bytes = to_bytes<proto::Task>(samples::task());
  int refused = 0;
  for (size_t length = 0; length < bytes.size(); ++length) {
    proto::Task parsed;
    const bool complete = parsed.ParseFromArray(bytes.data(), static_cast<int>(length));
    if (!complete) {
      ++refused;
      continue;
    }
    const Result<model::Task> task = codec::decode(parsed);  // cut between two fields
    if (task) CHECK_FALSE(*task == samples::task());
  }
  CHECK(refused > static_cast<int>(bytes.size() / 2));
}

}  // namespace skep
