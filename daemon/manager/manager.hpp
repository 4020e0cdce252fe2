// One manager: the queue behind it, the port in front of it.
//
// Every manager applies what the group commits, answers reads from it once they are fresh, signs
// certificates, and passes writes on to the leader. The leader alone holds the nodes' sessions and
// leases and decides who is of the group (Members); any other manager sends a node there.
//
// Serves the node RPC (joining, sessions, assignments, status), keeps the leases, signs
// certificates with the cluster's root, and tells whoever subscribed what was committed. It decides
// nothing about tasks: handlers turn calls into requests for the queue, and what follows is the
// planner's.
//
// All on the daemon's loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/dispatcher/leases.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/manager/assignments.hpp"
#include "daemon/manager/bell.hpp"
#include "daemon/manager/control.hpp"
#include "daemon/manager/forwarder.hpp"
#include "daemon/manager/members.hpp"
#include "daemon/manager/peers.hpp"
#include "daemon/manager/queue.hpp"
#include "daemon/manager/writes.hpp"
#include "daemon/transport/rpc_server.hpp"

namespace skep::rpc {
class SessionItem;
}  // namespace skep::rpc

namespace skep::manager {

struct ManagerOptions {
  std::string log_path;  // raft.db
  transport::NodeCredentials credentials;
  std::string listen_address;     // host:port
  std::string advertise_address;  // host:port, as other nodes reach it
  std::string own_address;        // host:port, as this node's own agent reaches it
  // Whichever fits opens a locked log; the last one seals a new one. None there: it is not sealed.
  std::vector<std::optional<storage::UnlockKey>> unlock_keys = {std::nullopt};
  // Called on the loop when the cluster's unlock key may be another one; must not end the Manager.
  std::function<void()> lock_changed;
  // The log can't be written any more: this manager has stepped down and acknowledges nothing. Is
  // to be closed, and its log to be read again. Told once, in a turn of the loop of its own.
  std::function<void(const Error&)> log_failed;
  // The group was begun anew without this manager: it is of no use any more. At most once; called
  // from the loop, and may destroy the manager.
  std::function<void(raft::Generation)> outlived;
};

// A log that was read from the disk and found whole.
struct OpenLog {
  std::unique_ptr<storage::LogStore> store;
  storage::Loaded loaded;
};

// Tries each key on a log that is locked; one that is not is left as it is. Errors: denied, if
// there were keys and none of them fits. Without a key a locked log stays locked.
Status open_lock(storage::LogStore& log,
                 const std::vector<std::optional<storage::UnlockKey>>& keys);

class Manager {
 public:
  using EventSink = std::function<void(const Control::ClusterEvent&)>;

  // Makes the log of a new cluster. Nothing may be there yet.
  static Status found(const ManagerOptions& options);
  // Makes the empty log of a node that is taken into the group under this raft id.
  static Status prepare(const ManagerOptions& options, raft::RaftId member,
                        raft::Generation generation);

  // Reads the log and checks all of it. Errors: internal (damaged, or none there: no second try
  // mends it), unimplemented (of another format), unavailable or exhausted (the disk), conflict (it
  // is in use).
  static Result<OpenLog> open_log(const ManagerOptions& options);
  // Takes the log up, listens. `founding` is the first transaction of a new cluster, proposed as
  // soon as this manager leads and the log is empty. Errors: internal (the log: as above),
  // precondition or invalid (the port).
  static Result<std::unique_ptr<Manager>> start(asio::io_context& loop, ManagerOptions options,
                                                OpenLog log, Queue::Request founding,
                                                EventSink events);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  Queue& queue() { return *queue_; }
  model::IdSource& ids() { return ids_; }
  // Resolves when this manager leads and the cluster object exists, or with why not.
  asio::awaitable<Status> ready();

  // Does it here or has it done by the leader, and keeps at it through elections. The text is what
  // perform() says. Errors: the write's own; unavailable: there was no leader in time;
  // unknown_outcome: it may have been done.
  asio::awaitable<Result<std::string>> write(Write write);
  // The same under an id of the asker's making: asked again, it does nothing twice.
  asio::awaitable<Result<std::string>> write(Write write, model::RequestId id);
  // Resolves when the store is as fresh as the moment of asking. Errors: unavailable.
  asio::awaitable<Status> fresh();
  // The leader's node; none: nobody is known.
  model::NodeId leader() const;
  // This manager's raft id, and whether its vote counts.
  raft::RaftId member() const { return queue_->member().raft().self(); }
  bool votes() const;
  // True while the group has this manager in it, as a learner if need be.
  bool in_group() const { return queue_->member().raft().configuration().contains(member()); }
  // True while this is the group's only voter: nobody else need be asked for anything.
  bool alone() const;
  // What is the matter with the disk of the log while it does not fail: it is nearly full, or has
  // not answered for some time. Empty: nothing.
  std::string disk_complaint() const { return queue_->member().disk_complaint(); }
  raft::Generation generation() const { return queue_->member().identity().generation; }
  // Asks whoever is best fit to lead; nothing if this manager does not.
  void hand_over() { queue_->member().transfer(raft::RaftId{}); }
  // For connections from now on, at the port and in the answers; those that stand go on.
  Status set_credentials(transport::NodeCredentials credentials);
  // What the next start needs, durable when it resolves. Nothing happens if that is so already.
  asio::awaitable<Status> set_unlock_key(std::optional<storage::UnlockKey> key);
  // True when the node's session stands.
  bool has_session(model::NodeId node) const { return sessions_.count(node) != 0; }
  // Stops listening, ends all sessions, answers all waiting.
  void stop();

 private:
  struct Session;

  Manager(asio::io_context& loop, ManagerOptions options, EventSink events);

  void register_handlers();
  void register_streams();
  void register_group_handlers();
  Result<std::string> take_messages(const transport::Caller& caller, const std::string& payload);
  asio::awaitable<Result<std::string>> forwarded(std::string payload);
  asio::awaitable<Result<std::string>> asked_to_write(std::string payload);
  asio::awaitable<Result<std::string>> get_config(std::string payload);
  asio::awaitable<Result<std::string>> join_raft(transport::Caller caller, std::string payload);
  asio::awaitable<Result<std::string>> perform_here(Write write, model::RequestId id);
  asio::awaitable<Result<std::string>> perform_there(const std::string& address, const Write& write,
                                                     model::RequestId id);
  void note_leader();
  asio::awaitable<Result<std::string>> get_root();
  asio::awaitable<Result<std::string>> issue_certificate(std::string payload);
  asio::awaitable<Result<std::string>> certificate_status(std::string payload);
  asio::awaitable<Result<std::string>> renew_certificate(transport::Caller caller,
                                                         std::string payload);
  asio::awaitable<Status> session(transport::Caller caller, std::string payload,
                                  transport::ItemSink& sink);
  asio::awaitable<Status> assignments(transport::Caller caller, std::string payload,
                                      transport::ItemSink& sink);
  asio::awaitable<Result<std::string>> heartbeat(transport::Caller caller, std::string payload);
  asio::awaitable<Result<std::string>> status(transport::Caller caller, std::string payload);
  asio::awaitable<Result<std::string>> away(transport::Caller caller, std::string payload);
  asio::awaitable<Result<std::string>> leave(transport::Caller caller);
  asio::awaitable<Result<std::string>> managers();

  Result<std::string> sign(std::string_view csr, model::NodeId node, model::NodeRole role);
  Result<std::shared_ptr<Session>> session_of(const transport::Caller& caller,
                                              const std::string& session);
  std::string session_item(Session& session, bool first) const;
  void tell_trust(Session& session, rpc::SessionItem* item) const;
  std::string elsewhere_item(model::NodeId node) const;
  void add_managers(rpc::SessionItem* item, model::NodeId node) const;
  std::string leader_address() const;
  void note_members();
  void note_generation(raft::Generation seen);
  void on_following();
  void on_applied(const store::Applied& applied);
  void on_leading();
  void tell(const store::RowChange& change, model::WallTime time);
  void arm_leases();
  void expire_leases();

  asio::io_context& loop_;
  ManagerOptions options_;
  EventSink events_;
  base::RandomIds ids_;
  dispatcher::Leases leases_;
  // In this order: each needs the ones before it.
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Members> members_;
  std::shared_ptr<Forwarder> forwarder_;
  std::shared_ptr<Bell> lead_changed_;                  // rings when another answer may be had
  std::pair<raft::Term, raft::RaftId> forwarding_to_;   // whom forwarded calls are meant for
  std::map<raft::RaftId, model::NodeId> member_nodes_;  // as the rows say
  Queue::Request founding_;
  std::unique_ptr<transport::RpcServer> server_;
  std::map<model::NodeId, std::shared_ptr<Session>> sessions_;
  // Certificates signed for joiners who have not fetched them yet; bounded, oldest out first.
  std::map<model::NodeId, std::string> issued_;
  std::deque<model::NodeId> issued_order_;
  asio::steady_timer lease_timer_;
  asio::steady_timer ready_timer_;  // cancelled when ready() should look again
  std::optional<Error> trouble_;
  // Calls outlive the server that took them by a turn of the loop: they look at this after each
  // wait, and before they begin.
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace skep::manager
