// Writes as values: each comes over the wire as it went in, and the rules of who may be a manager.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/writes.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "core/store/store.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/transport/node_rpc.pb.h"

using namespace skep;
using namespace skep::manager;
using model::NodeId;
using model::NodeRole;
using raft::RaftId;

namespace {

// A cluster of managers 1, 2, 3 and a worker 4, and what its leader knows.
class Group {
 public:
  Group() {
    model::Cluster cluster;
    cluster.id = model::ClusterId{{1, 1}};
    cluster.last_raft_id = 3;
    put(cluster);
    for (uint64_t number = 1; number <= 4; ++number) {
      model::Node node;
      node.id = NodeId{{0, number}};
      if (number < 4) {
        node.role = node.spec.role = NodeRole::manager;
        node.manager = model::ManagerStatus{number, "10.0.0." + std::to_string(number) + ":2377",
                                            model::Reachability::reachable};
        facts.configuration.voters.push_back(RaftId{number});
        answering.insert(number);
      }
      put(node);
    }
    facts.reachable = [this](RaftId member) { return answering.contains(member.value); };
  }

  template <class T>
  void put(T row) {
    store::Draft draft(store);
    draft.put(std::move(row));
    commit(draft);
  }
  void commit(const store::Draft& draft) {
    store::Transaction transaction;
    transaction.changes = draft.changes();
    store.apply(++index, transaction);
  }

  Result<std::string> ask(const Write& write) {
    store::Draft draft(store);
    Result<std::string> made = perform(write, draft, facts, ids, {1});
    if (made) commit(draft);
    return made;
  }
  Result<std::string> set_role(uint64_t number, NodeRole role) {
    const auto row = node(number);
    model::NodeSpec spec = row->spec;
    spec.role = role;
    return ask(UpdateNode{row->id, row->meta.version, spec});
  }
  store::Row<model::Node> node(uint64_t number) { return store.node(NodeId{{0, number}}); }

  store::Store store;
  GroupFacts facts;
  std::set<uint64_t> answering;
  base::RandomIds ids;
  uint64_t index = 0;
};

std::string wire(const Write& write) {
  rpc::ForwardRequest request;
  encode(write, &request);
  return request.SerializeAsString();
}

}  // namespace

TEST_CASE("every write comes over the wire as it went in") {
  model::ServiceSpec service;
  service.name = "web";
  service.replicas = 7;
  model::ClusterSpec cluster;
  cluster.task_history_limit = 3;
  planner::TrustChange trust;
  trust.worker_token = "worker";
  trust.rotation = model::RootRotation{"root", "key", "cross", {"subject", "public"}, "w", "m"};
  trust.cross_signed_by = "old root";
  trust.unlock_key = "SWMKEY-1-k";
  cluster.auto_lock_managers = true;
  model::NodeSpec node;
  node.role = NodeRole::manager;
  node.availability = model::NodeAvailability::drain;
  const NodeId id{{5, 6}};
  const model::ServiceId service_id{{7, 8}};
  model::ConfigSpec config;
  config.name = "nginx.conf";
  config.data = std::string("\0worker", 7);
  config.labels = {{"a", "b"}};
  const model::ConfigId config_id{{9, 10}};
  const std::vector<Write> writes = {
      UpdateCluster{model::ClusterId{{1, 2}}, 40, cluster, trust},
      UpdateNode{id, 41, node},
      RemoveNode{id, true},
      CreateService{service},
      UpdateService{service_id, 42, service},
      RemoveService{service_id},
      CreateConfig{config},
      UpdateConfig{config_id, 43, config},
      RemoveConfig{config_id},
      AdmitNode{id, NodeRole::manager, model::NodeAvailability::pause, {99}, {"subject", "key"}},
      JoinGroup{id, "10.0.0.9:2377", RaftId{3}},
      LeaveGroup{id}};
  REQUIRE(writes.size() == std::variant_size_v<Write>);
  for (size_t i = 0; i < writes.size(); ++i) {
    CHECK(writes[i].index() == i);
    rpc::ForwardRequest request;
    REQUIRE(request.ParseFromString(wire(writes[i])));
    const Result<Write> read = decode(request);
    REQUIRE(read);
    CHECK(read->index() == i);
    CHECK(wire(*read) == wire(writes[i]));
  }
  rpc::ForwardRequest request;
  encode(writes[0], &request);
  const Result<Write> read = decode(request);
  REQUIRE(read);
  const UpdateCluster& update = std::get<UpdateCluster>(*read);
  CHECK(update.trust.worker_token == "worker");
  CHECK_FALSE(update.trust.manager_token);
  CHECK(update.trust.rotation == trust.rotation);
  CHECK(update.trust.cross_signed_by == "old root");
  CHECK(update.trust.unlock_key == "SWMKEY-1-k");
  CHECK(update.spec == cluster);
}

TEST_CASE("a write that this version does not know is refused, not taken for another one") {
  const Result<Write> read = decode(rpc::ForwardRequest());
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == ErrorKind::unimplemented);
}

TEST_CASE("a node that is to be a manager gets a raft id, the same however often it asks") {
  Group group;
  const NodeId four = group.node(4)->id;
  const auto refused = group.ask(JoinGroup{four, "10.0.0.4:2377", {}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::denied);
  REQUIRE(group.set_role(4, NodeRole::manager));
  CHECK(group.node(4)->role == NodeRole::manager);
  CHECK(group.ask(JoinGroup{four, "10.0.0.4:2377", {}}) == "4");
  CHECK(group.ask(JoinGroup{four, "10.0.0.4:2377", RaftId{4}}) == "4");
  CHECK(group.node(4)->manager->raft_id == 4);
  CHECK(group.node(4)->manager->address == "10.0.0.4:2377");
  // It lost its log before it was taken in: the old id, which may have promised something, is gone.
  CHECK(group.ask(JoinGroup{four, "10.0.0.4:2377", {}}) == "5");
  CHECK(group.store.cluster()->last_raft_id == 5);
}

// Guard: the question for a voter in JoinGroup.
TEST_CASE("a voter whose log is gone can't go on under its old name (trap 12)") {
  Group group;
  const auto joined = group.ask(JoinGroup{group.node(2)->id, "10.0.0.2:2377", {}});
  REQUIRE_FALSE(joined);
  CHECK(joined.error().kind == ErrorKind::precondition);
  CHECK_THAT(joined.error().message, Catch::Contains("Demote"));
}

TEST_CASE("a node that was removed is told so when it asks to be a manager") {
  Group group;
  const auto joined = group.ask(JoinGroup{NodeId{{9, 9}}, "10.0.0.9:2377", {}});
  REQUIRE_FALSE(joined);
  CHECK(joined.error().kind == ErrorKind::unauthenticated);
}

// Guard: may_lose.
TEST_CASE("nobody is demoted when those who are left and answer would be no quorum (trap 33)") {
  Group group;
  group.answering = {1, 2};
  const auto refused = group.set_role(2, NodeRole::worker);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::precondition);
  CHECK_THAT(refused.error().message, Catch::Contains("quorum"));
  // The one that is away may go: those who answer are all that is left.
  REQUIRE(group.set_role(3, NodeRole::worker));
  CHECK(group.node(3)->spec.role == NodeRole::worker);
  CHECK(group.node(3)->role == NodeRole::manager);  // until the group has let it go
  const auto leaves = group.ask(LeaveGroup{group.node(2)->id});
  REQUIRE_FALSE(leaves);
  CHECK_THAT(leaves.error().message, Catch::Contains("quorum"));
}

// Guard: may_be_worker in the planner.
TEST_CASE("the last manager is not demoted, though others are on their way out (trap 33)") {
  Group group;
  group.facts.configuration.voters = {RaftId{1}};
  for (const uint64_t number : {2, 3}) {
    model::Node node = *group.node(number);
    node.spec.role = NodeRole::worker;
    group.put(node);
  }
  for (const auto& refused :
       {group.set_role(1, NodeRole::worker), group.ask(LeaveGroup{group.node(1)->id})}) {
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "attempting to demote the last manager of the swarm");
  }
}

TEST_CASE("a manager is removed only after it was demoted") {
  Group group;
  const auto removed = group.ask(RemoveNode{group.node(2)->id, true});
  REQUIRE_FALSE(removed);
  CHECK_THAT(removed.error().message, Catch::Contains("must be demoted"));
}

TEST_CASE("a config is made once, keeps its data, and goes") {
  Group group;
  model::ConfigSpec spec;
  spec.name = "nginx.conf";
  spec.data = "worker_processes 1;";
  const Result<std::string> made = group.ask(CreateConfig{spec});
  REQUIRE(made);
  const auto id = model::ConfigId::parse(*made);
  REQUIRE(id);
  CHECK(group.store.config(*id)->spec == spec);
  CHECK(group.ask(CreateConfig{spec}).error().kind == ErrorKind::conflict);
  const uint64_t version = group.store.config(*id)->meta.version;
  model::ConfigSpec other = spec;
  other.data = "worker_processes 2;";
  CHECK(group.ask(UpdateConfig{*id, version, other}).error().kind == ErrorKind::invalid);
  other = spec;
  other.labels = {{"a", "b"}};
  CHECK(group.ask(UpdateConfig{*id, version, other}));
  CHECK(group.store.config(*id)->spec == other);
  CHECK(group.ask(RemoveConfig{*id}));
  CHECK_FALSE(group.store.config(*id));
  CHECK(group.ask(RemoveConfig{*id}).error().kind == ErrorKind::not_found);
}
