// What a call of a driver costs, in this process and in one of its own, beside what the machine
// allows: a bare function pointer, and a bare socketpair between two processes.
//
// Rounds are interleaved, so that a busy moment of the machine falls on all of them alike.
// In-process figures are CPU time of the thread, round trips are wall time: waking somebody up is
// what they cost. They are taken twice, because a core that sleeps, of a virtual machine above all,
// wakes more slowly than a whole round trip takes. The driver is a fake in C that replies with its
// request. Usage: bench_plugin_call [ROUNDS]
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sdk/host/helper.hpp"
#include "sdk/host/instance.hpp"
#include "tests/fakes/plugins/behaviour.h"
#include "tests/fakes/plugins/crashes.h"

namespace {

using namespace skep;
using Clock = std::chrono::steady_clock;

constexpr int calls_in_round = 50'000;
constexpr int trips_in_round = 1'000;
constexpr size_t small_size = 12;
constexpr size_t large_size = 4096;
constexpr int restarts = 40;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_plugin_call: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().message);
  return std::move(*result);
}

std::string path_of(const std::string& plugin) {
  return std::string(SKEP_TEST_PLUGINS) + "/" + plugin + ".so";
}

host::Operation slot(const char* interface, size_t offset) {
  host::Operation operation;
  operation.interface = interface;
  operation.offset = static_cast<uint32_t>(offset);
  return operation;
}

double thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

struct Samples {
  std::vector<double> values;
  double quantile(double part) {
    std::sort(values.begin(), values.end());
    return values.at(static_cast<size_t>(static_cast<double>(values.size() - 1) * part));
  }
};

// ---- in this process

class Counting : public host::Listener {
 public:
  void completed(uint64_t, skep_status, std::string_view, std::string_view) override { ++ended; }
  bool emitted(uint64_t, std::string_view) override { return false; }
  bool cancelled(uint64_t) override { return false; }
  int64_t deadline_ms(uint64_t) override { return host::no_deadline; }
  void logged(uint64_t, int32_t, std::string_view) override {}
  int32_t log_level() override { return SKEP_LOG_ERROR; }
  void metric(std::string_view, int64_t, bool) override {}

  uint64_t ended = 0;
};

int64_t bare_ended = 0;

// The driver's echo and nothing around it: a function pointer, and a host that only counts.
struct BareDriver {
  skep_host host{};
  void* self = nullptr;
  skep_call echo = nullptr;

  BareDriver() {
    void* library = dlopen(path_of("fake-behaviour").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) give_up(dlerror());
    const auto query =
        reinterpret_cast<const skep_plugin* (*)()>(dlsym(library, "skep_plugin_query"));
    host.struct_size = sizeof host;
    host.abi_major = SKEP_ABI_MAJOR;
    host.complete = [](const skep_host*, skep_op*, skep_status, skep_str, skep_str) {
      ++bare_ended;
    };
    const skep_instance* instance = query()->create(&host);
    self = instance->self;
    echo =
        static_cast<const skep_test_behaviour*>(instance->get_interface(self, SKEP_TEST_BEHAVIOUR))
            ->echo;
  }
};

skep_status nothing(void*, skep_op*, skep_str) {
  return SKEP_OK;
}

template <class Function>
double ns_per_call(const Function& function) {
  const double start = thread_ns();
  for (int index = 0; index < calls_in_round; ++index) function();
  return (thread_ns() - start) / calls_in_round;
}

// ---- in a process of its own

class Waiting : public host::HelperEvents {
 public:
  void ready(const std::vector<const host::Operation*>&, std::string_view, std::string_view,
             uint32_t) override {
    is_ready = true;
  }
  void refused(Error reason) override { give_up(reason.message); }
  void completed(uint64_t number, skep_status, std::string_view, std::string_view) override {
    ended = number;
  }
  void emitted(uint64_t, std::string_view) override {}
  void logged(uint64_t, int32_t, std::string_view) override {}
  void printed(std::string_view) override {}
  void metric(std::string_view, int64_t, bool) override {}
  void lost(std::string_view) override { is_lost = true; }

  bool is_ready = false;
  bool is_lost = false;
  uint64_t ended = 0;
};

struct Process {
  Waiting events;
  std::unique_ptr<host::Helper> helper;
  uint64_t number = 0;

  explicit Process(const std::string& plugin) {
    const host::CheckedFile file = must(host::CheckedFile::open(path_of(plugin), std::nullopt));
    host::HelperOptions options;
    options.program = SKEP_TEST_PLUGIN_HOST;
    options.name = plugin;
    helper = must(host::Helper::spawn(file, must(host::read_note(file)), options, events));
    until([this] { return events.is_ready; });
  }
  template <class Done>
  void until(const Done& done) {
    while (!done()) {
      pollfd waiting{helper->descriptor(), POLLIN, 0};
      if (poll(&waiting, 1, 10'000) != 1) give_up("the helper says nothing");
      helper->turn();
    }
  }
  void trip(const host::Operation& operation, std::string_view request) {
    helper->call(operation, ++number, {}, host::no_deadline, request);
    until([this] { return events.ended == number; });
  }
};

// Two processes that send bytes back and forth over a socketpair, and do nothing else.
struct PingPong {
  int socket = -1;
  pid_t child = -1;

  PingPong() {
    std::array<int, 2> sockets{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
      give_up("no socketpair");
    }
    child = fork();
    if (child == 0) {
      close(sockets[0]);
      std::array<char, 65536> buffer;
      for (;;) {
        const ssize_t count = recv(sockets[1], buffer.data(), buffer.size(), 0);
        if (count <= 0) _exit(0);
        send(sockets[1], buffer.data(), static_cast<size_t>(count), MSG_NOSIGNAL);
      }
    }
    close(sockets[1]);
    socket = sockets[0];
  }
  ~PingPong() {
    close(socket);
    waitpid(child, nullptr, 0);
  }
  PingPong(const PingPong&) = delete;
  PingPong& operator=(const PingPong&) = delete;

  void trip(std::string_view request) const {
    send(socket, request.data(), request.size(), MSG_NOSIGNAL);
    std::array<char, 65536> buffer;
    for (size_t total = 0; total < request.size();) {
      const ssize_t count = recv(socket, buffer.data(), buffer.size(), 0);
      if (count <= 0) give_up("the other process is gone");
      total += static_cast<size_t>(count);
    }
  }
};

template <class Function>
void time_trips(Samples& samples, const Function& function) {
  for (int index = 0; index < trips_in_round; ++index) {
    const auto start = Clock::now();
    function();
    samples.values.push_back(microseconds(Clock::now() - start));
  }
}

void measure_calls(int rounds) {
  Counting& listener = *new Counting;  // Instance wants it for ever
  host::CheckedFile file = must(host::CheckedFile::open(path_of("fake-behaviour"), std::nullopt));
  host::PluginIdentity identity = must(host::read_note(file));
  const auto instance = must(host::Instance::load(std::move(file), std::move(identity), listener));
  const host::Operation echo = slot(SKEP_TEST_BEHAVIOUR, offsetof(skep_test_behaviour, echo));
  const BareDriver bare;
  const std::string request(small_size, 'x');
  const skep_str text{request.data(), request.size()};
  volatile skep_call pointer = &nothing;
  uint64_t number = 0;
  Samples empty;
  Samples direct;
  Samples full;
  for (int round = 0; round < rounds; ++round) {
    empty.values.push_back(ns_per_call([&] { pointer(nullptr, nullptr, text); }));
    direct.values.push_back(ns_per_call([&] { bare.echo(bare.self, nullptr, text); }));
    full.values.push_back(ns_per_call([&] { instance->call(echo, ++number, request); }));
  }
  if (listener.ended != number || bare_ended == 0) give_up("calls were lost");
  const double over = full.quantile(0.5) - direct.quantile(0.5);
  std::printf("in this process, CPU ns per call (median, least of %d rounds)\n", rounds);
  std::printf("  empty function by pointer          %8.1f %8.1f\n", empty.quantile(0.5),
              empty.quantile(0));
  std::printf("  the driver's function by pointer   %8.1f %8.1f\n", direct.quantile(0.5),
              direct.quantile(0));
  std::printf("  Instance::call with its Listener   %8.1f %8.1f\n", full.quantile(0.5),
              full.quantile(0));
  std::printf("  overhead                           %8.1f          goal 50\n", over);
}

// All threads of this process, and so what they start, run there from now on.
void run_on(const cpu_set_t& cores) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const pid_t thread = std::atoi(entry.path().filename().c_str());
    if (sched_setaffinity(thread, sizeof cores, &cores) != 0) give_up("sched_setaffinity");
  }
}

void measure_trips(int rounds, const char* where) {
  const PingPong bare;
  Process process("fake-behaviour");
  const host::Operation echo = slot(SKEP_TEST_BEHAVIOUR, offsetof(skep_test_behaviour, echo));
  const std::string small(small_size, 'x');
  const std::string large(large_size, 'x');
  std::array<Samples, 4> samples;
  for (int round = 0; round < rounds; ++round) {
    time_trips(samples[0], [&] { bare.trip(small); });
    time_trips(samples[1], [&] { process.trip(echo, small); });
    time_trips(samples[2], [&] { bare.trip(large); });
    time_trips(samples[3], [&] { process.trip(echo, large); });
  }
  const std::array<const char*, 4> names = {"bare socketpair, 12 B", "helper, 12 B",
                                            "bare socketpair, 4 KiB", "helper, 4 KiB"};
  std::printf("in a process of its own, %s, wall us per round trip (least, p50, p99)\n", where);
  for (size_t index = 0; index < names.size(); ++index) {
    std::printf("  %-34s %8.1f %8.1f %8.1f%s\n", names.at(index), samples.at(index).quantile(0),
                samples.at(index).quantile(0.5), samples.at(index).quantile(0.99),
                index % 2 == 1 ? "   goal 25 (p50)" : "");
  }
}

void measure_restarts() {
  const host::Operation crash = slot(SKEP_TEST_CRASHES, offsetof(skep_test_crashes, misbehave));
  const host::Operation echo = slot(SKEP_TEST_CRASHES, offsetof(skep_test_crashes, echo));
  Samples lost;
  Samples back;
  auto process = std::make_unique<Process>("fake-crashes");
  for (int count = 0; count < restarts; ++count) {
    const auto start = Clock::now();
    process->helper->call(crash, ++process->number, {}, host::no_deadline, "\"null_write\"");
    process->until([&] { return process->events.is_lost; });
    const auto gone = Clock::now();
    process = std::make_unique<Process>("fake-crashes");
    process->trip(echo, "1");
    lost.values.push_back(microseconds(gone - start) / 1000);
    back.values.push_back(microseconds(Clock::now() - gone) / 1000);
  }
  std::printf("a crash, wall ms (p50, p90, most of %d)\n", restarts);
  std::printf("  call that crashes until lost()     %8.2f %8.2f %8.2f   goal 10\n",
              lost.quantile(0.5), lost.quantile(0.9), lost.quantile(1));
  std::printf("  lost() until the next one answers  %8.2f %8.2f %8.2f   goal 50\n",
              back.quantile(0.5), back.quantile(0.9), back.quantile(1));
}

void measure_memory() {
  std::printf("memory of a helper that has answered, KiB\n");
  for (const char* plugin : {"fake-behaviour", "fake-crashes"}) {
    Process process(plugin);
    const bool in_c = std::string_view(plugin) == "fake-behaviour";
    process.trip(in_c ? slot(SKEP_TEST_BEHAVIOUR, offsetof(skep_test_behaviour, echo))
                      : slot(SKEP_TEST_CRASHES, offsetof(skep_test_crashes, echo)),
                 "1");
    std::ifstream rollup("/proc/" + std::to_string(process.helper->pid()) + "/smaps_rollup");
    std::printf("  driver in %-6s", in_c ? "C" : "C++");
    long private_kib = 0;
    for (std::string name; rollup >> name;) {
      long value = 0;
      if (name == "Rss:" || name == "Pss:") {
        rollup >> value;
        std::printf(" %s %ld ", name.c_str(), value);
      } else if (name == "Private_Clean:" || name == "Private_Dirty:") {
        rollup >> value;
        private_kib += value;
      }
    }
    std::printf(" private %ld\n", private_kib);
  }
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 21;
  if (rounds < 1) give_up("usage: bench_plugin_call [ROUNDS]");
  measure_calls(rounds);
  cpu_set_t all;
  if (sched_getaffinity(0, sizeof all, &all) != 0) give_up("sched_getaffinity");
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  run_on(one);
  measure_trips(rounds, "both on one core");
  run_on(all);
  measure_trips(rounds, "where the kernel puts them");
  measure_restarts();
  measure_memory();
  return 0;
}
