// Becoming a manager and ceasing to be one.
//
// follow_role() compares what the managers say of this node (its row) with what it is, and does the
// next thing that brings the two together; keep_role() calls it until they agree. Promoted: the
// session brings a certificate of a manager, then come a raft id from the leader, an empty log, the
// Manager, and patience until the group has taken it in. Demoted, in the other order: the group has
// let it go already when the row says so, then comes the certificate, then the Manager stops and
// its log goes.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>

#include "daemon/advertise.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/node.hpp"
#include "daemon/transport/address.hpp"
#include "daemon/transport/node_rpc.pb.h"
#include "daemon/transport/rpc_client.hpp"

namespace skep {
namespace {

namespace fs = std::filesystem;
using model::NodeRole;
using std::chrono::milliseconds;

constexpr milliseconds kRolePause{500};
constexpr milliseconds kLook{100};
constexpr milliseconds kJoinDeadline{10'000};
constexpr milliseconds kConnectTimeout{2'000};
constexpr std::chrono::seconds kLeaveGroupWait{15};

}  // namespace

asio::awaitable<void> Node::pause(milliseconds time) {
  asio::steady_timer timer(loop_, time);
  boost::system::error_code woken;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

asio::awaitable<void> Node::keep_role() {
  std::string complaint;
  while (!stopping_) {
    const Status done = co_await follow_role();
    if (stopping_) co_return;
    if (!done && !log_trouble_ && done.error().message != complaint) {
      base::log_info("node", "the role of this node: " + done.error().message);
    }
    complaint = done ? "" : done.error().message;
    if (done) {
      role_bell_.expires_at(asio::steady_timer::time_point::max());
    } else {
      role_bell_.expires_after(kRolePause);
    }
    boost::system::error_code rung;
    co_await role_bell_.async_wait(asio::redirect_error(asio::use_awaitable, rung));
  }
}

asio::awaitable<Status> Node::follow_role() {
  if (!credentials_ || entering_ || leaving_) co_return Status{};
  // The certificate follows the row by itself (agent/session.hpp); everything else follows it.
  if (credentials_->identity.role == NodeRole::worker) {
    if (manager_ || log_trouble_ || outlived_) {
      base::log_info("node", "this node is a worker now");
      close_manager();
      forget_log();
      if (std::exchange(outlived_, false)) trouble_.clear();
      lock_keys_ = {std::nullopt};  // workers are never locked
    }
    co_return Status{};
  }
  if (outlived_) co_return Status{};
  if (manager_ && !log_trouble_ && manager_->votes()) {
    if (!trouble_.empty() && was_connected_) trouble_.clear();
    co_return Status{};
  }
  if (row_ && row_->spec.role == NodeRole::worker) co_return Status{};  // on its way out
  if (log_trouble_) co_return recover_log();
  co_return co_await enter_group();
}

// The managers dial this node at the address they see it come from, unless it was told another one.
Status Node::choose_group_address() {
  const std::string listen =
      addresses_.listen_address.empty() ? "0.0.0.0" : addresses_.listen_address;
  SKEP_TRY_ASSIGN(const transport::HostPort listen_at, transport::parse_host_port(listen));
  std::string host = addresses_.advertise_address;
  if (host.empty() && row_) host = row_->status.address;
  if (host.empty()) {
    SKEP_TRY_ASSIGN(host, choose_advertise_address(""));
  }
  SKEP_TRY_ASSIGN(const transport::HostPort place,
                  transport::parse_host_port(host, listen_at.port));
  MembershipFile updated = addresses_;
  updated.listen_address = listen_at.str();
  updated.advertise_address = place.str();
  if (updated.listen_address == addresses_.listen_address &&
      updated.advertise_address == addresses_.advertise_address) {
    return {};
  }
  SKEP_TRY(save_membership(path("membership.json"), updated));
  addresses_ = std::move(updated);
  return {};
}

asio::awaitable<Status> Node::enter_group() {
  SKEP_CO_TRY(choose_group_address());
  if (!manager_ && fs::exists(path("raft.db"))) SKEP_CO_TRY(start_manager(*credentials_, nullptr));
  const raft::RaftId own = manager_ ? manager_->member() : raft::RaftId{};
  const uint64_t begun = managers_begun_;
  const bool had_manager = manager_ != nullptr;
  const Result<GroupPlace> given = co_await ask_to_join(own);
  if (!credentials_ || leaving_ || stopping_ || outlived_) co_return Status{};
  if (manager_ && manager_->votes()) co_return Status{};  // forced meanwhile: the answer is void
  if (managers_begun_ != begun || had_manager != (manager_ != nullptr)) {
    co_return fail(ErrorKind::unavailable, "this manager was begun anew meanwhile");
  }
  if (!given) {
    if (given.error().kind == ErrorKind::precondition) trouble_ = given.error().message;
    co_return fail(given.error());
  }
  if (given->member != own) SKEP_CO_TRY(begin_log(*given));
  if (manager_->votes()) co_return Status{};
  co_return fail(ErrorKind::unavailable, "waiting to be taken into the group of managers");
}

// In a locked swarm the new log is sealed before anything is in it.
Status Node::begin_log(const GroupPlace& place) {
  if (lock_keys_.back() != place.unlock_key) lock_keys_.push_back(place.unlock_key);
  SKEP_TRY(keep_credentials(*credentials_));
  close_manager();
  forget_log();
  const Status made =
      manager::Manager::prepare(manager_options(*credentials_), place.member, place.generation);
  if (!made) {
    forget_log();  // what is half there would be taken for one that lost its content
    return made;
  }
  lock_keys_ = {place.unlock_key};
  SKEP_TRY(keep_credentials(*credentials_));
  SKEP_TRY(start_manager(*credentials_, nullptr));
  base::log_info("node",
                 "joining the managers as raft member " + std::to_string(place.member.value));
  return {};
}

// Any other manager will do: it has the leader decide.
asio::awaitable<Result<Node::GroupPlace>> Node::ask_to_join(raft::RaftId own) {
  rpc::JoinRaftRequest request;
  request.set_address(addresses_.advertise_address);
  request.set_raft_id(own.value);
  Error last{ErrorKind::unavailable, "no other manager of the swarm is known"};
  const std::vector<agent::ManagerAddress> managers = addresses_.managers;
  for (const agent::ManagerAddress& known : managers) {
    if (!credentials_ || known.node == credentials_->identity.node) continue;
    transport::ClientOptions options;
    options.root_pem = credentials_->root_pem;
    options.credentials = *credentials_;
    options.cluster = credentials_->identity.cluster;
    options.connect_timeout = kConnectTimeout;
    Result<std::unique_ptr<transport::RpcClient>> client = co_await transport::RpcClient::connect(
        loop_.get_executor(), known.address, std::move(options));
    if (!client) {
      last = client.error();
      continue;
    }
    std::string payload = request.SerializeAsString();
    const Result<std::string> answer =
        co_await (*client)->call(transport::Method::join_raft, std::move(payload), kJoinDeadline);
    if (!answer) {
      last = answer.error();
      if (last.kind == ErrorKind::precondition || last.kind == ErrorKind::denied) break;
      continue;
    }
    rpc::JoinRaftReply reply;
    if (!reply.ParseFromString(*answer) || reply.raft_id() == 0) {
      co_return fail(ErrorKind::internal, "a manager's answer can't be read");
    }
    GroupPlace place;
    place.member = {reply.raft_id()};
    place.generation = {reply.generation()};
    if (!reply.unlock_key().empty()) {
      SKEP_CO_TRY_ASSIGN(place.unlock_key, storage::UnlockKey::parse(reply.unlock_key()));
    }
    co_return place;
  }
  co_return fail(last);
}

asio::awaitable<Status> Node::group_stands(std::chrono::seconds limit) {
  const auto end = base::mono_now() + limit;
  while (base::mono_now() < end && credentials_ && !leaving_) {
    if (manager_ && manager_->votes()) co_return Status{};
    if (!trouble_.empty()) co_return fail(ErrorKind::denied, trouble_);
    co_await pause(kLook);
  }
  co_return fail(ErrorKind::deadline,
                 "Timeout was reached before node joined. The attempt to join the swarm will "
                 "continue in the background. Use the \"docker info\" command to see the current "
                 "swarm status of your node.");
}

// Best effort: whoever leaves with force does not stay because the others can't be asked.
asio::awaitable<void> Node::leave_group() {
  const auto end = base::mono_now() + kLeaveGroupWait;
  const model::NodeId self = credentials_->identity.node;
  manager_->hand_over();
  while (manager_ && manager_->leader() == self && base::mono_now() < end) co_await pause(kLook);
  if (!manager_) co_return;
  const Result<std::string> asked = co_await manager_->write(manager::LeaveGroup{self});
  if (!asked) {
    base::log_warning("node", "leaving the group of managers: " + asked.error().message);
    co_return;
  }
  while (manager_ && manager_->in_group() && base::mono_now() < end) co_await pause(kLook);
  // The session may be on its way to the new leader.
  while (session_ && !session_->connected() && base::mono_now() < end) co_await pause(kLook);
}

void Node::close_manager() {
  manager_.reset();
}

void Node::forget_log() {
  log_trouble_.reset();
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(config_.data_dir, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("raft.") && name != "snapshots") continue;
    std::error_code failed;
    fs::remove_all(entry.path(), failed);
    if (failed) base::log_error("node", entry.path().string() + ": " + failed.message());
  }
  if (error) base::log_error("node", config_.data_dir + ": " + error.message());
}

manager::ManagerOptions Node::manager_options(const transport::NodeCredentials& credentials) {
  manager::ManagerOptions options;
  options.log_path = path("raft.db");
  options.credentials = credentials;
  options.listen_address = addresses_.listen_address;
  options.advertise_address = addresses_.advertise_address;
  options.own_address = own_address(addresses_.listen_address);
  options.outlived = [this](raft::Generation present) { give_up_group(present); };
  options.unlock_keys = lock_keys_;
  options.lock_changed = [this] { lock_bell_.cancel(); };
  return options;
}

}  // namespace skep
