// One manager: the queue behind it, the port in front of it.
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
#include <string>

#include "core/dispatcher/leases.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/manager/assignments.hpp"
#include "daemon/manager/control.hpp"
#include "daemon/manager/queue.hpp"
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
};

class Manager {
 public:
  using EventSink = std::function<void(const Control::ClusterEvent&)>;

  // Makes the log of a new cluster. Nothing may be there yet.
  static Status found(const ManagerOptions& options);

  // Opens the log, listens. `founding` is the first transaction of a new cluster, proposed as soon
  // as this manager leads and the log is empty. Errors: the log, the port.
  static Result<std::unique_ptr<Manager>> start(asio::io_context& loop, ManagerOptions options,
                                                Queue::Request founding, EventSink events);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  Queue& queue() { return *queue_; }
  model::IdSource& ids() { return ids_; }
  // Resolves when this manager leads and the cluster object exists, or with why not.
  asio::awaitable<Status> ready();
  // For connections from now on, at the port and in the answers; those that stand go on.
  Status set_credentials(transport::NodeCredentials credentials);
  // True when the node's session stands.
  bool has_session(model::NodeId node) const { return sessions_.count(node) != 0; }
  // Stops listening, ends all sessions, answers all waiting.
  void stop();

 private:
  struct Session;

  Manager(asio::io_context& loop, ManagerOptions options, EventSink events);

  void register_handlers();
  void register_streams();
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
  std::unique_ptr<Queue> queue_;
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
