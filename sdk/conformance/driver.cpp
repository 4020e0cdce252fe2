// The face's calls in terms of an engine and a ledger, and what is watched on every answer.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "sdk/conformance/child.hpp"
#include "sdk/conformance/engine.hpp"
#include "sdk/conformance/schema.hpp"

namespace skep::conformance {
namespace {

constexpr int64_t patience_after_deadline_ms = 2'000;
constexpr int64_t patience_without_deadline_ms = 30'000;
constexpr auto ready_patience = std::chrono::seconds(10);
constexpr auto probe_pause = std::chrono::milliseconds(20);

// What the host says for a driver that gave none.
constexpr std::string_view no_reason = " and no reason";

}  // namespace

const host::Operation& base(std::string_view name) {
  const host::Operation* const found = host::find_operation(SKEP_BASE_1, name);
  SKEP_ASSERT(found != nullptr, "an operation of skep.base/1");
  return *found;
}

Driver::Driver(const Plugin& plugin, Mode mode, std::string folder,
               std::vector<Observation>& observations)
    : plugin_(plugin), mode_(mode), folder_(std::move(folder)), observations_(observations) {
  std::filesystem::create_directories(run_dir());
  std::filesystem::create_directories(data_dir());
}

Driver::~Driver() {
  drop();
  for (std::unique_ptr<Ledger>& ledger : ledgers_) {
    ledger->with([this](Ledger& book) {
      observations_.insert(observations_.end(), book.seen.begin(), book.seen.end());
      book.seen.clear();
    });
    if (mode_ == Mode::in_process) static_cast<void>(ledger.release());
  }
}

Status Driver::load(const LoadOptions& options) {
  drop();
  ledger_ = ledgers_.emplace_back(std::make_unique<Ledger>()).get();
  SKEP_TRY_ASSIGN(engine_, mode_ == Mode::process ? start_helper(plugin_, options, *ledger_)
                                                  : start_here(plugin_, options, *ledger_));
  return {};
}

json Driver::default_config() const {
  if (plugin_.config.is_object()) return plugin_.config;
  return defaults_of(config_schema());
}

Outcome Driver::configure(const std::optional<json>& config) {
  return call(base("configure"),
              {{"config", config ? *config : default_config()},
               {"run_dir", run_dir()},
               {"data_dir", data_dir()},
               {"plugin_dir", std::filesystem::path(plugin_.path).parent_path().string()},
               {"node", "conformance"}});
}

Outcome Driver::restore(const json& request) {
  return call(base("restore"), request);
}

Outcome Driver::restore_done(const std::vector<std::string>& ids) {
  return call(base("restore_done"), {{"ids", ids}});
}

Status Driver::until_ready() {
  const auto until = Clock::now() + ready_patience;
  for (;;) {
    const Outcome probed = call(base("probe"), json::object());
    const std::string state = probed.text("state");
    if (probed.ok() && state == "ready") return {};
    const bool later = probed.ok() ? state == "not_ready" : probed.status == SKEP_E_UNAVAILABLE;
    if (!later || Clock::now() > until) {
      return fail(ErrorKind::unavailable,
                  fmt::format("the driver is not ready: probe came to {}", described(probed)));
    }
    std::this_thread::sleep_for(probe_pause);
  }
}

Status Driver::start(const LoadOptions& options) {
  SKEP_TRY(load(options));
  for (const Outcome& outcome : {configure(), restore_done({})}) {
    if (outcome.ok() || outcome.status == SKEP_E_UNIMPLEMENTED) continue;
    return fail(ErrorKind::unavailable,
                fmt::format("{} of a fresh driver with {} came to {}", outcome.operation->name,
                            shortened(outcome.request), described(outcome)));
  }
  return until_ready();
}

void Driver::drop() {
  if (!engine_) return;
  if (!lost().empty()) {
    engine_.reset();
    return;
  }
  // As a host does; a case that found something returned with its streams and waits open.
  std::vector<uint64_t> endless;
  ledger_->with([&](Ledger& book) {
    for (const auto& [number, entry] : book.entries) {
      const host::Effect effect = entry.operation->effect;
      const bool open = !entry.ended && !entry.cancelled;
      if (open && (effect == host::Effect::waits || effect == host::Effect::streams)) {
        endless.push_back(number);
      }
    }
  });
  for (const uint64_t number : endless) cancel(number);
  const bool quiet = engine_->end();
  ledger_->close();
  if (!quiet) {
    observations_.push_back({24, "the instance did not end within its time after its last call"});
  }
  engine_.reset();
}

void Driver::kill() {
  SKEP_ASSERT(engine_ != nullptr && mode_ == Mode::process, "a helper process to kill");
  engine_->kill();
  engine_.reset();
  ledger_->close();
}

std::string Driver::lost() const {
  if (ledger_ == nullptr) return {};
  return ledger_->with([](Ledger& book) { return book.how_lost.value_or(std::string()); });
}

bool Driver::has(const host::Operation& operation) const {
  return std::ranges::any_of(engine_->loaded().present,
                             [&](const host::Operation* one) { return *one == operation; });
}

const std::string& Driver::config_schema() const {
  return engine_->loaded().config_schema;
}
const std::string& Driver::options_schema() const {
  return engine_->loaded().options_schema;
}
uint32_t Driver::flags() const {
  return engine_->loaded().flags;
}
pid_t Driver::pid() const {
  return engine_->loaded().pid;
}

std::chrono::milliseconds at_most(const Plugin& plugin, int64_t patience_ms) {
  const bool shorter = plugin.patience_ms > 0 && plugin.patience_ms < patience_ms;
  return std::chrono::milliseconds(shorter ? plugin.patience_ms : patience_ms);
}

Outcome Driver::call(const host::Operation& operation, const json& request,
                     const CallOptions& options) {
  return wait(begin(operation, request, options));
}

Outcome Driver::call_text(const host::Operation& operation, std::string_view request,
                          const CallOptions& options) {
  return wait(begin_text(operation, request, options));
}

uint64_t Driver::begin(const host::Operation& operation, const json& request,
                       const CallOptions& options) {
  return begin_text(operation, request.dump(-1, ' ', false, json::error_handler_t::replace),
                    options);
}

uint64_t Driver::begin_text(const host::Operation& operation, std::string_view request,
                            const CallOptions& options) {
  SKEP_ASSERT(engine_ != nullptr, "a loaded driver");
  const int64_t deadline = options.deadline_ms.value_or(operation.deadline_ms);
  const int64_t patience =
      deadline < 0 ? patience_without_deadline_ms : deadline + patience_after_deadline_ms;
  const std::chrono::milliseconds most = at_most(plugin_, options.patience_ms.value_or(patience));

  Entry entry;
  entry.operation = &operation;
  entry.request = request;
  entry.begun = Clock::now();
  entry.patience = entry.begun + most;
  entry.deadline_ms = deadline < 0 ? host::no_deadline : monotonic_ms() + deadline;
  const int64_t absolute = entry.deadline_ms;
  const uint64_t number = ledger_->open(std::move(entry));
  if (plugin_.crumb) {
    plugin_.crumb->write(fmt::format("{} with {}", operation.name, shortened(request)));
  }

  // Only calls that change an object are kept in order by the host; see skep/abi.h.
  std::string key;
  if (operation.effect == host::Effect::changes && !operation.key.empty()) {
    const json document = json::parse(request, nullptr, false);
    if (document.is_object() && document.contains(std::string(operation.key)) &&
        document[std::string(operation.key)].is_string()) {
      key = document[std::string(operation.key)].get<std::string>();
    }
  }
  engine_->call(operation, number, key, absolute, request);
  return number;
}

Outcome Driver::wait(uint64_t number, std::optional<int64_t> patience_ms) {
  const Clock::time_point until =
      patience_ms ? Clock::now() + at_most(plugin_, *patience_ms)
                  : ledger_->with([&](Ledger& book) { return book.entries.at(number).patience; });
  // A killed or dropped driver has no engine any more; its ledger knows how everything ended.
  if (engine_) {
    engine_->wait_until([&] { return ledger_->entries.at(number).ended; }, until);
  }
  return outcome_of(number);
}

bool Driver::ended(uint64_t number) {
  if (engine_) engine_->wait_until([&] { return ledger_->entries.at(number).ended; }, Clock::now());
  return ledger_->with([&](Ledger& book) { return book.entries.at(number).ended; });
}

std::optional<json> Driver::item(uint64_t number, int64_t patience_ms) {
  const auto there = [&] {
    const Entry& entry = ledger_->entries.at(number);
    return !entry.items.empty() || entry.ended;
  };
  if (engine_) {
    engine_->wait_until(there, Clock::now() + at_most(plugin_, patience_ms));
  }
  std::optional<std::string> text;
  const host::Operation* operation = nullptr;
  ledger_->with([&](Ledger& book) {
    Entry& entry = book.entries.at(number);
    operation = entry.operation;
    if (entry.items.empty()) return;
    text = std::move(entry.items.front());
    entry.items.pop_front();
  });
  if (!text) return std::nullopt;
  if (const std::optional<std::string> wrong = check_item(*operation, *text)) {
    observations_.push_back(
        {9, fmt::format("an item of {} {}: {}", operation->name, *wrong, shortened(*text))});
  }
  return json::parse(*text, nullptr, false);
}

void Driver::cancel(uint64_t number) {
  ledger_->with([&](Ledger& book) { book.entries.at(number).cancelled = true; });
  if (engine_) engine_->cancel(number);
}

void Driver::listen(int64_t for_ms) {
  const auto until = Clock::now() + std::chrono::milliseconds(for_ms);
  if (engine_) {
    engine_->wait_until([] { return false; }, until);
  } else if (ledger_ != nullptr) {
    ledger_->wait_until([] { return false; }, until);
  }
}

std::vector<Observation> Driver::misdeeds() const {
  std::vector<Observation> all;
  for (const std::unique_ptr<Ledger>& ledger : ledgers_) {
    ledger->with([&](Ledger& book) { all.insert(all.end(), book.seen.begin(), book.seen.end()); });
  }
  return all;
}

std::vector<LogLine> Driver::log() const {
  if (ledger_ == nullptr) return {};
  return ledger_->with([](Ledger& book) { return book.lines; });
}

std::map<std::string, int64_t> Driver::metrics() const {
  if (ledger_ == nullptr) return {};
  return ledger_->with([](Ledger& book) { return book.metrics; });
}

void Driver::set_log_level(int32_t level) {
  ledger_->with([&](Ledger& book) { book.log_level = level; });
  engine_->set_log_level(level);
}

Outcome Driver::outcome_of(uint64_t number) {
  Outcome outcome;
  ledger_->with([&](Ledger& book) {
    const Entry& entry = book.entries.at(number);
    outcome.operation = entry.operation;
    outcome.request = entry.request;
    outcome.answered = entry.ended;
    outcome.status = entry.ended ? entry.status : SKEP_E_DEADLINE;
    outcome.error = entry.error;
    outcome.reply_text = entry.reply;
    const auto end = entry.ended ? entry.end : Clock::now();
    outcome.took_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - entry.begun).count();
  });
  outcome.reply = json::parse(outcome.reply_text, nullptr, false);
  if (outcome.reply.is_discarded()) outcome.reply = nullptr;
  watch(outcome);
  return outcome;
}

void Driver::watch(const Outcome& outcome) {
  if (!outcome.answered || outcome.lost()) return;
  const auto seen = [&](int broken, std::string_view what) {
    observations_.push_back(
        {broken, fmt::format("{} with {} {}; it came to {}", outcome.operation->name,
                             shortened(outcome.request), what, described(outcome))});
  };
  if (outcome.ok()) {
    if (const auto wrong = check_reply(*outcome.operation, outcome.reply_text)) seen(9, *wrong);
    return;
  }
  if (outcome.error.empty() || outcome.error.ends_with(no_reason)) {
    seen(18, "failed without a sentence");
  }
}

}  // namespace skep::conformance
