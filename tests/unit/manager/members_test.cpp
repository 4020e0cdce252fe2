// Raft's configuration and the rows of the nodes brought in line, by the traps that lie there.
// Above each test stands which guard, taken out, was seen to make it fail.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/members.hpp"

#include "core/store/state_codec.hpp"
#include "tests/unit/manager/managers.hpp"

using namespace skep;
using namespace skep::manager;
using model::NodeRole;
using raft::RaftId;

namespace {

// How long "nothing happens" is watched: several looks of the errand.
constexpr std::chrono::milliseconds kAWhile{1500};

Status want(Managers& managers, uint64_t number, NodeRole role) {
  return managers.submit(1, [number, role](store::Draft& draft) {
    model::Node node = *draft.node(Managers::node_id(number));
    node.spec.role = role;
    draft.put(std::move(node));
    return Status{};
  });
}

void take_in(Managers& managers, uint64_t number) {
  managers.put_manager(number);
  managers.run_until([&] { return managers.configuration(1).is_voter(RaftId{number}); });
  managers.run_until([&] { return !managers.configuration(1).is_joint(); });
}

}  // namespace

// Guard: the question whether it answers in take_in.
TEST_CASE("a node that does not answer at its address is not taken in (trap 33)") {
  Managers managers(2);
  managers.answering.erase(2);
  managers.put_manager(2);
  managers.run_until([&] { return managers.probed.contains(2); });
  CHECK_FALSE(managers.reaches([&] { return managers.configuration(1).contains({2}); }, kAWhile));
  CHECK(managers.put_service(1, "still-decides"));
  managers.answering.insert(2);
  managers.run_until([&] { return managers.configuration(1).is_voter({2}); });
}

// It answers when it is dialled, and yet takes nothing: its vote would cost the quorum. A young
// group with a short log once let it vote at once. Guards: that it comes in as a learner, in
// take_in; and what Raft::may_change_to asks of its match, which take_in asks first.
TEST_CASE("a node votes after it has caught up, and until then nobody waits for it (trap 33)") {
  Managers managers(2);
  managers.silent.insert(2);
  managers.put_manager(2);
  managers.run_until([&] { return managers.configuration(1).is_learner({2}); });
  CHECK_FALSE(managers.reaches([&] { return managers.configuration(1).is_voter({2}); }, kAWhile));
  CHECK(managers.put_service(1, "still-decides"));
  managers.silent.clear();
  managers.run_until([&] { return managers.configuration(1).is_voter({2}); });
  managers.run_until([&] { return managers.queue(2).store().service_by_name("still-decides"); });
}

// The change of role was committed and the change of the group was not: an earlier leader, or this
// one before a restart, got no further. Guard: take_out's change of the configuration.
TEST_CASE("who is to be a worker and still votes is taken out, then its row says so (trap 35)") {
  Managers managers(2);
  take_in(managers, 2);
  REQUIRE(want(managers, 2, NodeRole::worker));
  managers.run_until([&] { return !managers.configuration(1).contains({2}); });
  managers.run_until([&] { return !managers.node(2)->manager; });
  CHECK(managers.node(2)->role == NodeRole::worker);
  CHECK(managers.configuration(1).voters == std::vector<RaftId>{{1}});
}

// Guard: the first loop of step().
TEST_CASE("a member whose node is gone is taken out: it would count for ever (trap 35)") {
  Managers managers(2);
  take_in(managers, 2);
  REQUIRE(managers.submit(1, [](store::Draft& draft) {
    draft.erase(Managers::node_id(2));
    return Status{};
  }));
  managers.run_until([&] { return !managers.configuration(1).contains({2}); });
  CHECK(managers.put_service(1, "decides-alone"));
}

// The group was changed and the row was not written: raft is the truth. Guard: the first question
// of take_out.
TEST_CASE("a row that says manager of whoever is none, and is not to be, is corrected (trap 35)") {
  Managers managers(1);
  managers.put_manager(2, NodeRole::worker);
  managers.run_until([&] { return !managers.node(2)->manager; });
  CHECK(managers.node(2)->role == NodeRole::worker);
  CHECK_FALSE(managers.configuration(1).contains({2}));
}

// Three things stand in the way (the question for other voters in take_out, a hand-over that finds
// nobody, raft::check), so no single one, taken out, makes this fail.
TEST_CASE("the last voter stays, whatever its row says (trap 35)") {
  Managers managers(1);
  REQUIRE(want(managers, 1, NodeRole::worker));
  CHECK_FALSE(managers.reaches([&] { return !managers.queue(1).leading(); }, kAWhile));
  CHECK(managers.node(1)->manager);
  CHECK(managers.put_service(1, "decides"));
}

// Guard: the hand-over in take_out.
TEST_CASE("a leader that is to be a worker hands over, and the next one takes it out (trap 35)") {
  Managers managers(3);
  take_in(managers, 2);
  take_in(managers, 3);
  REQUIRE(want(managers, 1, NodeRole::worker));
  managers.run_until([&] {
    const uint64_t leader = managers.queue(2).leading() ? 2 : 3;
    return managers.queue(leader).leading() && !managers.configuration(leader).contains({1});
  });
  CHECK_FALSE(managers.queue(1).leading());
  CHECK(managers.configuration(2).voters == std::vector<RaftId>{{2}, {3}});
}

// Guard: note_reachability.
TEST_CASE("who answers is noted in the rows, and who does not") {
  Managers managers(2);
  take_in(managers, 2);
  const auto says = [&](model::Reachability what) {
    return managers.node(2)->manager && managers.node(2)->manager->reachability == what;
  };
  managers.run_until([&] { return says(model::Reachability::reachable); });
  managers.answering.erase(2);
  managers.run_until([&] { return says(model::Reachability::unreachable); });
}

// A hand-over that nobody takes up lasts an election timeout. What is asked meanwhile once was
// proposed, refused and proposed again without a pause, and its asker refused. Guard: held_back_.
TEST_CASE("what is asked while the lead is handed over waits, and costs nothing meanwhile") {
  Managers managers(2);
  take_in(managers, 2);
  managers.run_until([&] { return managers.queue(1).leading(); });
  // The other is heard, so that the leader stays, but the word to take over does not reach it.
  managers.lost = [](const raft::Message& message) {
    return std::holds_alternative<raft::TimeoutNow>(message.body);
  };
  managers.queue(1).member().transfer(RaftId{2});
  REQUIRE(managers.queue(1).member().raft().transferring());
  const auto answer = managers.begin(1, managers.service("patient"));
  size_t events = 0;
  managers.run_until([&] {
    ++events;
    return !managers.queue(1).member().raft().transferring();
  });
  CHECK(events < 1000);
  managers.run_until([&] { return answer->has_value(); });
  CHECK(**answer);
}

// Guard: sending_snapshot in maybe_snapshot; for the last part its bound.
TEST_CASE("no new snapshot is made while a follower is being sent the last one, up to a bound") {
  Managers managers(3, 20);
  take_in(managers, 2);
  const auto index = [&] { return managers.queue(1).member().raft().snapshot_index().value; };
  const auto applied = [&] { return managers.queue(1).store().applied_index(); };
  const auto write = [&] { REQUIRE(managers.put_service(1, "s" + std::to_string(applied()))); };
  managers.run_until([&] {
    write();
    return index() != 0;
  });
  // A third one comes in and gets no piece of the snapshot that it needs.
  managers.lost = [](const raft::Message& message) {
    return std::holds_alternative<raft::SnapshotChunk>(message.body);
  };
  managers.put_manager(3);
  managers.run_until([&] { return managers.queue(1).member().sending_snapshot(); });
  const uint64_t sent = index();
  while (applied() < sent + 70) write();
  CHECK(index() == sent);
  while (applied() < sent + 90) write();
  managers.run_until([&] { return index() > sent; });
  // Once it gets through, it has the same state, whichever snapshot that came from.
  managers.lost = nullptr;
  managers.run_until([&] { return managers.configuration(1).is_voter(RaftId{3}); });
  managers.run_until([&] { return managers.queue(3).store().applied_index() == applied(); });
  CHECK(store::encode(managers.queue(3).store().dump()) ==
        store::encode(managers.queue(1).store().dump()));
}

// Guard: maybe_lead asks whether a snapshot is still being read. What it would have decided there
// it would have decided from rows that are long gone.
TEST_CASE("who is elected while it reads a snapshot does not lead before it has the rows") {
  Managers managers(2, 20);
  managers.run_until([&] {
    REQUIRE(managers.put_service(1, "s" + std::to_string(managers.ids.next().low)));
    return managers.queue(1).member().raft().snapshot_index().value != 0;
  });
  managers.disk(2).withholds = true;
  take_in(managers, 2);
  Queue& second = managers.queue(2);
  CHECK(second.member().loading_snapshot());
  managers.queue(1).member().transfer({2});
  managers.run_until([&] { return second.member().raft().leader_is_ready(); });
  CHECK_FALSE(managers.reaches([&] { return second.leading(); }, kAWhile));
  {
    const std::lock_guard lock(managers.disk(2).mutex);
    managers.disk(2).withholds = false;
  }
  managers.run_until([&] { return second.leading(); });
  CHECK(second.store().node(Managers::node_id(2)) != nullptr);
}
