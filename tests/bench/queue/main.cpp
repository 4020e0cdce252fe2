// Services made per second by 1, 8 and 64 clients at once, through the queue, a lone voter's raft
// and the real log; beside them, what the log alone commits one entry at a time.
//
// The share of the time in which the loop works tells what a second draft in flight could give: the
// flush of one batch would then overlap with the planning of the next, so at best a cycle takes the
// longer of the two instead of their sum (docs/decisions/0002).
// Usage: bench_queue FOLDER [SECONDS] (on the disk to be measured; a folder is made and removed).
// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "core/planner/requests.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/manager/queue.hpp"
#include "daemon/storage/sqlite_log_store.hpp"

namespace {

using namespace skep;
namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

const storage::Identity kIdentity{{{1, 2}}, {{3, 4}}, {1}, {1}, {1}};

Result<std::unique_ptr<storage::LogStore>> open_log(const std::filesystem::path& folder) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  SKEP_TRY_ASSIGN(auto log, storage::open_sqlite_log_store((folder / "raft.db").string()));
  raft::Configuration alone;
  alone.voters = {{1}};
  SKEP_TRY(log->initialise(kIdentity, alone));
  return log;
}

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Status measure_log(const std::filesystem::path& folder, std::chrono::seconds duration) {
  SKEP_TRY_ASSIGN(const auto log, open_log(folder));
  const auto bytes = std::make_shared<const std::string>(512, 'x');
  const auto start = Clock::now();
  uint64_t index = 0;
  while (Clock::now() - start < duration) {
    raft::Persist batch;
    batch.entries.push_back({{1}, {++index}, raft::EntryKind::normal, bytes});
    SKEP_TRY(log->persist(batch));
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("the log alone, one entry a flush: %8.0f /s\n", static_cast<double>(index) / seconds);
  return {};
}

struct Run {
  asio::io_context loop;
  base::RandomIds ids;
  std::unique_ptr<manager::Queue> queue;
  uint64_t entries = 0;
  uint64_t made = 0;
  bool over = false;
  size_t clients = 0;
};

asio::awaitable<void> client(Run& run, size_t number) {
  ++run.clients;
  for (uint64_t i = 0; !run.over; ++i) {
    manager::Queue::Request create = [&](store::Draft& draft) -> Status {
      model::ServiceSpec spec;
      spec.name = "s" + std::to_string(number) + "-" + std::to_string(i);
      spec.task.container.image = "httpd:2.4.34";
      SKEP_TRY(planner::create_service(draft, std::move(spec), run.ids));
      return {};
    };
    const Status done = co_await run.queue->submit(std::move(create));
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().message.c_str());
      break;
    }
    ++run.made;
  }
  --run.clients;
}

Status found(store::Draft& draft, model::IdSource& ids) {
  model::Cluster cluster;
  cluster.id = kIdentity.cluster;
  model::Node node;
  node.id = kIdentity.node;
  planner::found_cluster(draft, cluster, node, model::NetworkId{ids.next()});
  model::NodeDescription description;
  description.hostname = "node1";
  return planner::node_ready(draft, node.id, description, "127.0.0.1");
}

Status measure_queue(const std::filesystem::path& folder, size_t clients,
                     std::chrono::seconds duration) {
  Run run;
  SKEP_TRY_ASSIGN(auto log, open_log(folder));
  SKEP_TRY_ASSIGN(const std::optional<storage::Loaded> loaded, log->load());
  manager::Queue::Events events;
  events.applied = [&](const store::Applied&) { ++run.entries; };
  events.leading = [] {};
  events.broken = [](const Error& why) { std::fprintf(stderr, "%s\n", why.message.c_str()); };
  SKEP_TRY_ASSIGN(run.queue, manager::Queue::open(run.loop, std::move(log), *loaded, run.ids,
                                                  std::move(events)));
  run.queue->start();
  while (!run.queue->leading()) run.loop.run_one();
  run.queue->post([&](store::Draft& draft) { return found(draft, run.ids); });
  while (!run.queue->store().cluster()) run.loop.run_one();

  run.entries = 0;
  const double busy_before = thread_seconds();
  const auto start = Clock::now();
  for (size_t i = 0; i < clients; ++i) asio::co_spawn(run.loop, client(run, i), asio::detached);
  while (Clock::now() - start < duration) run.loop.run_one_for(std::chrono::milliseconds(100));
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double busy = (thread_seconds() - busy_before) / seconds;
  std::printf(
      "%3zu clients: %8.0f services/s in %6.0f entries/s (%4.1f each), loop works %2.0f %%, "
      "so a second draft in flight gives at most %.2f times\n",
      clients, static_cast<double>(run.made) / seconds, static_cast<double>(run.entries) / seconds,
      static_cast<double>(run.made) / static_cast<double>(std::max<uint64_t>(run.entries, 1)),
      busy * 100, 1 / std::max(busy, 1 - busy));
  run.over = true;
  while (run.clients > 0) run.loop.run_one();
  run.queue->stop();
  run.loop.restart();
  run.loop.poll();
  return {};
}

Status measure(const std::filesystem::path& folder, std::chrono::seconds duration) {
  SKEP_TRY(measure_log(folder, duration));
  for (const size_t clients : {1, 8, 64}) SKEP_TRY(measure_queue(folder, clients, duration));
  return measure_log(folder, duration);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_queue FOLDER [SECONDS]\n");
    return 2;
  }
  const std::chrono::seconds duration(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 4);
  const std::filesystem::path folder = std::filesystem::path(argv[1]) / "skep-bench-queue";
  const Status done = measure(folder, duration);
  std::filesystem::remove_all(folder);
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return 1;
}
