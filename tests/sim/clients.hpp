// Clients that read and write registers, repeat what they got no answer to, and remember all of it.
//
// A client does one thing at a time. It asks any host; what is refused, unknown or unanswered is
// asked again under the same sequence number, elsewhere. In the safety phase a client may give up:
// the outcome then stays unknown for ever. What was seen becomes the histories, one for each key.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <vector>

#include "tests/sim/event.hpp"
#include "tests/sim/linearizability.hpp"

namespace skep::sim {

class World;

class Clients {
 public:
  Clients(World& world, uint64_t count);

  void begin();
  void due(const ClientDue& due);
  void answered(const Answer& answer);
  // From now on nothing new is begun and nothing given up.
  void finish() { finishing_ = true; }
  // Each client does a write and a read more, which have to succeed.
  void last_round();
  bool idle() const;
  // nullopt: every history is linearizable.
  std::optional<std::string> check_histories() const;
  uint64_t operations() const;

 private:
  struct Client {
    uint64_t number = 0;
    uint64_t sequence = 0;
    uint64_t turn = 0;  // of the due event that counts
    bool busy = false;
    Request request;
    uint64_t tries = 0;
    size_t history = 0;  // place in the key's history
    uint64_t left_in_last_round = 0;
  };

  void begin_operation(Client& client, bool is_write);
  void ask(Client& client, std::optional<int> host);
  int any_host();
  void rest(Client& client);

  World& world_;
  std::vector<Client> clients_;
  std::array<std::vector<HistoryEntry>, kKeys> histories_;
  uint64_t moment_ = 0;  // of the histories' clock
  uint64_t values_ = 0;
  uint64_t attempts_ = 0;
  bool finishing_ = false;
};

}  // namespace skep::sim
