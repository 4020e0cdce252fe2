// Durable commits per second of the raft log at batch 1 and 16 (entries of 512 bytes, sealed),
// beside what the disk does by itself: a write and an fdatasync of 4 KiB, over a file that was
// written before and at the end of one that grows.
//
// All four take turns, and the medians of the turns are printed: a shared disk's speed changes from
// one second to the next, and only figures of the same seconds can be compared.
// Usage: bench_storage FOLDER [TURNS] (on the disk to be measured; a folder is made and removed).
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <utility>

#include "daemon/storage/sqlite_log_store.hpp"

namespace {

using namespace skep;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTurn{400};
constexpr size_t kBlockBytes = 4096;
constexpr uint64_t kBlocks = 4096;  // 16 MiB
constexpr uint64_t kKeep = 20'000;  // entries, as a manager would

class RawFile {
 public:
  explicit RawFile(const std::string& path)
      : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  ~RawFile() { ::close(file_); }
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  bool write(uint64_t block) {
    return ::pwrite(file_, block_.data(), block_.size(), static_cast<off_t>(block * kBlockBytes)) ==
           kBlockBytes;
  }
  bool sync() { return ::fdatasync(file_) == 0; }

 private:
  int file_;
  std::string block_ = std::string(kBlockBytes, 'x');
};

struct Row {
  std::string name;
  std::function<bool()> commit;
  std::vector<double> per_second;
  std::vector<double> worst_ms;
};

bool turn(Row& row) {
  uint64_t commits = 0;
  Clock::duration worst{};
  const Clock::time_point start = Clock::now();
  Clock::time_point now = start;
  while (now - start < kTurn) {
    if (!row.commit()) return false;
    ++commits;
    const Clock::time_point end = Clock::now();
    worst = std::max(worst, end - now);
    now = end;
  }
  row.per_second.push_back(static_cast<double>(commits) /
                           std::chrono::duration<double>(now - start).count());
  row.worst_ms.push_back(std::chrono::duration<double, std::milli>(worst).count());
  return true;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A log that goes on for ever: committed to, tidied and compacted as the storage thread does.
class Log {
 public:
  Log(const std::string& folder, uint64_t batch) : batch_(batch) {
    std::filesystem::create_directory(folder);
    auto opened = storage::open_sqlite_log_store(folder + "/raft.db");
    if (opened) store_ = std::move(*opened);
    ready_ = store_ && store_->initialise({{{1, 2}}, {{3, 4}}, {1}, {1}, {1}}, {{{1}}, {}, {}});
  }
  // As it is for most of its life: its write-ahead log has been used from end to end.
  bool warm_up() {
    const uint64_t batch = std::exchange(batch_, 256);
    bool done = true;
    for (int i = 0; i < 40 && done; ++i) done = commit();
    batch_ = batch;
    return done;
  }

  bool commit() {
    if (!ready_) return false;
    raft::Persist persist;
    for (uint64_t i = 0; i < batch_; ++i) {
      persist.entries.push_back({{1}, {++index_}, raft::EntryKind::normal, bytes_});
    }
    persist.hard_state = {{1}, {1}, {index_ - 1}};
    if (!store_->persist(persist) || !store_->tidy()) return false;
    return index_ < cut_ + 2 * kKeep || cut_some();
  }

 private:
  bool cut_some() {
    const raft::Index through{index_ - kKeep};
    if (snapshot_ < through.value) {
      snapshot_ = index_;
      const raft::SnapshotPointer at{{snapshot_}, {1}, {{{1}}, {}, {}}};
      if (!store_->begin_snapshot(at) || !store_->finish_snapshot()) return false;
    }
    const Result<bool> all = store_->compact({snapshot_ - kKeep});
    if (all && *all) cut_ = snapshot_ - kKeep;
    return all.has_value();
  }

  uint64_t batch_;
  std::unique_ptr<storage::LogStore> store_;
  bool ready_ = false;
  std::shared_ptr<const std::string> bytes_ = std::make_shared<const std::string>(512, 'x');
  uint64_t index_ = 0;
  uint64_t snapshot_ = 0;
  uint64_t cut_ = 0;
};

bool run(const std::string& folder, int turns) {
  RawFile written(folder + "/written");
  for (uint64_t block = 0; block < kBlocks; ++block) {
    if (!written.write(block)) return false;
  }
  if (!written.sync()) return false;
  RawFile growing(folder + "/growing");
  Log one(folder + "/one", 1);
  Log sixteen(folder + "/sixteen", 16);
  if (!one.warm_up() || !sixteen.warm_up()) return false;
  uint64_t over = 0;
  uint64_t end = 0;
  std::vector<Row> rows = {
      {"raw, over written blocks",
       [&] { return written.write(over++ % kBlocks) && written.sync(); }},
      {"raw, growing file", [&] { return growing.write(end++) && growing.sync(); }},
      {"log, batch 1", [&] { return one.commit(); }},
      {"log, batch 16", [&] { return sixteen.commit(); }}};
  for (int i = 0; i < turns; ++i) {
    for (Row& row : rows) {
      if (!turn(row)) return false;
    }
  }
  std::printf("medians of %d turns of %lld ms\n", turns, static_cast<long long>(kTurn.count()));
  for (const Row& row : rows) {
    std::printf("%-26s %8.0f commits/s   %.2f of raw   worst of a turn %6.1f ms\n",
                row.name.c_str(), median(row.per_second),
                median(row.per_second) / median(rows[0].per_second), median(row.worst_ms));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: bench_storage FOLDER [TURNS]\n");
    return 2;
  }
  const int turns = argc == 3 ? std::max(1, std::atoi(argv[2])) : 9;
  const std::filesystem::path folder = std::filesystem::path(argv[1]) / "skep-bench-storage";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  const bool done = run(folder.string(), turns);
  std::filesystem::remove_all(folder);
  if (!done) std::fprintf(stderr, "a write to %s failed\n", folder.c_str());
  return done ? 0 : 1;
}
