// skep_sim: runs seeds of the simulator, many at once, and says how to see a failure again.
//
//   skep_sim SEED [--trace]            one run; with --trace every event of it
//   skep_sim --seeds N [--from BASE]   many; BASE is drawn and printed if it is not given
//   --steps T   ticks of virtual time in the safety phase    --jobs J   processes
//   --twice     each seed twice, to compare the traces' hashes
//   --sqlite    on the daemon's own log store; slower, and not repeatable to the bit
//
// Every worker is a process of its own with its trace in shared memory: when the core under test
// ends in a failed assertion, or never ends, the parent still has the seed and what came before.
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/sim/world.hpp"

namespace {

using namespace skep::sim;

constexpr time_t kSecondsPerSeedMax = 60;  // of work; a run takes a few tens of milliseconds
constexpr size_t kTailLines = 60;
constexpr int kLookEveryMs = 5;        // at the workers
constexpr uint64_t kFailuresMax = 10;  // more would only be more of the same

struct Arguments {
  bool single = false;
  bool trace = false;
  bool twice = false;
  bool sqlite = false;
  uint64_t from = 0;
  uint64_t seeds = 200;
  uint64_t steps = 2000;
  uint64_t jobs = 2;
};

// Of one worker; lives in memory shared with it.
struct Shared {
  TraceRing ring;
  std::array<char, 8192> failure{};  // ends in a zero
};

struct Totals {
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> steps{0};
  std::atomic<uint64_t> committed{0};
  std::atomic<uint64_t> operations{0};
  std::atomic<uint64_t> leaders{0};
  std::array<std::atomic<uint64_t>, std::tuple_size_v<WhatCounts>> happened{};
};

template <class T>
T* share() {
  void* memory =
      mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("skep_sim: mmap");
    std::exit(2);
  }
  return new (memory) T();
}

bool parse_number(std::string_view text, uint64_t* into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *into);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse(int count, char** words, Arguments* into) {
  into->from = (uint64_t{std::random_device()()} << 16) % 1'000'000'000'000;
  into->jobs = std::max(1u, std::thread::hardware_concurrency());
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    uint64_t* value = word == "--seeds"   ? &into->seeds
                      : word == "--from"  ? &into->from
                      : word == "--steps" ? &into->steps
                      : word == "--jobs"  ? &into->jobs
                                          : nullptr;
    if (value != nullptr) {
      if (++i == count || !parse_number(words[i], value)) return false;
    } else if (word == "--trace") {
      into->trace = true;
    } else if (word == "--twice") {
      into->twice = true;
    } else if (word == "--sqlite") {
      into->sqlite = true;
    } else if (parse_number(word, &into->from)) {
      into->single = true;
      into->seeds = into->jobs = 1;
    } else {
      return false;
    }
  }
  return into->jobs > 0;
}

RunResult run_one(const Arguments& arguments, uint64_t seed, bool trace, TraceRing& ring) {
  ring.written = 0;
  ring.seed = seed;
  return World({seed, arguments.steps, trace, arguments.sqlite}, ring).run();
}

// By the time that the process has worked, not by the clock on the wall: one that was stopped for a
// while, or shares its core with many, does not hang.
void watch() {
  itimerval limit{};
  limit.it_value.tv_sec = kSecondsPerSeedMax;
  setitimer(ITIMER_PROF, &limit, nullptr);
}

// In the worker. False: a seed failed, and Shared::failure says how.
bool work(const Arguments& arguments, Shared& shared, Totals& totals) {
  while (true) {
    const uint64_t number = totals.next++;
    if (number >= arguments.seeds) return true;
    const uint64_t seed = arguments.from + number;
    watch();
    RunResult result = run_one(arguments, seed, arguments.trace, shared.ring);
    if (arguments.twice && !result.failure) {
      const RunResult again = run_one(arguments, seed, false, shared.ring);
      if (again.trace_hash != result.trace_hash) result.failure = "two runs of it differ (15)";
    }
    totals.done++;
    totals.steps += result.steps;
    totals.committed += result.committed;
    totals.operations += result.operations;
    totals.leaders += result.leaders;
    for (size_t i = 0; i < result.happened.size(); ++i) totals.happened[i] += result.happened[i];
    if (!result.failure) continue;
    std::snprintf(shared.failure.data(), shared.failure.size(), "%s", result.failure->c_str());
    return false;
  }
}

struct Worker {
  Shared* shared = nullptr;
  pid_t pid = -1;
};

void start(const Arguments& arguments, Worker& worker, Totals& totals) {
  worker.shared->failure[0] = 0;
  std::fflush(nullptr);
  worker.pid = fork();
  if (worker.pid != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody is left to hear of it
  const bool good = work(arguments, *worker.shared, totals);
  std::fflush(nullptr);
  _exit(good ? 0 : 1);
}

void tell_failure(const Arguments& arguments, const Shared& shared, int status) {
  const uint64_t seed = shared.ring.seed;
  std::string why = shared.failure.data();
  if (WIFSIGNALED(status)) {
    why = WTERMSIG(status) == SIGPROF ? "it does not end"
                                      : "it died of signal " + std::to_string(WTERMSIG(status));
  }
  if (!arguments.trace) std::printf("\n%s", tail(shared.ring, kTailLines).c_str());
  std::printf(
      "seed %llu FAILED: %s\n  see it again: ./dev sim %llu --steps %llu%s [--trace]\n",
      static_cast<unsigned long long>(seed), why.c_str(), static_cast<unsigned long long>(seed),
      static_cast<unsigned long long>(arguments.steps), arguments.sqlite ? " --sqlite" : "");
  std::fflush(stdout);
}

void tell_progress(const Totals& totals, uint64_t failures, double seconds) {
  std::printf(
      "%llu seeds, %.1f a second, %llu steps, %llu entries, %llu operations, "
      "%llu leaders, %llu failures\n",
      static_cast<unsigned long long>(totals.done.load()),
      static_cast<double>(totals.done.load()) / seconds,
      static_cast<unsigned long long>(totals.steps.load()),
      static_cast<unsigned long long>(totals.committed.load()),
      static_cast<unsigned long long>(totals.operations.load()),
      static_cast<unsigned long long>(totals.leaders.load()),
      static_cast<unsigned long long>(failures));
  std::fflush(stdout);
}

// What the seeds went through: a fault that never happens tests nothing.
void tell_happened(const Totals& totals) {
  std::printf("what happened:");
  for (size_t i = 0; i < totals.happened.size(); ++i) {
    const std::string_view what = name(static_cast<What>(i));
    std::printf("%s %.*s %llu", i == 0 ? "" : ",", static_cast<int>(what.size()), what.data(),
                static_cast<unsigned long long>(totals.happened[i].load()));
  }
  std::printf("\n");
}

uint64_t run_all(const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begun = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begun).count(); };
  Totals& totals = *share<Totals>();
  std::vector<Worker> workers(std::min(arguments.jobs, arguments.seeds));
  for (Worker& worker : workers) {
    worker.shared = share<Shared>();
    start(arguments, worker, totals);
  }
  uint64_t failures = 0;
  size_t running = workers.size();
  double told = 0;
  while (running > 0) {
    for (Worker& worker : workers) {
      int status = 0;
      if (worker.pid < 0 || waitpid(worker.pid, &status, WNOHANG) != worker.pid) continue;
      worker.pid = -1;
      running -= 1;
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
      failures += 1;
      tell_failure(arguments, *worker.shared, status);
      if (failures >= kFailuresMax || totals.next >= arguments.seeds) continue;
      start(arguments, worker, totals);
      running += 1;
    }
    if (seconds() - told > 5) {
      told = seconds();
      tell_progress(totals, failures, told);
    }
    poll(nullptr, 0, kLookEveryMs);
  }
  tell_happened(totals);
  tell_progress(totals, failures, seconds());
  return failures;
}

}  // namespace

int main(int count, char** words) {
  Arguments arguments;
  if (!parse(count, words, &arguments)) {
    std::fprintf(stderr,
                 "skep_sim [SEED] [--trace] | [--seeds N] [--from BASE] "
                 "[--steps TICKS] [--jobs J] [--twice] [--sqlite]\n");
    return 2;
  }
  if (!arguments.single) {
    std::printf("%llu seeds from %llu on, %llu ticks each\n",
                static_cast<unsigned long long>(arguments.seeds),
                static_cast<unsigned long long>(arguments.from),
                static_cast<unsigned long long>(arguments.steps));
  }
  return run_all(arguments) == 0 ? 0 : 1;
}
