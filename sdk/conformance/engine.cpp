// The ledger, and the in-process engine.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/engine.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "sdk/host/worker_pool.hpp"

namespace skep::conformance {
namespace {

constexpr size_t workers_max = 32;
constexpr std::chrono::milliseconds end_patience = std::chrono::seconds(10);
constexpr size_t text_kept = 200;  // of a driver's text in an observation, bytes

// What the host finds wrong with a driver's words it tells in the driver's own log.
constexpr std::string_view misbehaving = "plugin misbehaving: ";

int rule_of_misbehaviour(std::string_view line) {
  const auto says = [line](std::string_view words) {
    return line.find(words) != std::string_view::npos;
  };
  if (says(" threw ")) return 21;
  if (says("a figure is named")) return 45;
  if (says("over the limit")) return 19;
  if (says("not UTF-8")) return 9;
  if (says("completed with status")) return 18;
  return 11;
}

}  // namespace

host::CheckedFile::LoadBy load_by(bool debug) {
  return debug ? host::CheckedFile::LoadBy::path : host::CheckedFile::LoadBy::descriptor;
}

int64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

uint64_t Ledger::open(Entry entry) {
  const std::lock_guard lock(mutex_);
  const uint64_t number = ++last_;
  entries.emplace(number, std::move(entry));
  if (how_lost) {
    Entry& dead = entries.at(number);
    dead.ended = true;
    dead.end = Clock::now();
    dead.status = SKEP_E_PLUGIN_LOST;
    dead.error = *how_lost;
  }
  return number;
}

void Ledger::completed(uint64_t number, skep_status status, std::string_view reply,
                       std::string_view error) {
  const std::lock_guard lock(mutex_);
  const auto found = entries.find(number);
  if (found == entries.end()) {
    note(11, fmt::format("an operation that was never begun was completed with \"{}\"",
                         shortened(reply.empty() ? error : reply, text_kept)));
    return;
  }
  Entry& entry = found->second;
  if (entry.ended) {
    // A helper that is being killed may have answered meanwhile; that is no second end.
    if (entry.status == SKEP_E_PLUGIN_LOST) return;
    note(11, fmt::format("{} with {} was completed {} with {} \"{}\"", entry.operation->name,
                         shortened(entry.request, text_kept),
                         closed_ ? "after the instance's end" : "a second time",
                         status_name(status), shortened(reply.empty() ? error : reply, text_kept)));
    return;
  }
  if (closed_) {
    note(11, fmt::format("{} with {} was completed after the instance's end", entry.operation->name,
                         shortened(entry.request, text_kept)));
  }
  entry.ended = true;
  entry.end = Clock::now();
  entry.status = status;
  entry.reply = reply;
  entry.error = error;
  changed_.notify_all();
}

void Ledger::emitted(uint64_t number, std::string_view item) {
  const std::lock_guard lock(mutex_);
  const auto found = entries.find(number);
  if (found == entries.end() || found->second.ended || closed_) {
    note(15, fmt::format("an item came for an operation that has ended: {}",
                         shortened(item, text_kept)));
    return;
  }
  found->second.items.emplace_back(item);
  changed_.notify_all();
}

void Ledger::logged(uint64_t number, int32_t level, std::string_view message) {
  const std::lock_guard lock(mutex_);
  if (message.starts_with(misbehaving)) {
    note(rule_of_misbehaviour(message), std::string(message.substr(misbehaving.size())));
    return;
  }
  if (number != 0) {
    const auto found = entries.find(number);
    if (found == entries.end()) {
      note(44, fmt::format("a log line names an operation that was never begun: {}",
                           shortened(message, text_kept)));
    }
  }
  lines.push_back({number, level, std::string(message)});
}

void Ledger::metric(std::string_view name, int64_t value, bool set) {
  const std::lock_guard lock(mutex_);
  int64_t& figure = metrics[std::string(name)];
  figure = set ? value : figure + value;
}

void Ledger::lost(std::string_view how) {
  const std::lock_guard lock(mutex_);
  how_lost = how;
  for (auto& [number, entry] : entries) {
    if (entry.ended) continue;
    entry.ended = true;
    entry.end = Clock::now();
    entry.status = SKEP_E_PLUGIN_LOST;
    entry.error = how;
  }
  changed_.notify_all();
}

void Ledger::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

bool Ledger::wait_until(const std::function<bool()>& done, Clock::time_point until) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, until, done);
}

namespace {

// What an instance in this process calls. Lives as long as the process, like its ledger.
class Ear : public host::Listener {
 public:
  explicit Ear(Ledger& ledger) : ledger_(ledger) {}
  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error) override {
    ledger_.completed(number, status, reply, error);
  }
  bool emitted(uint64_t number, std::string_view item) override {
    ledger_.emitted(number, item);
    return false;
  }
  bool cancelled(uint64_t number) override {
    return ledger_.with([number](Ledger& book) {
      const auto found = book.entries.find(number);
      return found == book.entries.end() || found->second.cancelled;
    });
  }
  int64_t deadline_ms(uint64_t number) override {
    return ledger_.with([number](Ledger& book) {
      const auto found = book.entries.find(number);
      return found == book.entries.end() ? host::no_deadline : found->second.deadline_ms;
    });
  }
  void logged(uint64_t number, int32_t level, std::string_view message) override {
    ledger_.logged(number, level, message);
  }
  int32_t log_level() override {
    return ledger_.with([](Ledger& book) { return book.log_level; });
  }
  void metric(std::string_view name, int64_t value, bool set) override {
    ledger_.metric(name, value, set);
  }

 private:
  Ledger& ledger_;
};

class InProcess : public Engine {
 public:
  InProcess(std::unique_ptr<host::Instance> instance, Ledger& ledger,
            std::chrono::milliseconds patience)
      : ledger_(ledger),
        patience_(patience),
        instance_(std::move(instance)),
        pool_(std::make_unique<host::WorkerPool>(workers_max)) {
    const skep_plugin& descriptor = instance_->descriptor();
    for (const host::Interface& interface : host::interfaces()) {
      for (const host::Operation& operation : interface.operations) {
        if (instance_->has(operation)) loaded_.present.push_back(&operation);
      }
    }
    const auto text = [](const char* word) { return std::string(word == nullptr ? "" : word); };
    loaded_.config_schema = text(descriptor.config_schema);
    loaded_.flags = descriptor.flags;
    if (SKEP_HAS(&descriptor, skep_plugin, options_schema)) {
      loaded_.options_schema = text(descriptor.options_schema);
    }
    loaded_.pid = getpid();
  }
  ~InProcess() override {
    if (instance_) end();
  }

  void call(const host::Operation& operation, uint64_t number, std::string_view key, int64_t,
            std::string_view request) override {
    const bool ordered = (loaded_.flags & SKEP_PLUGIN_CONCURRENT) == 0;
    pool_->run(ordered && !key.empty() ? std::string(key) : std::string(),
               [instance = instance_.get(), &operation, number, text = std::string(request)] {
                 instance->call(operation, number, text);
               });
  }
  void cancel(uint64_t number) override { instance_->cancel(number); }
  void set_log_level(int32_t) override {}  // Ear reads it from the ledger
  bool wait_until(const std::function<bool()>& done, Clock::time_point until) override {
    return ledger_.wait_until(done, until);
  }
  bool end() override {
    const auto all_ended = [this] {
      return std::ranges::all_of(ledger_.entries, [](const auto& one) { return one.second.ended; });
    };
    const bool quiet =
        ledger_.wait_until(all_ended, Clock::now() + patience_) && pool_->close(patience_);
    if (quiet) {
      instance_.reset();
      pool_.reset();
    } else {
      // A thread is still inside the driver: the instance has to stay, and the process ends soon.
      static_cast<void>(instance_.release());
      static_cast<void>(pool_.release());
    }
    return quiet;
  }
  void kill() override { SKEP_ASSERT(false, "a driver in this process can't be killed alone"); }

 private:
  Ledger& ledger_;
  const std::chrono::milliseconds patience_;
  std::unique_ptr<host::Instance> instance_;
  std::unique_ptr<host::WorkerPool> pool_;
};

}  // namespace

Result<std::unique_ptr<Engine>> start_here(const Plugin& plugin, const LoadOptions& options,
                                           Ledger& ledger) {
  // Who asks for one process has a debugger in mind.
  const bool debug = options.debug || plugin.mode == Mode::in_process;
  SKEP_TRY_ASSIGN(host::CheckedFile file,
                  host::CheckedFile::open(plugin.path, std::nullopt, load_by(debug)));
  auto* const ear = new Ear(ledger);  // for the life of the process, as the listener must
  SKEP_TRY_ASSIGN(std::unique_ptr<host::Instance> instance,
                  host::Instance::load(std::move(file), plugin.identity, *ear, options.shape));
  const auto patience =
      plugin.patience_ms > 0 ? std::chrono::milliseconds(plugin.patience_ms) : end_patience;
  return std::make_unique<InProcess>(std::move(instance), ledger, patience);
}

}  // namespace skep::conformance
