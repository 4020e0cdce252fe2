// The registers as rows of the daemon's store, written through its transactions and their codec.
//
// A write of key k puts the label "value" of node k. Beside it a service with its spec and a task
// come into being, and those of an earlier write of the same key go, so that erasing, counting of
// specs and every index take part. The answered request that rides along carries who asks.
// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "core/store/state_codec.hpp"
#include "core/store/store.hpp"
#include "core/store/transaction_codec.hpp"
#include "tests/sim/state_machine.hpp"

namespace skep::sim {
namespace {

constexpr uint64_t kNodeIds = 1;
constexpr uint64_t kServiceIds = 2;
constexpr uint64_t kTaskIds = 3;

model::NodeId node_of(uint64_t key) {
  return {{kNodeIds, key + 1}};
}
// Four generations of a service and its task per key.
uint64_t slot_of(const Operation& operation) {
  return operation.key * 4 + operation.value % 4 + 1;
}

uint64_t number_at(std::string_view& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return 0;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (!text.empty()) text.remove_prefix(1);
  return value;
}

store::Transaction transaction_of(const Operation& operation) {
  store::Transaction transaction;
  transaction.time = {static_cast<int64_t>(operation.value)};
  store::AnsweredRequest answered;
  answered.id = {{operation.client, operation.sequence}};
  answered.at = transaction.time;
  answered.outcome = std::to_string(operation.attempt) + "." + std::to_string(operation.key) + "." +
                     std::to_string(operation.value);
  transaction.answered.push_back(
      std::make_shared<const store::AnsweredRequest>(std::move(answered)));
  model::Node node;
  node.id = node_of(operation.key);
  node.spec.labels["value"] = std::to_string(operation.value);
  transaction.changes.emplace_back(store::upsert(std::move(node)));

  const uint64_t slot = slot_of(operation);
  const model::ServiceId service_id{{kServiceIds, slot}};
  const model::TaskId task_id{{kTaskIds, slot}};
  if (operation.value % 3 == 0) {
    transaction.changes.emplace_back(store::erase(store::Kind::task, task_id));
    transaction.changes.emplace_back(store::erase(store::Kind::service, service_id));
    return transaction;
  }
  const uint64_t version = operation.value % 5 + 1;
  auto spec = std::make_shared<model::ServiceSpec>();
  spec->name = "service" + std::to_string(slot);
  spec->task.container.image = "image:" + std::to_string(version);
  transaction.changes.emplace_back(store::SpecRow{{service_id, version}, spec});
  model::Service service;
  service.id = service_id;
  service.name = spec->name;
  service.spec_version = version;
  transaction.changes.emplace_back(store::upsert(std::move(service)));
  model::Task task;
  task.id = task_id;
  task.service = service_id;
  task.slot = 1;
  task.spec_version = version;
  task.node = node_of(operation.value % kKeys);
  transaction.changes.emplace_back(store::upsert(std::move(task)));
  return transaction;
}

Result<Operation> operation_of(std::string_view bytes) {
  SKEP_TRY_ASSIGN(const store::Transaction transaction, store::decode_transaction(bytes));
  if (transaction.answered.size() != 1 || !transaction.answered[0]->outcome) {
    return fail(ErrorKind::invalid, "not a transaction of the simulator");
  }
  const store::AnsweredRequest& answered = *transaction.answered[0];
  Operation operation;
  operation.client = answered.id.bits.high;
  operation.sequence = answered.id.bits.low;
  std::string_view text = *answered.outcome;
  operation.attempt = number_at(text);
  operation.key = number_at(text);
  operation.value = number_at(text);
  return operation;
}

class StoreRegisters final : public StateMachine {
 public:
  std::string encode(const Operation& operation) const override {
    return store::encode(transaction_of(operation));
  }

  Result<Operation> decode(std::string_view bytes) const override { return operation_of(bytes); }

  uint64_t hash() const override { return mix(StateMachine::hash(), dump_values()); }

 protected:
  Status put(uint64_t index, const Operation&, std::string_view bytes) override {
    SKEP_TRY_ASSIGN(const store::Transaction transaction, store::decode_transaction(bytes));
    store_.apply(index, transaction);
    return {};
  }

  uint64_t value_of(uint64_t key) const override {
    const store::Row<model::Node> node = store_.node(node_of(key));
    if (!node) return 0;
    std::string_view text = node->spec.labels.at("value");
    return number_at(text);
  }

  std::string dump_values() const override { return store::encode(store_.dump()); }

  Status load_values(uint64_t index, std::string_view bytes) override {
    SKEP_TRY_ASSIGN(store::State state, store::decode_state(bytes));
    store_.load(index, std::move(state));
    return {};
  }

 private:
  store::Store store_;
};

}  // namespace

std::unique_ptr<StateMachine> make_store_registers() {
  return std::make_unique<StoreRegisters>();
}

}  // namespace skep::sim
