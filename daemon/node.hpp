// One machine's place in a cluster, or out of it: what `swarm init`, `join` and `leave` do.
//
// Holds what the other rooms are assembled around: the drivers and the agent, which live as long as
// the daemon; the session with the managers, which lives as long as the membership; and, on a
// manager, the Manager. Implements Control, the one door of the API.
//
// What is durable: pki/ (being a member at all), membership.json (addresses and known managers),
// raft.db (managers). They are written before the step they stand for is acknowledged and removed
// when the node leaves; a daemon that dies in the middle of an init or join comes back as if it had
// not been asked.
//
// Whether a node is a manager is the managers' to say: its row in their store is compared with what
// the node is, again and again, and it renews its certificate, starts or stops its Manager and asks
// to be of the group until the two agree (node_group.cpp). Nothing that runs takes notice. The same
// loop brings a manager back whose disk failed (node_recovery.cpp).
//
// A manager of a locked swarm that starts has neither its log nor its key: it waits, in `locked_`,
// for somebody to bring the unlock key, and goes on from there. Its agent and what runs take no
// notice (node_lock.cpp).
//
// All on the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "daemon/agent/agent.hpp"
#include "daemon/agent/blocking_work.hpp"
#include "daemon/agent/session.hpp"
#include "daemon/base/config.hpp"
#include "daemon/drivers/driver_set.hpp"
#include "daemon/manager/control.hpp"
#include "daemon/manager/manager.hpp"
#include "daemon/membership_file.hpp"
#include "daemon/transport/pki_store.hpp"

namespace skep {

namespace asio = boost::asio;

// Where a manager's own agent finds it, given where it listens.
std::string own_address(const std::string& listen_address);

class Node final : public manager::Control {
 public:
  Node(asio::io_context& loop, base::Config config);
  ~Node() override;

  // Loads the drivers, starts the agent, and takes up the membership that the disk holds. Errors:
  // what keeps the daemon from being of any use (a plugin refused, a damaged database).
  asio::awaitable<Status> start();
  // Ends everything but the containers. The managers are told that this node will be back.
  asio::awaitable<void> stop();

  // Requires: start() succeeded.
  agent::Containers& containers() { return agent_->containers(); }
  drivers::DriverSet& driver_set() { return *drivers_; }
  agent::Volumes& volumes() { return agent_->volumes(); }
  const std::string& hostname() const { return hostname_; }

  manager::Membership membership() const override;
  const store::View* store() const override;
  model::NodeId leader() const override;
  manager::TrustInfo trust() const override;
  asio::awaitable<Status> fresh() override;
  asio::awaitable<Result<model::NodeId>> init(manager::InitRequest request) override;
  asio::awaitable<Status> join(manager::JoinRequest request) override;
  asio::awaitable<Status> leave(bool force) override;
  asio::awaitable<Result<storage::NamelessFile>> save_snapshot(
      std::optional<std::string> passphrase) override;
  asio::awaitable<Result<model::NodeId>> restore_snapshot(manager::RestoreRequest request) override;
  asio::awaitable<Status> unlock(std::string key) override;
  asio::awaitable<Status> update_cluster(uint64_t version, model::ClusterSpec spec,
                                         manager::TokenRotation rotate) override;
  asio::awaitable<Status> update_node(model::NodeId id, uint64_t version,
                                      model::NodeSpec spec) override;
  asio::awaitable<Status> remove_node(model::NodeId id, bool force) override;
  asio::awaitable<Result<model::ServiceId>> create_service(model::ServiceSpec spec) override;
  asio::awaitable<Status> update_service(model::ServiceId id, uint64_t version,
                                         model::ServiceSpec spec) override;
  asio::awaitable<Status> remove_service(model::ServiceId id) override;
  uint64_t subscribe(std::function<void(const ClusterEvent&)> sink) override;
  void unsubscribe(uint64_t subscription) override;

 private:
  Status may_enter() const;
  static Result<MembershipFile> addresses_for(const std::string& listen_address,
                                              const std::string& advertise_address);
  Status need_manager() const;
  std::string path(std::string_view name) const;
  asio::awaitable<Status> start_drivers();
  Result<drivers::PluginConfig> fresh_config(const std::string& name) const;
  model::NodeDescription description() const;
  void describe_again();
  asio::awaitable<Status> start_agent();
  asio::awaitable<Status> take_up(transport::NodeCredentials credentials);
  asio::awaitable<Result<model::NodeId>> found(manager::InitRequest request,
                                               MembershipFile addresses);
  // node_anew.cpp: when the managers' quorum is lost, or all of it
  asio::awaitable<Result<model::NodeId>> force_new_cluster(manager::InitRequest request);
  Status force_group_of_one(const MembershipFile& addresses);
  Status start_manager_quietly(const transport::NodeCredentials& credentials);
  asio::awaitable<Result<model::NodeId>> restore(manager::RestoreRequest request,
                                                 MembershipFile addresses);
  void give_up_group(raft::Generation present);
  asio::awaitable<Status> own_session_stands(std::chrono::seconds limit);
  Status start_manager(const transport::NodeCredentials& credentials,
                       manager::Queue::Request founding);
  void start_session(transport::NodeCredentials credentials);
  asio::awaitable<Status> session_stands(std::chrono::seconds limit);
  void forget_membership();
  void close_cluster();
  agent::SessionEvents session_events();
  Status certificate_changed(const transport::NodeCredentials& fresh);
  asio::awaitable<void> keep_probing();
  void tell(const ClusterEvent& event);
  asio::awaitable<Result<std::string>> ask(manager::Write write);
  // node_group.cpp: a manager, or not any more
  asio::awaitable<void> keep_role();
  asio::awaitable<Status> follow_role();
  asio::awaitable<Status> enter_group();
  // What the group gives a new member.
  struct GroupPlace {
    raft::RaftId member;
    raft::Generation generation;
    std::optional<storage::UnlockKey> unlock_key;
  };
  asio::awaitable<Result<GroupPlace>> ask_to_join(raft::RaftId own);
  Status begin_log(const GroupPlace& place);
  asio::awaitable<Status> group_stands(std::chrono::seconds limit);
  asio::awaitable<void> leave_group();
  asio::awaitable<void> pause(std::chrono::milliseconds time);
  manager::ManagerOptions manager_options(const transport::NodeCredentials& credentials);
  Status choose_group_address();
  void close_manager();
  void forget_log();
  // node_recovery.cpp: the log can't be written, or not be read
  void log_failed(model::NodeId node, const Error& why);
  Status recover_log();
  std::string log_complaint() const;
  // node_lock.cpp: the swarm's lock
  using LockKey = std::optional<storage::UnlockKey>;  // none: nothing is sealed
  using Locked = std::variant<transport::NodeCredentials, transport::SealedCredentials>;
  asio::awaitable<Status> come_back();
  bool log_is_locked() const;
  Result<transport::NodeCredentials> open_with(const storage::UnlockKey& key) const;
  const transport::PeerIdentity& locked_identity() const;
  Status may_leave_locked(bool force) const;
  Status keep_credentials(const transport::NodeCredentials& credentials) const;
  asio::awaitable<void> keep_lock();
  asio::awaitable<Status> follow_lock();
  asio::awaitable<Status> change_lock(LockKey wanted);
  Result<LockKey> wanted_lock() const;
  bool lock_agrees() const;
  asio::awaitable<void> lock_stands();

  asio::io_context& loop_;
  base::Config config_;
  std::string hostname_;
  std::unique_ptr<drivers::DriverSet> drivers_;
  std::unique_ptr<agent::Agent> agent_;
  std::unique_ptr<manager::Manager> manager_;
  std::unique_ptr<agent::AgentSession> session_;
  std::optional<transport::NodeCredentials> credentials_;
  MembershipFile addresses_;
  std::optional<Locked> locked_;  // what a locked manager knows of itself
  // What node.pem opens with, the key of the raft log among them: one but while it changes.
  std::vector<LockKey> lock_keys_ = {std::nullopt};
  bool lock_followed_ = false;      // since the manager started
  uint64_t managers_begun_ = 0;     // tells one manager_ from the next
  std::optional<model::Node> row_;  // of this node, as its managers last told it
  std::string trouble_;             // why the membership is in error
  // Why there is no Manager though this node is one; see node_recovery.cpp.
  struct LogTrouble {
    model::NodeId node;  // this one
    Error why;
    bool damaged = false;                   // not to be read again
    std::chrono::nanoseconds next_look{0};  // mono_now()
  };
  std::optional<LogTrouble> log_trouble_;
  std::chrono::milliseconds log_pause_{0};    // before the log was last read again
  std::chrono::nanoseconds log_taken_up_{0};  // mono_now() of then
  bool entering_ = false;
  bool unlocking_ = false;
  bool leaving_ = false;        // tasks of the last membership are still being removed
  bool was_connected_ = false;  // a session has stood since the membership was taken up
  asio::steady_timer connected_bell_;
  asio::steady_timer probe_timer_;
  asio::steady_timer role_bell_;  // cancelled when follow_role() should look again
  asio::steady_timer lock_bell_;  // cancelled when follow_lock() should
  bool stopping_ = false;
  bool outlived_ = false;  // the group was begun anew without this manager, which is stopped
  bool quiet_ = false;     // a log is read again: what it says was told before
  agent::BlockingWork recovery_work_;  // saving and restoring snapshots
  std::map<uint64_t, std::function<void(const ClusterEvent&)>> sinks_;
  uint64_t last_sink_ = 0;
};

}  // namespace skep
