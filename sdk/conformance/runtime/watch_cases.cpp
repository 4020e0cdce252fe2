// Events and stats: what a host sees of containers without asking each.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "sdk/conformance/runtime/runtime_kind.hpp"

namespace skep::conformance {
namespace {

constexpr int fast_tasks = 100;
constexpr int at_once = 10;
constexpr int64_t item_patience_ms = 10'000;
constexpr std::array<std::string_view, 4> life_order{"create", "start", "exit", "delete"};

// Opens the stream and waits for the gap that says that it stands.
Result<uint64_t> watching(Run& run, Driver& driver) {
  const uint64_t events = driver.begin(runtime("events"), json::object());
  const std::optional<json> first = driver.item(events, item_patience_ms);
  SKEP_TRY(run.that(first && first->at("type") == "gap", "a gap first of all",
                    first ? shortened(first->dump()) : "no item"));
  return events;
}

// A cancelled stream ends as cancelled.
Status ended(Run& run, Driver& driver, uint64_t stream) {
  driver.cancel(stream);
  return run.fails(driver.wait(stream, item_patience_ms), {SKEP_E_CANCELLED});
}

// The life of `at_once` containers numbered from `from`, each step for all of them together.
Status fast_lives(Run& run, Driver& driver, int from) {
  std::vector<json> requests;
  for (int i = 0; i < at_once; ++i) {
    SKEP_TRY_ASSIGN(json request, container_request(run, from + i, "exit 0"));
    requests.push_back(std::move(request));
  }
  for (const char* const step : {"create", "start", "wait", "remove"}) {
    std::vector<uint64_t> numbers;
    for (const json& request : requests) {
      const bool whole = std::string_view(step) == "create";
      numbers.push_back(
          driver.begin(runtime(step), whole ? request : json{{"id", request.at("id")}}));
    }
    for (const uint64_t number : numbers) SKEP_TRY(run.ok(driver.wait(number)));
  }
  return {};
}

Status order(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const uint64_t events, watching(run, *driver));
  for (int from = 0; from < fast_tasks; from += at_once) {
    SKEP_TRY(fast_lives(run, *driver, from));
  }
  std::map<std::string, size_t> reached;  // how many of life_order each id has shown
  for (int i = 0; i < fast_tasks; ++i) reached[container_id(run, i)] = 0;
  size_t whole = 0;
  int64_t seq = -1;
  while (whole < reached.size()) {
    const std::optional<json> item = driver->item(events, item_patience_ms);
    SKEP_TRY(run.that(item.has_value(), fmt::format("the ends of {} tasks", fast_tasks),
                      fmt::format("those of {}, and no item for 10 s", whole)));
    const int64_t now = item->at("seq").get<int64_t>();
    SKEP_TRY(run.that(now > seq, "seq grows with each item", shortened(item->dump())));
    seq = now;
    const auto known = reached.find(item->value("id", ""));
    const auto place = std::ranges::find(life_order, item->at("type").get<std::string>());
    if (known == reached.end() || place == life_order.end() || item->contains("exec_id")) continue;
    const size_t step = static_cast<size_t>(place - life_order.begin());
    if (step < known->second) continue;  // at least once: a repetition
    SKEP_TRY(run.that(step == known->second, fmt::format("{} next", life_order[known->second]),
                      shortened(item->dump())));
    if (++known->second == life_order.size()) ++whole;
  }
  return ended(run, *driver, events);
}

Status exit_code_in_events(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const uint64_t events, watching(run, *driver));
  SKEP_TRY_ASSIGN(const std::string id, run_container(run, *driver, 0, "exit 33"));
  for (;;) {
    const std::optional<json> item = driver->item(events, item_patience_ms);
    SKEP_TRY(run.that(item.has_value(), "an exit item", "no item for 10 s"));
    if (item->value("id", "") != id || item->at("type") != "exit") continue;
    SKEP_TRY(run.that(item->value("exit_code", -1) == 33, "exit code 33 in the item",
                      shortened(item->dump())));
    SKEP_TRY(ended(run, *driver, events));
    return remove_container(run, *driver, id);
  }
}

Status fingerprint(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const uint64_t stream = driver->begin(runtime("fingerprint"), json::object());
  const std::optional<json> first = driver->item(stream, item_patience_ms);
  SKEP_TRY(run.that(first && first->value("healthy", false) && first->contains("name"),
                    "at once an item that names the runtime and says healthy",
                    first ? shortened(first->dump()) : "no item"));
  return ended(run, *driver, stream);
}

Status stats(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string id,
                  run_container(run, *driver, 0, ": > /marks/up; exec sleep 1000"));
  SKEP_TRY(await_mark(run, 0, "up"));
  const Outcome told =
      driver->call(runtime("stats"), {{"ids", {container_id(run, 1), id, container_id(run, 2)}}});
  SKEP_TRY(run.ok(told));
  const json all = told.member("stats");
  SKEP_TRY(run.that(all.size() == 1 && all[0].at("id") == id, "the running one alone",
                    shortened(all.dump()), told));
  SKEP_TRY(run.that(all[0].at("memory_bytes") > 0 && all[0].at("pids") >= 1,
                    "its memory, and a process", shortened(all.dump()), told));
  return remove_container(run, *driver, id);
}

}  // namespace

std::vector<Case> runtime_watch_cases() {
  const Rule events{"runtime.h events",
                    "a gap first; then create < start < exit < delete for each container, at least "
                    "once, with growing seq"};
  const Rule fingerprint_rule{"runtime.h fingerprint", "the first item at once"};
  const Rule stats_rule{"runtime.h stats", "absent ids are skipped"};
  std::vector<Case> cases{
      {"runtime.events.order", "a hundred fast tasks are told in order", {events, rule(15)}, order},
      {"runtime.events.exit-code", "the exit item has the code", {events}, exit_code_in_events},
      {"runtime.fingerprint.first",
       "who the runtime is, is told at once",
       {fingerprint_rule},
       fingerprint},
      {"runtime.stats.absent", "stats tell of those that are there", {stats_rule}, stats},
  };
  cases.front().limit_s = 180;
  return cases;
}

}  // namespace skep::conformance
