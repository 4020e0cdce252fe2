// What the simulated managers replicate: eight registers, each with a count of the writes to it.
//
// The count makes a write that was applied twice visible to whoever reads. Every operation names
// its client and a sequence number of that client; the table of the last one of each client, with
// its result, is replicated state and part of every snapshot. An operation that comes again gets
// the first result; one that was overtaken by a later one of its client is not applied at all.
//
// Two machines: one that is nothing but that, and one whose registers are rows of the daemon's own
// store, written by transactions in their own codec.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "tests/sim/bytes.hpp"

namespace skep::sim {

inline constexpr uint64_t kKeys = 8;

struct Operation {
  uint64_t client = 0;
  uint64_t sequence = 0;  // of the client, rising
  uint64_t attempt = 0;   // unique in a run: the same operation is proposed under several
  uint64_t key = 0;
  uint64_t value = 0;  // unique in a run
};

struct Register {
  uint64_t value = 0;
  uint64_t count = 0;
  bool operator==(const Register&) const = default;
};

struct Applied {
  Operation operation;
  bool effective = false;  // this entry changed the register
  bool overtaken = false;  // a later operation of the client was there first
  Register result;         // the register after the operation, now or when it was effective
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  virtual std::string encode(const Operation& operation) const = 0;
  virtual Result<Operation> decode(std::string_view bytes) const = 0;

  // Bytes that were encoded by the same kind of machine. Error: they were not.
  Result<Applied> apply(uint64_t index, std::string_view bytes);
  Register read(uint64_t key) const;

  // Sealed bytes; and back. `index` is the last applied.
  std::string dump() const;
  Status load(uint64_t index, std::string_view bytes);
  // Equal states have equal hashes, on every machine.
  virtual uint64_t hash() const;

 protected:
  // The operation that apply() found new. `bytes` are those of its entry.
  virtual Status put(uint64_t index, const Operation& operation, std::string_view bytes) = 0;
  virtual uint64_t value_of(uint64_t key) const = 0;
  virtual std::string dump_values() const = 0;
  virtual Status load_values(uint64_t index, std::string_view bytes) = 0;

 private:
  struct Last {
    uint64_t sequence = 0;
    Register result;
  };
  std::array<uint64_t, kKeys> counts_{};
  std::map<uint64_t, Last> clients_;
};

std::unique_ptr<StateMachine> make_registers();
// The registers are labels of Node rows; services, specs and tasks come and go beside them.
std::unique_ptr<StateMachine> make_store_registers();

}  // namespace skep::sim
