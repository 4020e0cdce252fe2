// The ear, and the pool in front of the instance.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/in_process.hpp"

#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "daemon/drivers/first_steps.hpp"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;

constexpr size_t workers_max = 32;                        // threads of one plugin
constexpr std::chrono::milliseconds end_patience{5'000};  // for a driver to let go of its calls

// Whatever a driver may still use after its instance was destroyed. Nothing is ever taken out, and
// the list itself outlives the process's own destructors. [any thread]
template <class T>
T& keep_for_ever(std::unique_ptr<T> thing) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<T>>;
  const std::lock_guard lock(mutex);
  return *kept->emplace_back(std::move(thing));
}

class Ear final : public host::Listener {
 public:
  explicit Ear(std::shared_ptr<CallTable> table) : table_(std::move(table)) {}

  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error) override {
    table_->complete(number, status, reply, error);
  }
  bool emitted(uint64_t number, std::string_view item) override {
    return table_->emit(number, item);
  }
  bool cancelled(uint64_t number) override { return table_->is_cancelled(number); }
  int64_t deadline_ms(uint64_t number) override { return table_->deadline_ms(number); }
  void logged(uint64_t number, int32_t level, std::string_view message) override {
    table_->log.line(number, level, message);
  }
  int32_t log_level() override { return table_->log.level(); }
  void metric(std::string_view name, int64_t value, bool set) override {
    table_->note_metric(name, value, set);
  }

 private:
  std::shared_ptr<CallTable> table_;
};

DriverFacts facts_of(const skep_plugin& plugin) {
  DriverFacts facts;
  facts.known = true;
  if (SKEP_HAS(&plugin, skep_plugin, config_schema)) facts.config_schema = plugin.config_schema;
  if (SKEP_HAS(&plugin, skep_plugin, options_schema)) facts.options_schema = plugin.options_schema;
  if (plugin.struct_size >= offsetof(skep_plugin, flags) + sizeof(plugin.flags)) {
    facts.flags = plugin.flags;
  }
  return facts;
}

}  // namespace

InProcess::InProcess(PluginConfig config, std::string content, std::shared_ptr<CallTable> table,
                     std::unique_ptr<host::Instance> instance)
    : config_(std::move(config)),
      content_(std::move(content)),
      table_(std::move(table)),
      identity_(instance->identity()),
      facts_(facts_of(instance->descriptor())),
      instance_(std::move(instance)),
      workers_(std::make_unique<host::WorkerPool>(workers_max)) {}

Result<std::shared_ptr<InProcess>> InProcess::load(PluginConfig config, host::CheckedFile file,
                                                   host::PluginIdentity identity,
                                                   std::shared_ptr<CallTable> table) {
  SKEP_TRY_ASSIGN(std::string content, host::sha256_of(file.descriptor()));
  Ear& ear = keep_for_ever(std::make_unique<Ear>(table));
  SKEP_TRY_ASSIGN(std::unique_ptr<host::Instance> instance,
                  host::Instance::load(std::move(file), std::move(identity), ear));
  return std::shared_ptr<InProcess>(
      new InProcess(std::move(config), std::move(content), std::move(table), std::move(instance)));
}

InProcess::~InProcess() {
  stop();
}

void InProcess::stop() {
  if (!instance_) return;
  // What is pending ends only when the driver hears of it.
  for (const uint64_t number : table_->cancel_all()) instance_->cancel(number);
  const bool returned = workers_->close(end_patience);
  if (returned && table_->wait_until_idle(end_patience)) {
    instance_.reset();
    return;
  }
  table_->log.line(0, SKEP_LOG_ERROR,
                   "does not end its calls; its instance stays until the process ends");
  // Left alone on purpose: a thread inside the driver still uses all of it.
  static_cast<void>(instance_.release());
  static_cast<void>(workers_.release());
}

asio::awaitable<Status> InProcess::configure(PluginPlace place) {
  std::string schema = facts_.config_schema;
  return configure_driver(shared_from_this(), table_, config_, std::move(place), std::move(schema));
}

asio::awaitable<Status> InProcess::came_up(std::optional<std::chrono::steady_clock::time_point>) {
  co_return Status();
}

void InProcess::start(std::shared_ptr<PendingCall> call) {
  // A driver that locks for itself asks for no order.
  std::string key = (facts_.flags & SKEP_PLUGIN_CONCURRENT) != 0 ? std::string() : call->key;
  const uint64_t number = call->number;
  const bool taken = instance_ && workers_->run(std::move(key), [table = table_,
                                                                 instance = instance_.get(), call] {
    if (call->cancelled) {
      table->finish(call->number,
                    fail(ErrorKind::cancelled, "nobody waits for this call any more"));
      return;
    }
    instance->call(*call->operation, call->number, call->request);
  });
  if (!taken) table_->finish(number, fail(ErrorKind::cancelled, "the driver is being ended"));
}

void InProcess::give_up(uint64_t number) {
  if (instance_) instance_->cancel(number);
}

bool InProcess::has(const host::Operation& operation) const {
  return instance_ && instance_->has(operation);
}

RunReport InProcess::report() const {
  RunReport report;
  if (!instance_) report.state = RunState::ended;
  return report;
}

asio::awaitable<Status> InProcess::restore_from(RestoreSource source) {
  return restore_objects(shared_from_this(), table_, source());
}

// Only the configuration can be taken up; another content of the file is told, not passed over.
asio::awaitable<Status> InProcess::reload(PluginConfig fresh) {
  SKEP_CO_TRY_ASSIGN(const host::CheckedFile file, open_file(fresh));
  SKEP_CO_TRY_ASSIGN(const std::string content, host::sha256_of(file.descriptor()));
  if (content != content_) {
    co_return fail(ErrorKind::conflict, "plugin " + config_.name +
                                            " runs in the process of skepd, and its file has "
                                            "changed: that needs a restart of skepd");
  }
  if (fresh.debug != config_.debug) {
    co_return fail(ErrorKind::conflict, "plugin " + config_.name +
                                            " runs in the process of skepd, which has mapped it "
                                            "already: another \"debug\" needs a restart of skepd");
  }
  std::string schema = facts_.config_schema;
  const Status taken =
      co_await reconfigure_driver(shared_from_this(), table_, fresh, std::move(schema));
  if (!taken && (taken.error().kind == ErrorKind::unimplemented ||
                 taken.error().kind == ErrorKind::precondition)) {
    co_return fail(
        ErrorKind::conflict,
        "plugin " + config_.name + " runs in the process of skepd: a new file, or a " +
            "configuration that it can't take up while it runs, needs a restart of skepd (" +
            taken.error().message + ")");
  }
  if (taken) config_ = std::move(fresh);
  co_return taken;
}

asio::awaitable<void> InProcess::end() {
  const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, shutdown);
  CallOptions options;
  options.deadline_ms = operation.deadline_ms;
  const Result<std::string> ended = co_await make_call(shared_from_this(), table_, operation,
                                                       std::string(), std::string("{}"), options);
  if (!ended && ended.error().kind != ErrorKind::unimplemented) {
    table_->log.line(0, SKEP_LOG_WARNING, "at its end: " + ended.error().message);
  }
}

}  // namespace skep::drivers
