// Resident bytes per task with N tasks of a hundred services on a thousand nodes, all of them
// running in a container; then what a snapshot costs the thread that applies, and what the writes
// after it cost, and how long it takes to encode, decode and load.
// Usage: bench_store_memory [TASKS]
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/store/draft.hpp"
#include "core/store/state_codec.hpp"
#include "core/store/store.hpp"

namespace {

using namespace skep;

constexpr uint64_t kServices = 100;
constexpr uint64_t kNodes = 1'000;
constexpr uint64_t kBatch = 1'000;
constexpr model::WallTime kNow{1'700'000'000'000'000'000};

size_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") {
      size_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  }
  return 0;
}

// Spread over the whole range, as random ids are.
model::IdBits id_bits(uint64_t number) {
  return {number * 0x9e3779b97f4a7c15ull, number};
}

double ms_since(std::chrono::steady_clock::time_point start) {
  const auto taken = std::chrono::steady_clock::now() - start;
  return std::chrono::duration<double, std::milli>(taken).count();
}

model::Task task(uint64_t number) {
  model::Task row;
  row.id = {id_bits(number)};
  row.service = {id_bits(number % kServices + 1)};
  row.service_name = "shop_backend_" + std::to_string(number % kServices);
  row.slot = number / kServices + 1;
  row.spec_version = 1;
  row.node = {id_bits(number % kNodes + 1)};
  row.status.state = model::TaskState::running;
  row.status.timestamp = row.status.applied_at = kNow;
  row.status.message = "started";
  row.status.container = model::ContainerStatus{std::string(64, 'a'), 4711, 0};
  return row;
}

// As a manager that replays its log: drafts, then entries of a thousand tasks.
void fill(store::Store& store, uint64_t tasks) {
  store::Draft services(store);
  for (uint64_t i = 1; i <= kServices; ++i) {
    model::Service service;
    service.id = {id_bits(i)};
    service.name = "shop_backend_" + std::to_string(i);
    model::ServiceSpec spec;
    spec.name = service.name;
    spec.task.container.image = "registry.example.org/shop/backend:1.2.3";
    services.put_spec({service.id, 1}, spec);
    services.put(service);
  }
  store.apply(1, services.transaction(kNow));
  for (uint64_t done = 0; done < tasks;) {
    store::Draft draft(store);
    for (uint64_t i = 0; i < kBatch && done < tasks; ++i) draft.put(task(++done));
    store.apply(store.applied_index() + 1, draft.transaction(kNow));
  }
}

// The longest of some batches of writes to tasks all over the table, in ms per batch of a hundred.
double worst_write(store::Store& store, uint64_t tasks) {
  double worst = 0;
  for (uint64_t batch = 0; batch < 200; ++batch) {
    store::Transaction transaction{kNow, {}, {}};
    for (uint64_t i = 0; i < 100; ++i) {
      model::Task row = task((batch * 7919 + i * 104729) % tasks + 1);
      row.status.message = "started again";
      transaction.changes.emplace_back(store::upsert(std::move(row)));
    }
    const auto start = std::chrono::steady_clock::now();
    store.apply(store.applied_index() + 1, transaction);
    worst = std::max(worst, ms_since(start));
  }
  return worst;
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t tasks = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  store::Store store;
  const size_t before = resident_bytes();
  auto start = std::chrono::steady_clock::now();
  fill(store, tasks);
  std::printf("%llu tasks applied in %.0f ms\n", static_cast<unsigned long long>(tasks),
              ms_since(start));
  const size_t filled = resident_bytes();
  std::printf("resident: %zu MiB, %.0f bytes per task (a row alone: %zu; the feed holds %zu MiB)\n",
              (filled - before) >> 20,
              static_cast<double>(filled - before) / static_cast<double>(tasks),
              sizeof(model::Task), store.feed().bytes() >> 20);

  std::printf("a hundred writes before a snapshot: at worst %.2f ms\n", worst_write(store, tasks));
  start = std::chrono::steady_clock::now();
  const store::State copy = store.dump();
  std::printf("a copy for a snapshot: %.3f ms on the thread that applies\n", ms_since(start));
  std::printf("a hundred writes right after it: at worst %.2f ms\n", worst_write(store, tasks));

  start = std::chrono::steady_clock::now();
  uint64_t running = 0;
  store.each_task(
      [&](const auto& row) { running += row->status.state == model::TaskState::running; });
  std::printf("a visit of all %llu tasks: %.1f ms\n", static_cast<unsigned long long>(running),
              ms_since(start));

  start = std::chrono::steady_clock::now();
  std::string bytes = store::encode(copy);
  std::printf("encode: %.0f ms, %zu MiB\n", ms_since(start), bytes.size() >> 20);
  start = std::chrono::steady_clock::now();
  auto decoded = store::decode_state(bytes);
  if (!decoded) std::abort();
  std::printf("decode: %.0f ms\n", ms_since(start));
  start = std::chrono::steady_clock::now();
  store::Store loaded;
  loaded.load(store.applied_index(), std::move(*decoded));
  std::printf("load: %.0f ms\n", ms_since(start));
  if (store::encode(loaded.dump()) != bytes) std::abort();
  return 0;
}
