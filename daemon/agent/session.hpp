// This node's session with the managers, kept up for as long as the node is in the cluster.
//
// One connection to one manager carries a Session stream (the node's own row, where the managers
// are, how often to beat), an Assignments stream, the beats, and status reports. When it is lost,
// for whatever reason, the session dials the next manager after a pause that doubles from 100 ms to
// 4 s and is drawn at random below that, so that ten thousand nodes don't come back at once.
//
// What it promises: `on_assignments` gets full states only, differences are applied here, and a gap
// makes it ask again. A report is sent until a manager has committed it or a newer one of the same
// task replaced it, across lost connections. While nothing is in flight a report leaves at once;
// what gathers meanwhile goes in the next batch.
//
// It also keeps the node's certificate fit: renews it in good time, and at once when the managers
// want another role or another root of it (core/identity/renewal.hpp says when), and takes up the
// roots that they say are to be trusted. Connections that stand go on; the next ones use what is
// new. Only another role makes it dial again, as a manager knows a connection's role from its
// handshake.
//
// What it does not: it neither stores anything nor decides what an assignment means. Losing the
// session changes nothing for the tasks.
//
// Everything on the loop; callbacks come there too, never from inside a call of this class, and may
// call it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "core/raft/forced_group.hpp"
#include "daemon/agent/assignments.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/transport/call.hpp"

namespace skep::agent {

namespace asio = boost::asio;

struct ManagerAddress {
  model::NodeId node;   // none when only the address is known (from a join)
  std::string address;  // host:port
  bool operator==(const ManagerAddress&) const = default;
};

struct SessionOptions {
  transport::NodeCredentials credentials;
  std::vector<ManagerAddress> managers;  // at least one
  // Of the group of managers, as this node last knew it. One that was given up since is not served:
  // its managers may be back, and don't know.
  raft::Generation generation;
  model::NodeDescription description;
  uint64_t seed = 0;  // of the pauses' randomness
  // Together well below a lease of 3 s: a manager that was away grants one when it is back, and a
  // node that finds it only after that would be taken for dead.
  std::chrono::milliseconds pause_min{100};
  std::chrono::milliseconds pause_max{1'000};
  std::chrono::milliseconds connect_timeout{1'500};
  std::function<model::WallTime()> clock = base::wall_now;
};

struct SessionEvents {
  std::function<void(const AssignmentSet&)> on_assignments;
  // The node's own row, at the start of each session and when its role or availability changed.
  std::function<void(const model::Node&)> on_node;
  // All managers, to be kept across restarts. Only when the list has changed.
  std::function<void(const std::vector<ManagerAddress>&)> on_managers;
  // The managers are of a later generation than was known; to be kept across restarts, by now.
  std::function<Status(raft::Generation)> on_generation;
  // A manager doesn't take this node for one of the cluster's: it was removed, or its certificate
  // isn't accepted. Once until a session stands again; the session goes on trying.
  std::function<void(const Error&)> on_refused;
  // The node has a new certificate, or trusts other roots. Is to store that and to let whoever
  // listens with it take it up. An error leaves the old one in use; it is tried again later.
  std::function<Status(const transport::NodeCredentials&)> certificate_changed;
  // What somebody should know of, though the session goes on; one sentence.
  transport::Log warn;
  // The session stands (true), or was lost and why.
  std::function<void(bool connected, const std::string& why)> on_connected;
  transport::Log log;
};

class AgentSession {
 public:
  AgentSession(asio::any_io_executor loop, SessionOptions options, SessionEvents events);
  ~AgentSession();  // as `stop`; no callback afterwards
  AgentSession(const AgentSession&) = delete;
  AgentSession& operator=(const AgentSession&) = delete;

  void start();
  // Closes the connection and ends. Reports that were not committed are lost with the object.
  void stop();

  // Queues; never waits. Of several reports of a task the last counts.
  void report(std::vector<TaskReport> reports);
  // How many tasks have reports that no manager has committed yet.
  size_t unsent_reports() const;
  // A changed description is told by a new session on a new connection.
  void describe(model::NodeDescription description);

  bool connected() const;
  // The manager it has a session with; empty when there is none.
  std::string manager_address() const;

  // Any unary call on the session's connection. Errors: unavailable when there is none.
  asio::awaitable<Result<std::string>> call(transport::Method method, std::string payload,
                                            std::chrono::milliseconds deadline);
  // This agent stops for up to keep_ms; its tasks don't. Followed by `stop`.
  asio::awaitable<Status> away(uint32_t keep_ms);
  // The node leaves the cluster: it is marked down at once. Followed by `stop`.
  asio::awaitable<Status> leave();

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace skep::agent
