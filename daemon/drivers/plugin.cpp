// Choosing the body, and asking it.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include "daemon/drivers/first_steps.hpp"
#include "daemon/drivers/helper_life.hpp"
#include "daemon/drivers/in_process.hpp"
#include "daemon/drivers/supervisor.hpp"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;

// Of a library that is only looked at.
constexpr std::chrono::milliseconds look_patience{10'000};
constexpr std::chrono::milliseconds look_end_patience{2'000};

bool names(const PluginIdentity& identity, std::string_view interface) {
  const std::vector<std::string>& all = identity.interfaces;
  return std::find(all.begin(), all.end(), interface) != all.end();
}

// Whether a library may be mapped here. Its flags are known only once it is mapped somewhere, so
// that is done in a process that costs nothing.
asio::awaitable<Status> may_run_inside(const PluginConfig* config, const PluginPlace* place,
                                       const CheckedFile* file, const PluginIdentity* identity,
                                       std::shared_ptr<CallTable> table) {
  host::HelperOptions options;
  options.program = place->helper;
  options.name = config->name;
  options.limits = config->limits;
  options.log_level = place->log_level;
  const asio::any_io_executor loop = co_await asio::this_coro::executor;
  SKEP_CO_TRY_ASSIGN(
      const std::shared_ptr<HelperLife> life,
      HelperLife::begin(loop, *file, *identity, options, std::move(table), HelperLife::OnLost()));
  const Status stands = co_await life->stands(look_patience);
  const uint32_t flags = life->facts().flags;
  co_await life->end("it was only looked at", look_end_patience);
  if (!stands && stands.error().kind != ErrorKind::plugin_lost) co_return stands;
  if (!stands) {
    co_return fail(ErrorKind::internal,
                   fmt::format("init_failed: {} dies while it is loaded ({}); look for its lines "
                               "in the log",
                               config->path, stands.error().message));
  }
  if ((flags & SKEP_PLUGIN_PROCESS_ONLY) != 0) {
    co_return fail(ErrorKind::invalid,
                   fmt::format("init_failed: {} has a run time of its own and can't run in the "
                               "process of skepd; set isolation = \"process\"",
                               config->path));
  }
  co_return Status();
}

asio::awaitable<Result<std::shared_ptr<Body>>> begin_inside(PluginConfig config, PluginPlace place,
                                                            CheckedFile file,
                                                            PluginIdentity identity,
                                                            std::shared_ptr<CallTable> table) {
  if (!config.shipped) {
    SKEP_CO_TRY(co_await may_run_inside(&config, &place, &file, &identity, table));
  }
  SKEP_CO_TRY_ASSIGN(const std::shared_ptr<InProcess> body,
                     InProcess::load(config, std::move(file), std::move(identity), table));
  SKEP_CO_TRY(co_await body->configure(std::move(place)));
  co_return body;
}

// Needs neither the plugin nor, once begun, its body to be alive.
asio::awaitable<Result<std::string>> call_body(std::shared_ptr<Body> body,
                                               std::shared_ptr<CallTable> table,
                                               const host::Operation& operation, std::string key,
                                               std::string request, CallOptions options) {
  if (!body->has(operation)) {
    co_return fail(ErrorKind::unimplemented,
                   fmt::format("driver {} does not implement {} {}", table->log.name(),
                               operation.interface, operation.name));
  }
  co_return co_await make_call(std::move(body), std::move(table), operation, std::move(key),
                               std::move(request), std::move(options));
}

}  // namespace

Isolation isolation_of(const PluginConfig& config, const PluginIdentity& identity) {
  if (config.isolation) return *config.isolation;
  constexpr std::array<std::string_view, 3> trusted = {SKEP_RUNTIME_1, SKEP_NETWORK_1, SKEP_LB_1};
  const bool kind = std::any_of(trusted.begin(), trusted.end(),
                                [&](std::string_view id) { return names(identity, id); });
  return config.shipped && kind ? Isolation::in_process : Isolation::process;
}

Plugin::Plugin(std::shared_ptr<CallTable> table, std::shared_ptr<Body> body, Isolation isolation)
    : table_(std::move(table)), body_(std::move(body)), isolation_(isolation) {}

asio::awaitable<Result<std::unique_ptr<Plugin>>> Plugin::open(PluginConfig config,
                                                              PluginPlace place,
                                                              std::function<void()> changed) {
  SKEP_CO_TRY_ASSIGN(std::unique_ptr<Plugin> plugin,
                     co_await begin(std::move(config), std::move(place), std::move(changed)));
  SKEP_CO_TRY(co_await plugin->came_up());
  co_return plugin;
}

asio::awaitable<Result<std::unique_ptr<Plugin>>> Plugin::begin(PluginConfig config,
                                                               PluginPlace place,
                                                               std::function<void()> changed) {
  SKEP_CO_TRY_ASSIGN(CheckedFile file, open_file(config));
  SKEP_CO_TRY_ASSIGN(PluginIdentity identity, host::read_note(file));
  const Isolation isolation = isolation_of(config, identity);
  auto table = std::make_shared<CallTable>(config.name, place.log_level);
  std::shared_ptr<Body> body;
  if (isolation == Isolation::in_process) {
    SKEP_CO_TRY_ASSIGN(body, co_await begin_inside(std::move(config), std::move(place),
                                                   std::move(file), std::move(identity), table));
  } else {
    const asio::any_io_executor loop = co_await asio::this_coro::executor;
    const auto supervisor = std::make_shared<Supervisor>(loop, std::move(config), std::move(place),
                                                         table, std::move(changed));
    supervisor->begin(std::move(file), std::move(identity));
    body = supervisor;
  }
  co_return std::unique_ptr<Plugin>(new Plugin(std::move(table), std::move(body), isolation));
}

Plugin::~Plugin() {
  body_->stop();
}

asio::awaitable<Result<std::string>> Plugin::call(const host::Operation& operation, std::string key,
                                                  std::string request, CallOptions options) {
  return call_body(body_, table_, operation, std::move(key), std::move(request),
                   std::move(options));
}

asio::awaitable<Status> Plugin::came_up(
    std::optional<std::chrono::steady_clock::time_point> until) {
  return body_->came_up(until);
}
bool Plugin::has(const host::Operation& operation) const {
  return body_->has(operation);
}
bool Plugin::has(std::string_view interface) const {
  return names(body_->identity(), interface);
}
asio::awaitable<Status> Plugin::restore_from(RestoreSource source) {
  return body_->restore_from(std::move(source));
}
void Plugin::forget_source() {
  body_->forget_source();
}
asio::awaitable<Status> Plugin::reload(PluginConfig fresh) {
  return body_->reload(std::move(fresh));
}
asio::awaitable<void> Plugin::end() {
  return body_->end();
}
void Plugin::set_log_level(int32_t level) {
  body_->set_log_level(level);
}
int32_t Plugin::log_level() const {
  return table_->log.level();
}
PluginIdentity Plugin::identity() const {
  return body_->identity();
}
PluginConfig Plugin::config() const {
  return body_->config();
}
DriverFacts Plugin::facts() const {
  return body_->facts();
}
RunReport Plugin::report() const {
  return body_->report();
}
const CallMetrics& Plugin::metrics() const {
  return table_->metrics;
}
const DriverMetrics& Plugin::driver_metrics() const {
  return table_->driver_metrics;
}
const std::string& Plugin::name() const {
  return table_->log.name();
}

}  // namespace skep::drivers
