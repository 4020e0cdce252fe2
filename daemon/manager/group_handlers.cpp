// What managers ask of each other: the group's messages, writes for the leader, becoming one of
// them.
// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "core/raft/codec/message_codec.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/manager/manager.hpp"
#include "daemon/transport/node_rpc.pb.h"

namespace skep::manager {
namespace {

using identity::Method;
using std::chrono::milliseconds;

// How long a caller waits for a leader who does what he asked, elections included.
constexpr milliseconds kWriteLimit{20'000};
constexpr milliseconds kForwardDeadline{10'000};
// How long anybody waits while nobody is known to lead.
constexpr milliseconds kLeaderLimit{5'000};
constexpr milliseconds kRetryPause{100};

Error no_leader() {
  return {ErrorKind::unavailable,
          "The swarm does not have a leader. It's possible that too few managers are online. Make "
          "sure more than half of the managers are online."};
}

Result<raft::RaftId> parse_member(const std::string& text) {
  raft::RaftId member;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), member.value);
  if (read.ec != std::errc() || !member) {
    return fail(ErrorKind::internal, "the leader's answer is no raft id");
  }
  return member;
}

struct Asked {
  model::RequestId id;
  Write write;
};

Result<Asked> read_write(const std::string& payload) {
  rpc::ForwardRequest request;
  if (!request.ParseFromString(payload)) {
    return fail(ErrorKind::invalid, "the request can't be decoded");
  }
  SKEP_TRY_ASSIGN(const auto id,
                  codec::decode_id<model::RequestId>(request.request_id(), "request"));
  if (id.none()) return fail(ErrorKind::invalid, "a write needs an id, which makes repeating safe");
  SKEP_TRY_ASSIGN(Write write, decode(request));
  return Asked{id, std::move(write)};
}

std::string reply_with(std::string result) {
  rpc::ForwardReply reply;
  reply.set_result(std::move(result));
  return reply.SerializeAsString();
}

}  // namespace

void Manager::register_group_handlers() {
  using transport::Caller;
  using Reply = asio::awaitable<Result<std::string>>;
  const auto messages = [this, alive = std::weak_ptr(alive_)](
                            const Caller& caller,
                            const std::string& payload) -> Result<std::string> {
    if (alive.expired()) return fail(ErrorKind::cancelled, "this manager is stopping");
    return take_messages(caller, payload);
  };
  server_->handle_promptly(Method::raft, messages);
  server_->handle_promptly(Method::snapshot, messages);
  const auto handle = [this](Method method, std::function<Reply(Caller, std::string)> body) {
    server_->handle(
        method, [alive = std::weak_ptr(alive_), body](Caller caller, std::string payload) -> Reply {
          if (alive.expired()) co_return fail(ErrorKind::cancelled, "this manager is stopping");
          co_return co_await body(std::move(caller), std::move(payload));
        });
  };
  handle(Method::forward,
         [this](Caller, std::string payload) { return forwarded(std::move(payload)); });
  handle(Method::write, [this](Caller, std::string payload) { return asked_to_write(payload); });
  handle(Method::get_config, [this](Caller, std::string payload) { return get_config(payload); });
  handle(Method::join_raft, [this](Caller caller, std::string payload) {
    return join_raft(std::move(caller), std::move(payload));
  });
}

// RaftRequest and SnapshotRequest are the same on the wire. A message is believed to be of the
// member it names if the rows don't say that this member is another node.
Result<std::string> Manager::take_messages(const transport::Caller& caller,
                                           const std::string& payload) {
  rpc::RaftRequest request;
  if (!request.ParseFromString(payload)) {
    return fail(ErrorKind::invalid, "the request can't be decoded");
  }
  const std::weak_ptr<int> alive = alive_;
  for (const std::string& bytes : request.messages()) {
    SKEP_TRY_ASSIGN(raft::Message message, raft::decode_message(bytes));
    const auto known = member_nodes_.find(message.from);
    if (known != member_nodes_.end() && known->second != caller.identity->node) {
      return fail(ErrorKind::denied,
                  "raft member " + std::to_string(message.from.value) + " is another node");
    }
    peers_->learn(message.from, request.address());
    queue_->member().receive(std::move(message));
    if (alive.expired()) return fail(ErrorKind::cancelled, "this manager is stopping");
  }
  rpc::RaftReply reply;
  reply.set_generation(generation().value);
  return reply.SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::forwarded(std::string payload) {
  SKEP_CO_TRY_ASSIGN(Asked asked, read_write(payload));
  // Elected, but not sure yet of what was committed before: that is a matter of one flush, and
  // sending the asker away would cost him more.
  const auto end = base::mono_now() + kLeaderLimit;
  const std::weak_ptr<int> alive = alive_;
  const std::shared_ptr<Bell> changed = lead_changed_;
  while (queue_->member().raft().is_leader() && !queue_->leading() && base::mono_now() < end) {
    co_await changed->wait(changed->strokes(), kRetryPause);
    if (alive.expired()) co_return fail(ErrorKind::cancelled, "this manager is stopping");
  }
  SKEP_CO_TRY_ASSIGN(std::string result, co_await perform_here(std::move(asked.write), asked.id));
  co_return reply_with(std::move(result));
}

asio::awaitable<Result<std::string>> Manager::asked_to_write(std::string payload) {
  SKEP_CO_TRY_ASSIGN(Asked asked, read_write(payload));
  SKEP_CO_TRY_ASSIGN(std::string result, co_await write(std::move(asked.write), asked.id));
  co_return reply_with(std::move(result));
}

asio::awaitable<Result<std::string>> Manager::get_config(std::string payload) {
  rpc::GetConfigRequest request;
  if (!request.ParseFromString(payload)) {
    co_return fail(ErrorKind::invalid, "the request can't be decoded");
  }
  SKEP_CO_TRY_ASSIGN(const auto id,
                     codec::decode_id<model::ConfigId>(request.config(), "request: config"));
  const std::weak_ptr<int> alive = alive_;
  SKEP_CO_TRY(co_await fresh());
  if (alive.expired()) co_return fail(ErrorKind::cancelled, "this manager is stopping");
  const store::Row<model::Config> config = queue_->store().config(id);
  if (!config) co_return fail(ErrorKind::not_found, "config " + id.str() + " not found");
  rpc::GetConfigReply reply;
  codec::encode(*config, reply.mutable_config());
  co_return reply.SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::join_raft(transport::Caller caller,
                                                        std::string payload) {
  rpc::JoinRaftRequest request;
  if (!request.ParseFromString(payload)) {
    co_return fail(ErrorKind::invalid, "the request can't be decoded");
  }
  JoinGroup join{caller.identity->node, request.address(), {request.raft_id()}};
  const std::weak_ptr<int> alive = alive_;
  SKEP_CO_TRY_ASSIGN(const std::string made, co_await write(std::move(join)));
  if (alive.expired()) co_return fail(ErrorKind::cancelled, "this manager is stopping");
  SKEP_CO_TRY_ASSIGN(const raft::RaftId member, parse_member(made));
  SKEP_CO_TRY(co_await fresh());  // the swarm may have been locked a moment ago
  if (alive.expired()) co_return fail(ErrorKind::cancelled, "this manager is stopping");
  rpc::JoinRaftReply reply;
  reply.set_raft_id(member.value);
  reply.set_generation(generation().value);
  if (const auto cluster = queue_->store().cluster()) reply.set_unlock_key(cluster->unlock_key);
  co_return reply.SerializeAsString();
}

asio::awaitable<Result<std::string>> Manager::perform_here(Write write, model::RequestId id) {
  // What was done already is told so, however little could be done now.
  if (const auto before = queue_->store().answered(id)) co_return before->outcome;
  // What nodes report goes on: a cluster that no longer knows what runs would be worse off.
  if (const auto& full = queue_->member().read_only()) co_return fail(*full);
  Queue::Asked request = [this, write = std::move(write)](store::Draft& draft) {
    GroupFacts facts;
    facts.configuration = queue_->member().raft().configuration();
    facts.reachable = [this](raft::RaftId member) {
      return member == queue_->member().raft().self() || peers_->reachable(member);
    };
    return perform(write, draft, facts, ids_, queue_->now());
  };
  co_return co_await queue_->submit_once(id, std::move(request));
}

asio::awaitable<Result<std::string>> Manager::perform_there(const std::string& address,
                                                            const Write& write,
                                                            model::RequestId id) {
  rpc::ForwardRequest request;
  request.set_request_id(codec::encode_id(id));
  encode(write, &request);
  std::string payload = request.SerializeAsString();
  const auto forwarder = forwarder_;
  SKEP_CO_TRY_ASSIGN(
      const std::string answer,
      co_await forwarder->call(address, Method::forward, std::move(payload), kForwardDeadline));
  rpc::ForwardReply reply;
  if (!reply.ParseFromString(answer)) {
    co_return fail(ErrorKind::internal, "the leader's answer can't be read");
  }
  co_return reply.result();
}

asio::awaitable<Result<std::string>> Manager::write(Write write) {
  return this->write(std::move(write), model::RequestId{ids_.next()});
}

asio::awaitable<Result<std::string>> Manager::write(Write write, model::RequestId id) {
  const auto end = base::mono_now() + kWriteLimit;
  const std::weak_ptr<int> alive = alive_;
  const std::shared_ptr<Bell> changed = lead_changed_;
  Error last = no_leader();
  auto led = base::mono_now();
  while (!alive.expired()) {
    const uint64_t seen = changed->strokes();
    Result<std::string> outcome = fail(no_leader());
    const std::string address = leader_address();
    if (queue_->leading()) {
      outcome = co_await perform_here(write, id);
    } else if (!address.empty()) {
      outcome = co_await perform_there(address, write, id);
    }
    if (outcome) co_return outcome;
    if (alive.expired() && outcome.error().kind == ErrorKind::unknown_outcome) co_return outcome;
    if (alive.expired()) break;
    // An election takes a second or two; who has seen none for longer is cut off with this manager.
    if (queue_->leading() || !address.empty()) led = base::mono_now();
    const ErrorKind kind = outcome.error().kind;
    // These alone may be another leader's to decide; the request id makes repeating safe.
    if (kind != ErrorKind::unavailable && kind != ErrorKind::unknown_outcome) {
      // A refusal that judged nothing does not take back that it may have been done.
      const bool unjudged = kind == ErrorKind::exhausted || kind == ErrorKind::internal;
      if (unjudged && last.kind == ErrorKind::unknown_outcome) co_return fail(last);
      co_return outcome;
    }
    if (last.kind != ErrorKind::unknown_outcome) last = outcome.error();
    if (base::mono_now() >= end || base::mono_now() - led >= kLeaderLimit) co_return fail(last);
    co_await changed->wait(seen, kRetryPause);
  }
  // Whoever was told so by a leader whose disk failed must not hear that nothing happened.
  if (last.kind == ErrorKind::unknown_outcome) co_return fail(last);
  co_return fail(ErrorKind::cancelled, "this manager is stopping");
}

asio::awaitable<Status> Manager::fresh() {
  const auto end = base::mono_now() + kLeaderLimit;
  const std::weak_ptr<int> alive = alive_;
  const std::shared_ptr<Bell> changed = lead_changed_;
  while (!alive.expired()) {
    const uint64_t seen = changed->strokes();
    const Status read = co_await queue_->member().read();
    if (read || read.error().kind == ErrorKind::cancelled) co_return read;
    if (base::mono_now() >= end) break;
    co_await changed->wait(seen, kRetryPause);
  }
  co_return fail(no_leader());
}

}  // namespace skep::manager
