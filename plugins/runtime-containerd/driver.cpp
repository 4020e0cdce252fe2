// The driver "runtime-containerd": the descriptor, the tables, and the instance that ties the rooms
// together. Nothing happens before configure(); after it one thread serves containerd's answers,
// and a timer on it asks the host which held operations it no longer wants.
//
// Order of ending: held operations first, then the connection with its callbacks, then what the
// callbacks refer to.
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <memory>
#include <optional>

#include "runtime-containerd/config.hpp"
#include "runtime-containerd/containers.hpp"
#include "runtime-containerd/exec.hpp"
#include "runtime-containerd/image_store.hpp"
#include "runtime-containerd/images.hpp"
#include "runtime-containerd/leases.hpp"
#include "runtime-containerd/monitor.hpp"
#include "runtime-containerd/pending.hpp"
#include "runtime-containerd/rpc.hpp"
#include "runtime-containerd/sweep.hpp"
#include "skep/cpp/driver.hpp"
#include "skep/runtime.h"

namespace skep::containerd {

using sdk::Call;
using sdk::Failure;
using sdk::json;

namespace {

constexpr int check_interval_ms = 200;  // how late a cancellation may be noticed

// Everything that exists once a configuration is known.
struct Session {
  Session(Config settings, std::function<void(int, std::string)> log)
      : config(std::move(settings)),
        rpc(config.address, config.space,
            [log](const std::string& line) { log(SKEP_LOG_ERROR, line); }),
        monitor(rpc, config, log),
        leases(rpc, config),
        store(rpc),
        containers(rpc, config, leases, store, monitor),
        execs(rpc, containers),
        images(rpc, leases, store),
        sweep([this] { containers.clean_up(); }, [this] { return monitor.health().healthy; },
              std::move(log)) {}
  // The callbacks refer to all of the below, so they end before any of it does. A sweep that is
  // under way ends with its connection.
  ~Session() {
    sweep.stop();
    rpc.stop();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Callbacks use the session itself, never the driver's pointer to it, which is already empty
  // while the session ends.
  void check_held() {
    rpc.after(check_interval_ms, [this] {
      check_held();  // first: whatever goes wrong this time, there is a next one
      held.check_all();
    });
  }

  Config config;
  HeldSet held;
  Rpc rpc;
  Monitor monitor;
  Leases leases;
  ImageStore store;
  Containers containers;
  Execs execs;
  Images images;
  Sweep sweep;  // last: its thread uses the others
};

class ContainerdDriver final : public sdk::Driver {
 public:
  explicit ContainerdDriver(const skep_host* host) : Driver(host) {}
  ~ContainerdDriver() override { end_session("the driver is ending"); }
  const void* interface(std::string_view id) noexcept override;

  json capabilities(const json&) {
    return {{"exec", true}, {"images", true}, {"tty", true}, {"stats", true}, {"init", false}};
  }
  json configure(const json& request);
  json probe(const json&);
  json restore(const json& request) {
    session().containers.restore(id_of(request));
    return json::object();
  }
  json restore_done(const json& request) {
    if (!request.value("ids", json()).is_array()) {
      throw Failure(SKEP_E_INVALID, "ids: not a list");
    }
    session().sweep.run();
    return json::object();
  }
  json drain(const json&) {
    draining_ = true;
    return json::object();
  }
  json shutdown(const json&) {
    draining_ = true;
    if (session_) session_->held.abandon_all("the driver is shutting down");
    return json::object();
  }
  json dump(const json&);

  void fingerprint(Call call) {
    hold(std::move(call), [this](HeldPtr held) { session_->monitor.add_fingerprint(held); });
  }
  json create(const json& request) { return accepting().containers.create(request); }
  json start(const json& request) { return accepting().containers.start(request); }
  void wait(Call call) {
    hold(std::move(call), [this](HeldPtr held) { session_->containers.wait(held); });
  }
  void stop(Call call) {
    hold(std::move(call), [this](HeldPtr held) { session_->containers.stop(held); });
  }
  json signal(const json& request) { return session().containers.signal(request); }
  json remove(const json& request) { return session().containers.remove(request); }
  json inspect(const json& request) { return session().containers.inspect(request); }
  json list(const json&) { return session().containers.list(); }
  void events(Call call) {
    hold(std::move(call), [this](HeldPtr held) { session_->monitor.add_events(held); });
  }
  json stats(const json& request) { return session().containers.stats(request); }

  json exec_create(const json& request) { return accepting().execs.create(request); }
  json exec_start(const json& request) { return accepting().execs.start(request); }
  json exec_resize(const json& request) { return session().execs.resize(request); }
  void exec_wait(Call call) {
    hold(std::move(call), [this](HeldPtr held) { session_->execs.wait(held); });
  }
  json exec_close_stdin(const json& request) { return session().execs.close_stdin(request); }
  json exec_signal(const json& request) { return session().execs.signal(request); }

  void image_pull(Call call) {
    hold(std::move(call), [this](HeldPtr held) { session_->images.pull(held); });
  }
  json image_inspect(const json& request) { return session().images.inspect(request); }
  json image_list(const json&) { return session().images.list(); }
  json image_remove(const json& request) { return accepting().images.remove(request); }

 private:
  Session& session() {
    if (!session_) throw Failure(SKEP_E_PRECONDITION, "the driver is not configured");
    return *session_;
  }
  Session& accepting() {
    if (draining_) throw Failure(SKEP_E_UNAVAILABLE, "the driver takes no new operations");
    return session();
  }
  template <class Begin>
  void hold(Call call, Begin begin);
  void end_session(std::string_view reason);

  std::unique_ptr<Session> session_;
  std::atomic<bool> draining_ = false;
};

// Keeps the call open and begins what will end it; a refusal ends it here, with its code and text.
template <class Begin>
void ContainerdDriver::hold(Call call, Begin begin) {
  if (!session_) return call.fail(SKEP_E_PRECONDITION, "the driver is not configured");
  const HeldPtr held = session_->held.add(std::move(call));
  try {
    begin(held);
  } catch (const Failure& failure) {
    held->fail(failure.code(), failure.what());
  } catch (const json::exception& bad) {
    held->fail(SKEP_E_INVALID, bad.what());
  } catch (const std::exception& other) {
    held->fail(SKEP_E_INTERNAL, other.what());
  }
}

json ContainerdDriver::configure(const json& request) {
  Config config = Config::parse(request);
  if (session_) {
    if (session_->config == config) return json::object();
    throw Failure(SKEP_E_EXISTS, "the driver is configured already, and otherwise");
  }
  session_ = std::make_unique<Session>(std::move(config),
                                       [this](int level, std::string text) { log(level, text); });
  session_->monitor.begin();
  session_->check_held();
  return json::object();
}

void ContainerdDriver::end_session(std::string_view reason) {
  if (session_) session_->held.abandon_all(reason);
  session_.reset();
}

json ContainerdDriver::probe(const json&) {
  Session& now = session();
  const Monitor::Health health = now.monitor.health();
  if (!health.healthy) return {{"state", "not_ready"}, {"reason", health.reason}};
  if (now.config.log_program.empty()) {
    return {{"state", "broken"},
            {"reason", "skep-log was not found beside the driver; set config.log_program"}};
  }
  if (!now.images.cri_answers()) {
    return {{"state", "broken"}, {"reason", "CRI is disabled in containerd's config.toml"}};
  }
  return {{"state", "ready"}, {"reason", ""}};
}

json ContainerdDriver::dump(const json&) {
  if (!session_) return {{"configured", false}};
  const Monitor::Health health = session_->monitor.health();
  return {
      {"address", session_->config.address}, {"namespace", session_->config.space},
      {"node", session_->config.node},       {"log_program", session_->config.log_program.string()},
      {"healthy", health.healthy},           {"reason", health.reason},
      {"version", health.version},           {"draining", draining_.load()}};
}

using Me = ContainerdDriver;
using sdk::op;

const void* ContainerdDriver::interface(std::string_view id) noexcept {
  static const skep_base_1 base = {sizeof base,           0,
                                   op<&Me::capabilities>, op<&Me::configure>,
                                   op<&Me::probe>,        op<&Me::restore>,
                                   op<&Me::restore_done>, op<&Me::drain>,
                                   op<&Me::shutdown>,     op<&Me::dump>};
  static const skep_runtime_1 runtime = {sizeof runtime,       0,
                                         op<&Me::fingerprint>, op<&Me::create>,
                                         op<&Me::start>,       op<&Me::wait>,
                                         op<&Me::stop>,        op<&Me::signal>,
                                         op<&Me::remove>,      op<&Me::inspect>,
                                         op<&Me::list>,        op<&Me::events>,
                                         op<&Me::stats>};
  static const skep_runtime_exec_1 exec = {sizeof exec,
                                           0,
                                           op<&Me::exec_create>,
                                           op<&Me::exec_start>,
                                           op<&Me::exec_resize>,
                                           op<&Me::exec_wait>,
                                           op<&Me::exec_close_stdin>,
                                           op<&Me::exec_signal>};
  static const skep_runtime_images_1 images = {sizeof images,       0,
                                               op<&Me::image_pull>, op<&Me::image_inspect>,
                                               op<&Me::image_list>, op<&Me::image_remove>};
  if (id == SKEP_BASE_1) return &base;
  if (id == SKEP_RUNTIME_1) return &runtime;
  if (id == SKEP_RUNTIME_EXEC_1) return &exec;
  if (id == SKEP_RUNTIME_IMAGES_1) return &images;
  return nullptr;
}

}  // namespace

}  // namespace skep::containerd

#define SKEP_CONTAINERD_INTERFACES \
  "skep.base/1 skep.runtime/1 skep.runtime.exec/1 skep.runtime.images/1"

SKEP_DECLARE_NOTE("runtime-containerd", "0.1.0", SKEP_CONTAINERD_INTERFACES);

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      sizeof plugin,
      SKEP_ABI_MAJOR,
      SKEP_ABI_MINOR,
      0,
      "runtime-containerd",
      "0.1.0",
      "skep",
      SKEP_CONTAINERD_INTERFACES,
      skep::containerd::config_schema,
      skep::sdk::make_instance<skep::containerd::ContainerdDriver>,
  };
  return &plugin;
}
