// What loading a driver changes in a process, and what its instances leave behind.
//
// A library with a run time of its own (Go, ...) changes signals and threads as it is loaded and
// can't help it; it says so with SKEP_PLUGIN_PROCESS_ONLY, lives in a helper always, and is
// excused.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <clocale>
#include <filesystem>
#include <fstream>
#include <map>

#include "sdk/conformance/generic/generic_cases.hpp"
#include "sdk/conformance/generic/raw_library.hpp"

namespace skep::conformance {
namespace {

constexpr int instances = 1000;
constexpr int instances_to_warm_up = 100;
constexpr int configured = 50;
constexpr int configured_to_warm_up = 10;
#if defined(__has_feature)
#define SKEP_HAS_FEATURE(name) __has_feature(name)
#else
#define SKEP_HAS_FEATURE(name) 0
#endif
// A sanitizer keeps freed memory for a while, and a description of it.
#if defined(__SANITIZE_ADDRESS__) || SKEP_HAS_FEATURE(address_sanitizer) || \
    SKEP_HAS_FEATURE(thread_sanitizer)
constexpr int64_t memory_max_bytes = 5 << 19;
#else
constexpr int64_t memory_max_bytes = 1 << 20;
#endif

// Everything of a process that others in it rely on, as name -> value.
using Snapshot = std::map<std::string, std::string>;

size_t count_in(const char* folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

std::string status_field(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return line.substr(name.size());
  }
  return {};
}

Snapshot snapshot() {
  Snapshot taken;
  taken["number of threads"] = std::to_string(count_in("/proc/self/task"));
  for (int number = 1; number < SIGRTMAX; ++number) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) != 0) continue;
    taken[fmt::format("disposition of signal {}", number)] = fmt::format(
        "{}/{:x}", fmt::ptr(reinterpret_cast<void*>(action.sa_handler)), action.sa_flags);
  }
  taken["blocked signals"] = status_field("SigBlk:");
  taken["umask"] = status_field("Umask:");
  taken["number of open files"] = std::to_string(count_in("/proc/self/fd"));
  taken["working directory"] = std::filesystem::current_path().string();
  taken["locale"] = setlocale(LC_ALL, nullptr);
  std::string environment;
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    environment += std::string(*one) + "\n";
  }
  taken["environment"] = std::move(environment);
  return taken;
}

std::string differences(const Snapshot& before, const Snapshot& after) {
  std::string text;
  for (const auto& [name, value] : after) {
    const std::string& old = before.at(name);
    if (old == value) continue;
    text += fmt::format("{}{}", text.empty() ? "" : "; ", name);
    if (name != "environment") text += fmt::format(" was {} and is {}", old, value);
  }
  return text;
}

Status loading_changes_nothing(Run& run) {
  const Snapshot before = snapshot();
  SKEP_TRY_ASSIGN(const skep_plugin* const plugin, open_raw(run.plugin()));
  const std::string changed = differences(before, snapshot());
  if (!changed.empty() && (plugin->flags & SKEP_PLUGIN_PROCESS_ONLY) != 0) {
    return run.skip("the driver says that it has a run time of its own: " + changed);
  }
  return run.that(changed.empty(), "the process as it was before the library was loaded", changed);
}

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

struct Use {
  size_t files = count_in("/proc/self/fd");
  size_t threads = count_in("/proc/self/task");
  int64_t memory = resident_bytes();
};

// A leak for each of `count` instances, told apart from a pool that is filled once.
Status grew(Run& run, const Use& before, const Use& after, int count, int64_t memory_max) {
  const size_t each = static_cast<size_t>(count) / 2;
  SKEP_TRY(run.that(after.files < before.files + each,
                    fmt::format("{} instances leave no open file behind", count),
                    fmt::format("{} were open before and {} after", before.files, after.files)));
  SKEP_TRY(run.that(after.threads < before.threads + each,
                    fmt::format("{} instances leave no thread behind", count),
                    fmt::format("{} ran before and {} after", before.threads, after.threads)));
  return run.that(after.memory - before.memory <= memory_max,
                  fmt::format("{} instances leave at most {} bytes behind", count, memory_max),
                  fmt::format("memory grew by {} bytes", after.memory - before.memory));
}

Status instances_leave_nothing(Run& run) {
  SKEP_TRY_ASSIGN(const skep_plugin* const plugin, open_raw(run.plugin()));
  auto* const host = new RawHost(run.plugin());  // a driver may call it late
  Use before;
  for (int i = 0; i < instances + instances_to_warm_up; ++i) {
    if (i == instances_to_warm_up) before = Use{};
    const skep_instance* const instance = plugin->create(host->table());
    SKEP_TRY(run.that(instance != nullptr, "an instance", fmt::format("NULL as number {}", i)));
    instance->destroy(instance->self);
  }
  return grew(run, before, Use{}, instances, memory_max_bytes);
}

Status configured_instances_leave_nothing(Run& run) {
  SKEP_TRY_ASSIGN(const skep_plugin* const plugin, open_raw(run.plugin()));
  if ((plugin->flags & SKEP_PLUGIN_PROCESS_ONLY) != 0) {
    return run.skip("the driver is never loaded into the host's process");
  }
  Driver& folders = run.driver();
  SKEP_TRY(folders.load());
  const json request{{"config", folders.default_config()},
                     {"run_dir", folders.run_dir()},
                     {"data_dir", folders.data_dir()},
                     {"plugin_dir", "/"},
                     {"node", "conformance"}};
  folders.drop();
  auto* const host = new RawHost(run.plugin());
  Use before;
  for (int i = 0; i < configured + configured_to_warm_up; ++i) {
    if (i == configured_to_warm_up) before = Use{};
    const skep_instance* const instance = plugin->create(host->table());
    SKEP_TRY(run.that(instance != nullptr, "an instance", fmt::format("NULL as number {}", i)));
    const RawHost::End end = call_raw(*host, *instance, base("configure"), request.dump());
    SKEP_TRY(run.that(end.status == SKEP_OK, "configure succeeds with a host without extensions",
                      fmt::format("{} {}", status_name(end.status), end.error)));
    instance->destroy(instance->self);
  }
  return grew(run, before, Use{}, configured, 4 * memory_max_bytes);
}

}  // namespace

std::vector<Case> load_cases() {
  return {
      {"generic.load.unchanged",
       "loading changes no thread, signal, file, directory, umask, locale or environment",
       {rule(27)},
       loading_changes_nothing},
      {"generic.load.thousand-instances",
       "a thousand instances leave nothing behind",
       {rule(24)},
       instances_leave_nothing},
      {"generic.load.configured-instances",
       "instances that were configured leave nothing behind",
       {rule(24)},
       configured_instances_leave_nothing},
  };
}

}  // namespace skep::conformance
