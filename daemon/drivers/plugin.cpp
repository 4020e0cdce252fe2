// The bridge between a coroutine that waits and a driver that may block.
//
// The coroutine sleeps on a timer set to the deadline; completion cancels the timer. So one await
// covers the three ways a wait can end - completed, timed out, caller cancelled - and which one it
// was is told by the operation's outcome, not by the timer's error code.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/drivers/plugin_host.hpp"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;
using json = nlohmann::json;

constexpr std::chrono::milliseconds end_patience{5'000};  // for a driver to let go of its calls

// Runs the driver's function for one operation, on a worker. Whatever it does, the operation has an
// end or a driver that promised one.
void perform(HostTable& table, const std::shared_ptr<PendingCall>& operation, skep_call function,
             void* self) {
  const uint64_t number = operation->number;
  if (operation->cancelled) {
    table.finish(number, fail(ErrorKind::cancelled, "nobody waits for this call any more"));
    return;
  }
  auto* op = reinterpret_cast<skep_op*>(static_cast<uintptr_t>(number));
  const skep_str request{operation->request.data(), operation->request.size()};
  skep_status status = SKEP_E_INTERNAL;
  std::string reason = "the driver ended the call with an error and no reason";
  try {
    status = function(self, op, request);
  } catch (const std::exception& thrown) {
    reason = fmt::format("the driver threw an exception: {}", thrown.what());
    table.log(SKEP_LOG_ERROR, "plugin misbehaving: " + reason);
  } catch (...) {
    reason = "the driver threw something that is no exception";
    table.log(SKEP_LOG_ERROR, "plugin misbehaving: " + reason);
  }
  if (status == SKEP_PENDING) return;
  if (status == SKEP_OK) {
    status = SKEP_E_INTERNAL;
    reason = "the driver said that the call is done, but gave no reply";
  }
  // Does nothing when the driver completed the call itself, as it should have.
  table.finish(number, fail(error_kind_from_abi(status), std::move(reason)));
}

// The caller's half of an operation. Its end - by return, by exception, or because the coroutine is
// destroyed - tells the driver, and cuts the way back to an executor that may soon be gone.
class Waiting {
 public:
  Waiting(std::shared_ptr<PendingCall> operation, asio::steady_timer& alarm)
      : operation_(std::move(operation)) {
    operation_->alarm = &alarm;
  }
  ~Waiting() {
    operation_->alarm = nullptr;
    operation_->cancelled = true;
    const std::lock_guard lock(operation_->mutex);
    operation_->executor = {};
    operation_->on_item = nullptr;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  std::shared_ptr<PendingCall> operation_;
};

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  if (error) return fail(ErrorKind::internal, path + ": " + error.message());
  return {};
}

// Everything a call needs, without the Plugin: it may be destroyed while the coroutine still
// sleeps.
asio::awaitable<Result<std::string>> wait_for(std::shared_ptr<PendingCall> operation,
                                              int64_t deadline_ms, std::string plugin) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  asio::steady_timer alarm(executor, asio::steady_timer::time_point::max());
  if (deadline_ms >= 0) alarm.expires_after(std::chrono::milliseconds(deadline_ms));
  const Waiting waiting(operation, alarm);
  const auto [code] = co_await alarm.async_wait(asio::as_tuple(asio::use_awaitable));
  if (operation->outcome) co_return std::move(*operation->outcome);
  if (!code) {
    co_return fail(ErrorKind::deadline,
                   fmt::format("driver {} did not answer within {} ms", plugin, deadline_ms));
  }
  co_return fail(ErrorKind::cancelled, fmt::format("the call of driver {} was given up", plugin));
}

}  // namespace

Plugin::Plugin(std::unique_ptr<PluginHost> host) : host_(std::move(host)) {}

Result<std::unique_ptr<Plugin>> Plugin::open(const PluginConfig& config) {
  SKEP_TRY_ASSIGN(CheckedFile file, CheckedFile::open(config.path, config.sha256));
  SKEP_TRY_ASSIGN(PluginIdentity identity, read_note(file));
  SKEP_TRY_ASSIGN(std::unique_ptr<PluginHost> host,
                  PluginHost::load(config, std::move(identity), std::move(file)));
  return std::unique_ptr<Plugin>(new Plugin(std::move(host)));
}

Plugin::~Plugin() {
  host_->table->cancel_all();
  const bool returned = host_->workers->close(end_patience);
  if (returned && host_->table->wait_until_idle(end_patience)) {
    host_->instance->destroy(host_->instance->self);
    return;
  }
  spdlog::error("plugin {}: does not end its calls; its instance stays until the process ends",
                host_->identity.id);
  // Left alone on purpose: a thread inside the driver still uses all of it.
  static_cast<void>(host_.release());
}

asio::awaitable<Status> Plugin::configure(PluginPlace place) {
  const std::string run_dir = place.run_dir + "/plugins/" + host_->config.name;
  const std::string data_dir = place.data_dir + "/plugins/" + host_->config.name;
  SKEP_CO_TRY(make_folder(run_dir));
  SKEP_CO_TRY(make_folder(data_dir));
  const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, configure);
  if (!has(operation)) {
    co_return fail(ErrorKind::invalid, fmt::format("init_failed: {} has no {}; install it again",
                                                   host_->config.path, SKEP_BASE_1));
  }
  json config = json::parse(host_->config.config, nullptr, false);
  if (!config.is_object()) {
    co_return fail(ErrorKind::invalid,
                   "the configuration of plugin " + host_->config.name + " is not a JSON object");
  }
  // plugin_dir: where programs that a driver brings along lie beside it.
  const std::string plugin_dir = std::filesystem::path(host_->config.path).parent_path();
  json request = json::object();
  request["config"] = std::move(config);
  request["run_dir"] = run_dir;
  request["data_dir"] = data_dir;
  request["node"] = place.node;
  request["plugin_dir"] = plugin_dir;
  std::string document = request.dump(-1, ' ', false, json::error_handler_t::replace);
  Result<std::string> reply =
      co_await call(operation, std::string(), std::move(document), CallOptions());
  if (!reply) co_return fail(reply.error().within("plugin " + host_->config.name));
  co_return Status();
}

asio::awaitable<Result<std::string>> Plugin::call(const host::Operation& operation, std::string key,
                                                  std::string request, CallOptions options) {
  const skep_call function = host_->find(operation);
  if (function == nullptr) {
    co_return fail(ErrorKind::unimplemented,
                   fmt::format("driver {} does not implement {} {}", host_->identity.id,
                               operation.interface, operation.name));
  }
  if (key.size() > SKEP_ID_MAX) {
    co_return fail(
        ErrorKind::invalid,
        fmt::format("an object id has {} bytes, over the limit of {}", key.size(), SKEP_ID_MAX));
  }
  if (request.size() > SKEP_REQUEST_MAX) {
    co_return fail(ErrorKind::too_large,
                   fmt::format("a request to driver {} has {} bytes, over the limit of {}",
                               host_->identity.id, request.size(), SKEP_REQUEST_MAX));
  }
  const int64_t deadline_ms = options.deadline_ms;
  HostTable* table = host_->table;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  std::shared_ptr<PendingCall> pending =
      table->begin(executor, std::move(request), std::move(options));
  void* self = host_->instance->self;
  const bool taken = host_->workers->run(std::move(key), [table, pending, function, self] {
    perform(*table, pending, function, self);
  });
  if (!taken) {
    table->finish(pending->number, fail(ErrorKind::cancelled, "the driver is being ended"));
  }
  std::string plugin = host_->identity.id;
  co_return co_await wait_for(std::move(pending), deadline_ms, std::move(plugin));
}

bool Plugin::has(const host::Operation& operation) const {
  return host_->find(operation) != nullptr;
}
bool Plugin::has(std::string_view interface) const {
  const std::vector<std::string>& all = host_->identity.interfaces;
  return std::find(all.begin(), all.end(), interface) != all.end();
}

const PluginIdentity& Plugin::identity() const {
  return host_->identity;
}
const PluginConfig& Plugin::config() const {
  return host_->config;
}

}  // namespace skep::drivers
