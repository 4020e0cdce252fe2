// Model values to protobuf messages and back: the one place where the two forms meet.
//
// `encode` cannot fail and clears what the message held. `decode` trusts nothing: a wrong id
// length, an unknown enum value or a repeated map key is ErrorKind::invalid with the path of the
// field ("task: node: an id is 16 bytes, this is 3"), never a crash. Unknown fields are ignored, so
// that a newer writer can be read; an absent sub-message reads as its zero values, not as the
// defaults of the C++ struct. Bytes to message is protobuf's ParseFromArray, done by the caller.
// Any thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::proto {
class Cluster;
class Config;
class ConfigSpec;
class Network;
class Node;
class NodeDescription;
class NodeStatus;
class NodeTrust;
class Service;
class ServiceSpec;
class Task;
class TaskSpec;
class TaskStatus;
}  // namespace skep::proto

namespace skep::codec {

void encode(const model::Cluster& from, proto::Cluster* to);
void encode(const model::Node& from, proto::Node* to);
void encode(const model::NodeDescription& from, proto::NodeDescription* to);
void encode(const model::NodeStatus& from, proto::NodeStatus* to);
void encode(const model::NodeTrust& from, proto::NodeTrust* to);
void encode(const model::Service& from, proto::Service* to);
void encode(const model::ServiceSpec& from, proto::ServiceSpec* to);
void encode(const model::TaskSpec& from, proto::TaskSpec* to);
void encode(const model::Task& from, proto::Task* to);
void encode(const model::TaskStatus& from, proto::TaskStatus* to);
void encode(const model::Network& from, proto::Network* to);
void encode(const model::Config& from, proto::Config* to);
void encode(const model::ConfigSpec& from, proto::ConfigSpec* to);

Result<model::Cluster> decode(const proto::Cluster& from);
Result<model::Node> decode(const proto::Node& from);
Result<model::NodeDescription> decode(const proto::NodeDescription& from);
Result<model::NodeStatus> decode(const proto::NodeStatus& from);
model::NodeTrust decode(const proto::NodeTrust& from);  // nothing in it can be wrong
Result<model::Service> decode(const proto::Service& from);
Result<model::ServiceSpec> decode(const proto::ServiceSpec& from);
Result<model::TaskSpec> decode(const proto::TaskSpec& from);
Result<model::Task> decode(const proto::Task& from);
Result<model::TaskStatus> decode(const proto::TaskStatus& from);
Result<model::Network> decode(const proto::Network& from);
Result<model::Config> decode(const proto::Config& from);
Result<model::ConfigSpec> decode(const proto::ConfigSpec& from);

}  // namespace skep::codec
