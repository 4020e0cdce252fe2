// The engine over a helper process: polls its socket whenever a case waits.
//
// The helper writes nothing into the ledger unless somebody waits; what a driver says meanwhile
// lies in the socket. That is enough, because cases wait for all they want to know.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sdk/conformance/engine.hpp"

namespace skep::conformance {
namespace {

constexpr auto load_patience = std::chrono::seconds(20);
constexpr std::chrono::milliseconds end_patience = std::chrono::seconds(10);

class HelperProcess : public Engine, private host::HelperEvents {
 public:
  explicit HelperProcess(Ledger& ledger) : ledger_(ledger) {}
  ~HelperProcess() override {
    if (helper_ && !gone_) kill();
  }

  Status start(const Plugin& plugin, const LoadOptions& options) {
    if (plugin.patience_ms > 0) patience_ = std::chrono::milliseconds(plugin.patience_ms);
    SKEP_TRY_ASSIGN(const host::CheckedFile file,
                    host::CheckedFile::open(plugin.path, std::nullopt, load_by(options.debug)));
    host::HelperOptions wanted;
    wanted.program = plugin.host_program;
    wanted.name = plugin.identity.id;
    wanted.log_level = SKEP_LOG_DEBUG;
    wanted.shape = options.shape;
    wanted.debug = options.debug;
    wanted.limits.address_space_bytes = options.address_space_bytes;
    SKEP_TRY_ASSIGN(helper_, host::Helper::spawn(file, plugin.identity, wanted, *this));
    const bool told =
        turn_until([this] { return ready_ || refusal_ || gone_; }, Clock::now() + load_patience);
    if (refusal_) return fail(*refusal_);
    if (gone_) {
      return fail(ErrorKind::plugin_lost,
                  fmt::format("the helper ended while it loaded the driver: {}", how_));
    }
    if (!told) return fail(ErrorKind::deadline, "the helper did not load the driver within 20 s");
    loaded_.pid = helper_->pid();
    return {};
  }

  void call(const host::Operation& operation, uint64_t number, std::string_view key,
            int64_t deadline_ms, std::string_view request) override {
    if (!gone_) helper_->call(operation, number, key, deadline_ms, request);
  }
  void cancel(uint64_t number) override {
    if (!gone_) helper_->cancel(number);
  }
  void set_log_level(int32_t level) override {
    if (!gone_) helper_->set_log_level(level);
  }
  bool wait_until(const std::function<bool()>& done, Clock::time_point until) override {
    return turn_until([&] { return ledger_.with([&](Ledger&) { return done(); }); }, until);
  }
  bool end() override {
    if (gone_) return true;
    helper_->end();
    if (turn_until([this] { return gone_; }, Clock::now() + patience_)) return true;
    kill();
    return false;
  }
  void kill() override {
    if (gone_) return;
    helper_->kill();
    turn_until([this] { return gone_; }, Clock::now() + end_patience);
  }

 private:
  // Polls and turns until `done()`; at least once, so that what has come is heard.
  bool turn_until(const std::function<bool()>& done, Clock::time_point until) {
    for (bool first = true;; first = false) {
      if (!first && done()) return true;
      if (gone_) return done();
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      if (!first && left <= 0) return false;
      pollfd socket{helper_->descriptor(), POLLIN, 0};
      const int wait = first ? 0 : static_cast<int>(std::min<int64_t>(left, 1'000));
      if (poll(&socket, 1, wait) > 0) helper_->turn();
    }
  }

  void ready(const std::vector<const host::Operation*>& present, std::string_view config_schema,
             std::string_view options_schema, uint32_t flags) override {
    loaded_.present = present;
    loaded_.config_schema = config_schema;
    loaded_.options_schema = options_schema;
    loaded_.flags = flags;
    ready_ = true;
  }
  void refused(Error reason) override { refusal_ = std::move(reason); }
  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error) override {
    ledger_.completed(number, status, reply, error);
  }
  void emitted(uint64_t number, std::string_view item) override { ledger_.emitted(number, item); }
  void logged(uint64_t number, int32_t level, std::string_view message) override {
    ledger_.logged(number, level, message);
  }
  void printed(std::string_view line) override { ledger_.logged(0, SKEP_LOG_INFO, line); }
  void metric(std::string_view name, int64_t value, bool set) override {
    ledger_.metric(name, value, set);
  }
  void lost(std::string_view how) override {
    how_ = how;
    gone_ = true;
    ledger_.lost(how);
  }

  Ledger& ledger_;
  std::chrono::milliseconds patience_ = end_patience;
  std::unique_ptr<host::Helper> helper_;
  std::optional<Error> refusal_;
  std::string how_;
  bool ready_ = false;
  bool gone_ = false;
};

}  // namespace

Result<std::unique_ptr<Engine>> start_helper(const Plugin& plugin, const LoadOptions& options,
                                             Ledger& ledger) {
  auto engine = std::make_unique<HelperProcess>(ledger);
  SKEP_TRY(engine->start(plugin, options));
  return engine;
}

}  // namespace skep::conformance
