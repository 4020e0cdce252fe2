// A group of managers, its clients, its operator and its misfortunes, on virtual time.
//
// Everything that happens is an event; they happen one at a time, in order of time and, at the same
// time, of being planned. Nothing else moves the world: no thread, no clock, no chance but the
// seed's. A run is a safety phase with faults, checked after every step, and then a liveness phase
// without, in which the group has to find a leader, answer everybody and agree.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "tests/sim/clients.hpp"
#include "tests/sim/event.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/host.hpp"
#include "tests/sim/invariants.hpp"
#include "tests/sim/membership.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/profile.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/trace.hpp"

namespace skep::sim {

struct WorldOptions {
  uint64_t seed = 0;
  uint64_t ticks = 2000;  // of virtual time, in the safety phase
  bool print_trace = false;
  bool sqlite = false;  // the daemon's log store, not the model of one
};

struct RunResult {
  std::optional<std::string> failure;
  uint64_t trace_hash = 0;
  uint64_t steps = 0;       // of the core
  uint64_t committed = 0;   // entries
  uint64_t operations = 0;  // of clients
  uint64_t leaders = 0;     // elected
  WhatCounts happened{};
};

class World {
 public:
  World(const WorldOptions& options, TraceRing& ring);
  ~World();

  RunResult run();

  // For the parts of the world.
  uint64_t now_us() const { return now_us_; }
  void after(uint64_t delay_us, Event event);
  Random& random() { return random_; }
  const Profile& profile() const { return profile_; }
  Checker& checker() { return checker_; }
  Network& network() { return network_; }
  Membership& membership() { return membership_; }
  model::ClusterId cluster() const { return {{1, 1}}; }
  int hosts() const { return static_cast<int>(hosts_.size()); }
  Host& host(int number) { return *hosts_[static_cast<size_t>(number)]; }
  int any_host() { return static_cast<int>(random_.below(hosts_.size())); }
  std::unique_ptr<StateMachine> make_machine() const;
  std::unique_ptr<Disk> make_disk();
  // Unique in the run.
  uint64_t next_id() { return ++last_id_; }
  void count_step() { result_.steps += 1; }
  void note(What what, int host, std::array<uint64_t, 5> words = {}, std::string_view text = {});

  void send(int from, raft::Message message) { network_.send(from, std::move(message)); }
  void answer(int from, const Answer& answer);
  void restart_later(int host);
  // The host of the running leader with the highest term.
  std::optional<int> likely_leader() const;

 private:
  struct Due {
    uint64_t at_us;
    uint64_t number;
    size_t slot;
    bool operator<(const Due& other) const {
      return std::pair(at_us, number) > std::pair(other.at_us, other.number);
    }
  };

  // Until then, or a failure, or `enough` says so. False: not enough.
  template <class Enough>
  bool run_until(uint64_t at_us, const Enough& enough);
  void handle(Event event);
  // When the host of this event can take it; nullopt: now.
  std::optional<uint64_t> held_until(const Event& event) const;
  void handle_membership();
  void handle_transfer();

  void run_liveness();
  bool has_leader() const;
  bool has_converged() const;
  std::string what_is_missing() const;

  const WorldOptions options_;
  Random random_;
  Profile profile_;
  Trace trace_;
  Checker checker_;
  Network network_;
  Membership membership_;
  Faults faults_;
  std::vector<std::unique_ptr<Host>> hosts_;
  Clients clients_;
  RunResult result_;
  uint64_t now_us_ = 0;
  uint64_t last_id_ = 0;
  uint64_t planned_ = 0;
  bool faults_are_on_ = true;
  std::priority_queue<Due> due_;
  std::vector<Event> events_;  // by slot
  std::vector<size_t> free_slots_;
};

}  // namespace skep::sim
