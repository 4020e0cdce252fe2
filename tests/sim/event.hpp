// What may be due in a simulated world, and what clients and managers say to each other.
//
// An event for a process names its run: one that a crash has outlived is thrown away.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "core/raft/types.hpp"
#include "tests/sim/state_machine.hpp"

namespace skep::sim {

struct Request {
  bool is_write = false;
  Operation operation;  // of a read: client, sequence, attempt and key
};

enum class AnswerKind : uint8_t {
  done,
  refused,    // it did not happen and will not: ask again
  unknown,    // it may have happened
  overtaken,  // a later operation of the same client was there first
};

struct Answer {
  AnswerKind kind = AnswerKind::done;
  uint64_t client = 0;
  uint64_t sequence = 0;
  uint64_t attempt = 0;
  Register result;
  std::optional<int> try_host;
};

struct TickDue {
  int host;
  uint64_t run;
};
struct Arrival {
  int host;
  raft::Message message;
  bool other_disk = false;  // a lie of the sender's disk
};
struct DiskDue {
  int host;
  uint64_t run;
};
struct RequestArrival {
  int host;
  Request request;
};
struct AnswerArrival {
  Answer answer;
};
// The client's turn: to ask something, or to give an attempt up.
struct ClientDue {
  uint64_t client;
  uint64_t turn;
};
struct RestartDue {
  int host;
};
// The host is as it was before its disk or clock trouble.
struct TroubleOver {
  int host;
  uint64_t trouble;
};
// The network lets everything through again.
struct CutOver {
  uint64_t cut;
};
enum class FaultKind : uint8_t { cut, crash, power_cut, pause, disk, rot, wipe, count };
struct FaultDue {
  FaultKind kind;
};
struct MembershipDue {};
struct TransferDue {};
// A member that was removed is taken off its host.
struct RetireDue {
  int host;
  raft::RaftId member;
};

using Event =
    std::variant<TickDue, Arrival, DiskDue, RequestArrival, AnswerArrival, ClientDue, RestartDue,
                 TroubleOver, CutOver, FaultDue, MembershipDue, TransferDue, RetireDue>;

}  // namespace skep::sim
