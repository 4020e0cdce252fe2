// Durable commits per second of the SQLite log at batch 1 and 16, entries of 512 bytes.
// Usage: bench_storage FOLDER (on the disk to be measured; a file is made there and removed).
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "daemon/storage/sqlite_log_store.hpp"

namespace {

using namespace skep;

Status measure(const std::string& path, uint64_t batch_size) {
  constexpr std::chrono::seconds kDuration{3};
  SKEP_TRY_ASSIGN(const auto store, storage::open_sqlite_log_store(path));
  SKEP_TRY(store->initialise({{{1, 2}}, {{3, 4}}, {1}, {1}, {1}}, {{{1}}, {}}));
  const auto bytes = std::make_shared<const std::string>(512, 'x');
  uint64_t index = 0;
  uint64_t commits = 0;
  const auto start = std::chrono::steady_clock::now();
  auto now = start;
  for (; now - start < kDuration; now = std::chrono::steady_clock::now()) {
    raft::Persist batch;
    for (uint64_t i = 0; i < batch_size; ++i) {
      batch.entries.push_back({{1}, {++index}, raft::EntryKind::normal, bytes});
    }
    SKEP_TRY(store->persist(batch));
    ++commits;
  }
  const double seconds = std::chrono::duration<double>(now - start).count();
  std::printf("batch %2llu: %8.0f commits/s %8.0f entries/s\n",
              static_cast<unsigned long long>(batch_size), static_cast<double>(commits) / seconds,
              static_cast<double>(index) / seconds);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_storage FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = std::filesystem::path(argv[1]) / "skep-bench-storage";
  for (const uint64_t batch_size : {1, 16}) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    const Status done = measure((folder / "raft.db").string(), batch_size);
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().message.c_str());
      return 1;
    }
  }
  std::filesystem::remove_all(folder);
  return 0;
}
