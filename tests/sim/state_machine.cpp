// The part that both machines share, and the plain one.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/state_machine.hpp"

#include "tests/sim/disk.hpp"

namespace skep::sim {

Result<Applied> StateMachine::apply(uint64_t index, std::string_view bytes) {
  SKEP_TRY_ASSIGN(const Operation operation, decode(bytes));
  if (operation.key >= kKeys) return fail(ErrorKind::invalid, "an operation on no key");
  Applied applied{operation, false, false, {}};
  Last& last = clients_[operation.client];
  if (operation.sequence < last.sequence) {
    applied.overtaken = true;
    return applied;
  }
  if (operation.sequence > last.sequence) {
    SKEP_TRY(put(index, operation, bytes));
    counts_[operation.key] += 1;
    applied.effective = true;
    last = {operation.sequence, read(operation.key)};
  }
  applied.result = last.result;
  return applied;
}

Register StateMachine::read(uint64_t key) const {
  return {value_of(key), counts_[key]};
}

std::string StateMachine::dump() const {
  Writer out;
  for (const uint64_t count : counts_) out.number(count);
  out.number(clients_.size());
  for (const auto& [client, last] : clients_) {
    out.number(client);
    out.number(last.sequence);
    out.number(last.result.value);
    out.number(last.result.count);
  }
  out.text(dump_values());
  return sealed(std::move(out.bytes()));
}

Status StateMachine::load(uint64_t index, std::string_view bytes) {
  if (!is_sound(bytes)) return fail(ErrorKind::internal, "a snapshot that is damaged");
  Reader in(bytes);
  for (uint64_t& count : counts_) count = in.number();
  clients_.clear();
  for (uint64_t left = in.number(); left > 0 && in.ok(); --left) {
    const uint64_t client = in.number();
    const uint64_t sequence = in.number();
    const uint64_t value = in.number();
    clients_[client] = {sequence, {value, in.number()}};
  }
  return load_values(index, in.text());
}

uint64_t StateMachine::hash() const {
  uint64_t seen = 0;
  for (const uint64_t count : counts_) seen = mix(seen, count);
  for (uint64_t key = 0; key < kKeys; ++key) seen = mix(seen, value_of(key));
  for (const auto& [client, last] : clients_) {
    seen = mix(mix(mix(seen, client), last.sequence), last.result.value);
  }
  return seen;
}

namespace {

class Registers final : public StateMachine {
 public:
  std::string encode(const Operation& operation) const override {
    Writer out;
    out.number(operation.client);
    out.number(operation.sequence);
    out.number(operation.attempt);
    out.number(operation.key);
    out.number(operation.value);
    return std::move(out.bytes());
  }

  Result<Operation> decode(std::string_view bytes) const override {
    Reader in(bytes);
    Operation operation;
    operation.client = in.number();
    operation.sequence = in.number();
    operation.attempt = in.number();
    operation.key = in.number();
    operation.value = in.number();
    if (!in.at_end()) return fail(ErrorKind::invalid, "not an operation");
    return operation;
  }

 protected:
  Status put(uint64_t, const Operation& operation, std::string_view) override {
    values_[operation.key] = operation.value;
    return {};
  }
  uint64_t value_of(uint64_t key) const override { return values_[key]; }

  std::string dump_values() const override {
    Writer out;
    for (const uint64_t value : values_) out.number(value);
    return std::move(out.bytes());
  }
  Status load_values(uint64_t, std::string_view bytes) override {
    Reader in(bytes);
    for (uint64_t& value : values_) value = in.number();
    if (!in.at_end()) return fail(ErrorKind::internal, "registers of another size");
    return {};
  }

 private:
  std::array<uint64_t, kKeys> values_{};
};

}  // namespace

std::unique_ptr<StateMachine> make_registers() {
  return std::make_unique<Registers>();
}

}  // namespace skep::sim
