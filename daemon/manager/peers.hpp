// The way to the other managers: for each a link, dialled when there is something to say.
//
// A link has two lanes, a connection each: the group's messages, and pieces of snapshots, so that a
// snapshot never delays a heartbeat. On a lane one batch is on its way; what gathers meanwhile is
// the next one. A lane that is full or broken loses what it was given: raft sends again what
// matters, and nothing else may be kept for a peer that does not answer.
//
// Whether a member answers is seen here and nowhere else. All on the daemon's loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/raft/types.hpp"
#include "daemon/transport/pki.hpp"

namespace skep::manager {

namespace asio = boost::asio;

struct PeersOptions {
  transport::NodeCredentials credentials;
  std::string own_address;  // host:port, told with every batch
  uint64_t seed = 0;        // of the pauses' randomness
  // A peer's answer is of this generation, each time; called later.
  std::function<void(raft::Generation)> generation_seen;
};

// Who is behind a raft id, as far as it is known.
struct PeerPlace {
  model::NodeId node;   // none: whoever proves to be a manager of the cluster
  std::string address;  // host:port
  bool operator==(const PeerPlace&) const = default;
};

class Peers {
 public:
  // `changed` is called, later, when a member began or ceased to answer.
  Peers(asio::any_io_executor loop, PeersOptions options, std::function<void()> changed);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  // What the rows say: these members are there and no others. An address they know is better than
  // one that was learnt.
  void set_places(std::map<raft::RaftId, PeerPlace> places);
  // A message came from this member, and this is where it wants its answers: for one that the rows
  // don't know yet. It lives: if it did not answer, it is dialled without further pause.
  void learn(raft::RaftId member, const std::string& address);

  // On its way, or lost. A member without an address loses it.
  void send(const raft::Message& message);
  // Finds out whether the member answers, though there is nothing to say.
  void probe(raft::RaftId member);
  // True when its last batch was answered and no more than a few seconds have passed.
  bool reachable(raft::RaftId member) const;

  // For connections from now on, which are made anew.
  void set_credentials(transport::NodeCredentials credentials);
  void stop();

 private:
  class Lane;
  struct Shared;
  struct Link;

  Link* link_to(raft::RaftId member);

  std::shared_ptr<Shared> shared_;
  std::map<raft::RaftId, PeerPlace> places_;    // from the rows
  std::map<raft::RaftId, std::string> learnt_;  // addresses
  std::map<raft::RaftId, std::unique_ptr<Link>> links_;
};

}  // namespace skep::manager
