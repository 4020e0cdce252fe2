// How messages get from host to host: late, twice, in another order, or not at all.
//
// Members are found by an address book that knows on which host each raft id lives or last lived,
// so a message for a member that is gone reaches whoever lives there now.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "core/raft/types.hpp"
#include "tests/sim/trace.hpp"

namespace skep::sim {

class World;

class Network {
 public:
  static constexpr int kHostsMax = 7;

  explicit Network(World& world) : world_(world) {}

  void send(int from, raft::Message message);
  // Cuts some hosts off from some others; a cut that is in force is replaced.
  void cut();
  void cut_over(uint64_t cut);
  // No trouble any more: nothing is lost, doubled, slow or cut.
  void heal();
  // A delay of the kind that messages have now; nullopt: lost.
  std::optional<uint64_t> delay();
  void moved(raft::RaftId member, int host);
  int host_of(raft::RaftId member) const { return hosts_[member.value]; }

 private:
  static constexpr size_t kOldMessages = 64;

  // Sends what would do harm if it were believed, from where nobody may be believed.
  void send_foreign(raft::Message message, uint64_t delay);
  bool is_cut(int from, int to) const { return cut_[from][to]; }

  World& world_;
  bool healed_ = false;
  uint64_t cut_number_ = 0;
  std::array<std::array<bool, kHostsMax>, kHostsMax> cut_{};
  std::vector<int> hosts_;  // by raft id
  std::deque<raft::Message> old_;
};

// A record of the message: `other` is who it goes to, or comes from.
void trace(World& world, What what, int host, raft::RaftId other, const raft::Message& message);

}  // namespace skep::sim
