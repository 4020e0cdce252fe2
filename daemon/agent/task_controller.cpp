// Decisions stand in step(); each *_step does one state's work and moves on at most once.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/task_controller.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <functional>
#include <tuple>
#include <utility>
#include <variant>

#include "daemon/agent/container_files.hpp"
#include "daemon/agent/container_request.hpp"
#include "daemon/agent/identity_text.hpp"
#include "daemon/agent/image_name.hpp"

namespace skep::agent {

namespace asio = boost::asio;
using model::TaskState;
using namespace asio::experimental::awaitable_operators;  // && and || on awaitables

namespace {

// How long a stopped container's exit may take to be told after stop() has returned.
constexpr std::chrono::seconds kExitNewsMax{2};

std::string exit_error(const TaskExit& exit) {
  if (exit.vanished) return "container disappeared";
  if (!exit.lost.empty()) return exit.lost;
  if (exit.exit_code == 0) return {};
  std::string text = "task: non-zero exit (" + std::to_string(exit.exit_code) + ")";
  if (exit.oom_killed) text += ": killed for lack of memory";
  return text;
}

Error unwanted_error() {
  return {ErrorKind::cancelled, "the task is not wanted any more"};
}

}  // namespace

bool is_temporary(ErrorKind kind) {
  return kind == ErrorKind::unavailable || kind == ErrorKind::busy || kind == ErrorKind::deadline ||
         kind == ErrorKind::plugin_lost || kind == ErrorKind::unknown_outcome ||
         kind == ErrorKind::cancelled;
}

TaskController::TaskController(TaskSurroundings& surroundings, StoredTask stored, bool adopted)
    : around_(surroundings),
      stored_(std::move(stored)),
      container_id_(container_id_of(stored_.assigned.task.id)),
      name_(stored_.assigned.task.id.str()),
      adopted_(adopted),
      changed_(surroundings.loop),
      removed_(surroundings.loop) {
  if (!adopted_) {
    // The managers may know more than our database, when that was lost: trust them, and find out.
    stored_.status = stored_.assigned.task.status;
    const TaskState state = stored_.status.state;
    if (state >= TaskState::preparing && state <= TaskState::running) {
      adopted_ = true;
      stored_.container_intended = true;
      // Nobody knows how far it came: it may have run, so it is not taken for a half-made one.
      if (!was_prepared()) stored_.status.container = model::ContainerStatus{container_id_, 0, 0};
      if (!stored_.endpoint) {
        stored_.endpoint = around_.network.planned(stored_.assigned.task.id);
      }
    }
  }
  network_held_ = stored_.endpoint.has_value();
}

void TaskController::assign(const AssignedTask& assigned) {
  // Desired never goes backwards, whatever an old leader says.
  const TaskState desired = std::max(stored_.assigned.task.desired, assigned.task.desired);
  const bool same = listed_ && desired == stored_.assigned.task.desired;
  stored_.assigned = assigned;
  stored_.assigned.task.desired = desired;
  listed_ = true;
  if (same) return;
  delay_ = std::chrono::milliseconds(0);
  if (const Status kept = around_.db.put(stored_); !kept) {
    spdlog::error("agent: {}", kept.error().message);
  }
  changed_.notify();
}

void TaskController::unlist() {
  if (!listed_) return;
  listed_ = false;
  delay_ = std::chrono::milliseconds(0);
  changed_.notify();
}

bool TaskController::unwanted() const {
  return !listed_ || stored_.assigned.task.desired >= TaskState::shutdown;
}

void TaskController::show_known_container() {
  if (!stored_.container_intended || !was_prepared()) return;
  Container row = shown_container();
  if (stored_.endpoint && stored_.status.state <= TaskState::running) {
    row.networks = {around_.network.container_network(*stored_.endpoint)};
  }
  around_.table.put(std::move(row));
  shown_ = true;
}

asio::awaitable<void> TaskController::run() {
  if (adopted_) {
    show_known_container();
    if (stored_.status.state == TaskState::running) begin_watch();
    if (stored_.status.state > TaskState::running && shown_) {
      describing_ = true;
      around_.background.start(describe());
    }
  }
  while (listed_) {
    const bool ended = stored_.status.state > TaskState::running;
    if (ended && !erased_ && stored_.assigned.task.desired >= TaskState::remove) {
      co_await erase();
    } else {
      co_await step();
    }
  }
  if (!erased_) co_await erase();
}

asio::awaitable<void> TaskController::step() {
  const TaskState state = stored_.status.state;
  if (state > TaskState::running) {
    co_await ended_step();
  } else if (unwanted()) {
    co_await shut_down_step();
  } else if (state < TaskState::accepted) {
    advance(TaskState::accepted, "accepted", "");
  } else if (state == TaskState::accepted) {
    advance(TaskState::preparing, "preparing", "");
  } else if (state == TaskState::preparing) {
    co_await prepare_step();
  } else if (state == TaskState::ready) {
    if (stored_.assigned.task.desired > TaskState::ready) {
      advance(TaskState::starting, "starting", "");
    } else {
      co_await changed_.changed();
    }
  } else if (state == TaskState::starting) {
    co_await start_step();
  } else {
    co_await running_step();
  }
}

asio::awaitable<void> TaskController::prepare_step() {
  const Status prepared = co_await prepare();
  if (unwanted()) co_return;
  if (prepared) {
    advance(TaskState::ready, "prepared", "");
  } else if (is_temporary(prepared.error().kind)) {
    trouble(prepared.error());
    co_await pause();
  } else {
    advance(TaskState::rejected, stored_.status.message, prepared.error().message);
  }
}

asio::awaitable<Status> TaskController::prepare() {
  const AssignedTask& assigned = stored_.assigned;
  // Refused before anything is made.
  SKEP_CO_TRY(normalize_image_name(assigned.spec->container.image));
  if (!stored_.endpoint) stored_.endpoint = around_.network.planned(assigned.task.id);
  stored_.container_intended = true;
  network_held_ = true;
  SKEP_CO_TRY(around_.db.put(stored_));
  const ContainerFiles files{container_files_folder(around_.options, container_id_)};
  SKEP_CO_TRY(
      write_container_files(files, assigned.spec->container, container_hostname(assigned), ""));
  SKEP_CO_TRY(co_await around_.namespaces.create(name_));
  // The interface goes in while the runtime unpacks and sets up: neither needs the other.
  std::tuple<Status, Status> both = co_await (attach() && make_container());
  SKEP_CO_TRY(std::move(std::get<1>(both)));
  SKEP_CO_TRY(std::move(std::get<0>(both)));
  const ContainerNetwork network = around_.network.container_network(*stored_.endpoint);
  SKEP_CO_TRY(rewrite_hosts(files, stored_.assigned.spec->container,
                            container_hostname(stored_.assigned), network.address));
  SKEP_CO_TRY(around_.db.put(stored_));
  Container row = shown_container();
  row.created_at = around_.options.clock();
  row.networks = {network};
  if (!shown_) around_.table.publish(row, "create", {});
  around_.table.put(std::move(row));
  shown_ = true;
  stored_.status.container = model::ContainerStatus{container_id_, 0, 0};
  co_return Status();
}

asio::awaitable<Status> TaskController::attach() {
  SKEP_CO_TRY_ASSIGN(
      StoredEndpoint endpoint,
      co_await around_.network.attach(*stored_.endpoint, around_.namespaces.path(name_)));
  stored_.endpoint = std::move(endpoint);
  co_return Status();
}

asio::awaitable<Status> TaskController::make_container() {
  SKEP_CO_TRY_ASSIGN(
      drivers::ContainerRequest request,
      container_request(stored_.assigned, around_.options, around_.namespaces.path(name_)));
  SKEP_CO_TRY_ASSIGN(std::vector<drivers::ContainerMount> wanted, co_await mounts());
  put_mounts(std::move(wanted), &request);
  Result<drivers::CreatedContainer> made = co_await create(request);
  if (!made && made.error().kind == ErrorKind::not_found) {
    SKEP_CO_TRY(co_await pull());
    made = co_await create(request);
  }
  if (!made) co_return fail(std::move(made).error());
  stored_.container_handle = made->handle;
  co_return Status();
}

asio::awaitable<Result<drivers::CreatedContainer>> TaskController::create(
    const drivers::ContainerRequest& request) {
  std::variant<Result<drivers::CreatedContainer>, std::monostate> first =
      co_await (around_.runtime.create(request) || stop_wanted());
  if (first.index() == 1) co_return fail(unwanted_error());
  co_return std::get<0>(std::move(first));
}

asio::awaitable<Result<std::vector<drivers::ContainerMount>>> TaskController::mounts() {
  // A share of it, not a reference, as in pull().
  const std::shared_ptr<const model::TaskSpec> spec = stored_.assigned.spec;
  SKEP_CO_TRY(co_await check_sources());
  std::vector<drivers::ContainerMount> all;
  for (const model::Mount& mount : spec->container.mounts) {
    drivers::ContainerMount made = runtime_mount(mount);
    if (mount.type == model::MountType::volume) {
      SKEP_CO_TRY_ASSIGN(PublishedVolume volume,
                         co_await around_.volumes.publish(container_id_, mount));
      made.source = std::move(volume.path);
      made.volume = std::move(volume.name);
      made.populate = !mount.volume || !mount.volume->no_copy;
    }
    all.push_back(std::move(made));
  }
  co_return all;
}

asio::awaitable<Status> TaskController::check_sources() {
  // A share of it, not a reference, as in pull().
  const std::shared_ptr<const model::TaskSpec> spec = stored_.assigned.spec;
  for (const model::Mount& mount : spec->container.mounts) {
    if (mount.type != model::MountType::bind) continue;
    const Result<bool> there = co_await around_.paths.exists(mount.source);
    if (!there) co_return fail(there.error().within("bind source path " + mount.source));
    if (*there) continue;
    co_return fail(
        ErrorKind::invalid,
        "invalid mount config for type \"bind\": bind source path does not exist: " + mount.source);
  }
  co_return Status();
}

Container TaskController::shown_container() const {
  Container row = container_record(stored_.assigned, around_.options);
  row.mounts = around_.volumes.shown_mounts(container_id_, row.spec.mounts);
  return row;
}

asio::awaitable<Status> TaskController::pull() {
  // A share of it, not a reference: while the pull waits, assign() may put another in its place.
  const std::shared_ptr<const model::TaskSpec> spec = stored_.assigned.spec;
  SKEP_CO_TRY_ASSIGN(std::string image, normalize_image_name(spec->container.image));
  std::optional<drivers::RegistryAuth> auth = registry_auth(spec->registry_auth);
  std::function<void(drivers::PullProgress)> no_progress;
  std::variant<Result<drivers::ImageInfo>, std::monostate> first = co_await (
      around_.runtime.image_pull(std::move(image), std::move(auth), no_progress) || stop_wanted());
  if (first.index() == 1) co_return fail(unwanted_error());
  Result<drivers::ImageInfo>& pulled = std::get<0>(first);
  if (pulled) {
    NodeEvent event;
    event.type = "image";
    event.action = "pull";
    event.id = familiar_image_name(spec->container.image);
    event.attributes["name"] = event.id;
    around_.table.publish(std::move(event));
    co_return Status();
  }
  if (pulled.error().kind == ErrorKind::not_found) {
    co_return fail(ErrorKind::not_found, "No such image: " + spec->container.image);
  }
  co_return fail(std::move(pulled).error());
}

asio::awaitable<void> TaskController::stop_wanted() {
  while (!unwanted()) co_await changed_.changed();
}

asio::awaitable<void> TaskController::start_step() {
  const Result<drivers::StartedContainer> started = co_await around_.runtime.start(container_id_);
  if (started) {
    stored_.status.container = model::ContainerStatus{container_id_, started->pid, 0};
    advance(TaskState::running, "started", "");
    const model::WallTime at = parse_time_text(started->started_at);
    const int64_t pid = started->pid;
    const model::WallTime now = around_.options.clock();
    around_.table.change(container_id_, [at, pid, now](Container& row) {
      row.state = ContainerState::running;
      row.pid = pid;
      row.started_at = at ? at : now;
    });
    if (const auto row = around_.table.get(container_id_)) around_.table.publish(*row, "start", {});
    begin_watch();
  } else if (is_temporary(started.error().kind)) {
    trouble(started.error());
    co_await pause();
  } else if (started.error().kind == ErrorKind::not_found) {
    advance(TaskState::failed, stored_.status.message, "container disappeared");
  } else {
    const std::string reason = "starting container failed: " + started.error().message;
    around_.table.change(container_id_, [&reason](Container& row) { row.error = reason; });
    advance(TaskState::failed, stored_.status.message, reason);
  }
}

void TaskController::begin_watch() {
  if (watching_) return;
  watching_ = true;
  around_.background.start(watch());
}

asio::awaitable<void> TaskController::watch() {
  std::chrono::milliseconds delay = around_.options.retry_first;
  while (!co_await watch_once()) {
    co_await background_pause(delay);
    delay = std::min(delay * 2, around_.options.retry_max);
  }
  watching_ = false;
  changed_.notify();
}

asio::awaitable<bool> TaskController::watch_once() {
  TaskExit exit;
  const Result<drivers::ContainerState> state = co_await around_.runtime.inspect(container_id_);
  if (!state) {
    if (state.error().kind != ErrorKind::not_found) co_return false;
    exit.vanished = true;
    note_exit(exit);
    co_return true;
  }
  if (state->state == drivers::ContainerState::State::created) {
    // It was running once: the machine was restarted, and its process with it.
    exit.vanished = true;
    note_exit(exit);
    co_return true;
  }
  around_.table.change(container_id_, [&state](Container& row) { apply_state(*state, &row); });
  const Result<drivers::ContainerExit> end = co_await around_.runtime.wait(container_id_);
  if (!end) {
    if (end.error().kind != ErrorKind::not_found) co_return false;
    exit.vanished = true;
  } else {
    exit.exit_code = end->exit_code;
    exit.oom_killed = end->oom_killed;
    exit.lost = end->lost;
    exit.finished_at = parse_time_text(end->finished_at);
  }
  note_exit(exit);
  co_return true;
}

void TaskController::note_exit(TaskExit exit) {
  if (!exit.finished_at) exit.finished_at = around_.options.clock();
  exit_ = exit;
  around_.table.change(container_id_, [&exit](Container& row) {
    row.state = exit.vanished ? ContainerState::dead : ContainerState::exited;
    row.pid = 0;
    row.exit_code = exit.exit_code;
    row.oom_killed = exit.oom_killed;
    row.finished_at = exit.finished_at;
    row.networks.clear();
  });
  const auto row = around_.table.get(container_id_);
  if (!row) return;
  model::Labels more;
  more["exitCode"] = std::to_string(exit.exit_code);
  around_.table.publish(*row, "die", std::move(more));
}

asio::awaitable<void> TaskController::describe() {
  std::chrono::milliseconds delay = around_.options.retry_first;
  while (true) {
    const Result<drivers::ContainerState> state = co_await around_.runtime.inspect(container_id_);
    if (state) {
      around_.table.change(container_id_, [&state](Container& row) { apply_state(*state, &row); });
      break;
    }
    if (state.error().kind == ErrorKind::not_found) {
      around_.table.erase(container_id_);
      break;
    }
    co_await background_pause(delay);
    delay = std::min(delay * 2, around_.options.retry_max);
  }
  describing_ = false;
  changed_.notify();
}

asio::awaitable<void> TaskController::background_pause(std::chrono::milliseconds delay) {
  co_await (around_.runtime_back.changed_within(delay) || removed_.changed());
}

asio::awaitable<void> TaskController::running_step() {
  begin_watch();
  while (!exit_ && !unwanted()) co_await changed_.changed();
  if (!exit_ || unwanted()) co_return;
  if (!stored_.status.container) stored_.status.container = model::ContainerStatus{container_id_};
  stored_.status.container->exit_code = exit_->exit_code;
  stored_.status.container->pid = 0;
  const std::string error = exit_error(*exit_);
  if (error.empty()) {
    advance(TaskState::complete, "finished", "");
  } else {
    advance(TaskState::failed, stored_.status.message, error);
  }
}

asio::awaitable<Status> TaskController::stop_container() {
  if (!stored_.container_intended) co_return Status();
  const model::ContainerSpec& spec = stored_.assigned.spec->container;
  if (const auto row = around_.table.get(container_id_);
      row && row->state == ContainerState::running) {
    around_.table.publish(*row, "kill", {});
  }
  const Status stopped =
      co_await around_.runtime.stop(container_id_, spec.stop_signal, stop_grace_ms(spec));
  if (!stopped && stopped.error().kind != ErrorKind::not_found) co_return stopped;
  const auto limit = std::chrono::steady_clock::now() + kExitNewsMax;
  while (watching_ && !exit_ && std::chrono::steady_clock::now() < limit) {
    co_await changed_.changed_within(kExitNewsMax);
  }
  if (const auto row = around_.table.get(container_id_); row && exit_) {
    around_.table.publish(*row, "stop", {});
  }
  co_return Status();
}

asio::awaitable<void> TaskController::shut_down_step() {
  const Status stopped = co_await stop_container();
  if (!stopped) {
    trouble(stopped.error());
    co_await pause();
    co_return;
  }
  if (exit_ && stored_.status.container) {
    stored_.status.container->exit_code = exit_->exit_code;
    stored_.status.container->pid = 0;
  }
  advance(TaskState::shutdown, "shutdown", "");
}

asio::awaitable<void> TaskController::ended_step() {
  if (network_held_ && !erased_) {
    const Status released = co_await release_network();
    if (!released) {
      spdlog::warn("agent: task {}: {}", name_, released.error().message);
      co_await pause();
    }
    co_return;
  }
  if (has_unseen_container()) {
    const Status dropped = co_await drop_container();
    if (!dropped) {
      spdlog::warn("agent: task {}: {}", name_, dropped.error().message);
      co_await pause();
    }
    co_return;
  }
  co_await changed_.changed();
}

bool TaskController::has_unseen_container() const {
  if (erased_ || !stored_.container_intended || describing_) return false;
  return stored_.status.state == TaskState::rejected || !around_.table.get(container_id_);
}

asio::awaitable<Status> TaskController::drop_container() {
  const Status removed = co_await around_.runtime.remove(container_id_, /*force=*/true);
  if (!removed && removed.error().kind != ErrorKind::not_found) co_return removed;
  SKEP_CO_TRY(co_await around_.volumes.release(container_id_));
  if (const auto row = around_.table.get(container_id_)) {
    around_.table.erase(container_id_);
    around_.table.publish(*row, "destroy", {});
  }
  stored_.container_intended = false;
  stored_.container_handle.clear();
  co_return around_.db.put(stored_);
}

asio::awaitable<Status> TaskController::release_network() {
  if (stored_.endpoint) {
    SKEP_CO_TRY(co_await around_.network.detach(*stored_.endpoint, around_.namespaces.path(name_)));
  }
  SKEP_CO_TRY(co_await around_.namespaces.remove(name_));
  stored_.endpoint.reset();
  network_held_ = false;
  co_return around_.db.put(stored_);
}

asio::awaitable<void> TaskController::erase() {
  while (true) {
    const Status erased = co_await erase_once();
    if (erased) co_return;
    spdlog::warn("agent: task {} can't be removed yet: {}", name_, erased.error().message);
    co_await pause();
  }
}

asio::awaitable<Status> TaskController::erase_once() {
  if (stored_.status.state <= TaskState::running) SKEP_CO_TRY(co_await stop_container());
  if (stored_.container_intended) {
    const Status removed = co_await around_.runtime.remove(container_id_, /*force=*/true);
    if (!removed && removed.error().kind != ErrorKind::not_found) co_return removed;
  }
  // Neither a network nor a volume whose driver is away keeps the other.
  Status detached;
  if (network_held_) detached = co_await release_network();
  SKEP_CO_TRY(co_await around_.volumes.release(container_id_));
  SKEP_CO_TRY(std::move(detached));
  const std::string files = container_files_folder(around_.options, container_id_);
  const std::string logs = container_log_folder(around_.options, container_id_);
  std::function<Status()> remove_folders = [files, logs]() -> Status {
    SKEP_TRY(remove_folder(files));
    return remove_folder(logs);
  };
  SKEP_CO_TRY(co_await around_.disk.run(std::move(remove_folders)));
  SKEP_CO_TRY(around_.db.remove(stored_.assigned.task.id));
  // What runs in the background must not outlive us; the removal above ends its waits.
  removed_.notify();
  while (watching_ || describing_) co_await changed_.changed();
  if (const auto row = around_.table.get(container_id_)) {
    around_.table.erase(container_id_);
    around_.table.publish(*row, "destroy", {});
  }
  erased_ = true;
  co_return Status();
}

void TaskController::advance(TaskState state, std::string_view message, std::string error) {
  if (state <= stored_.status.state) return;
  stored_.status.state = state;
  stored_.status.message = message;
  stored_.status.error = std::move(error);
  delay_ = std::chrono::milliseconds(0);
  publish_status();
}

void TaskController::trouble(const Error& error) {
  std::string text = around_.runtime_trouble();
  if (text.empty() || error.kind != ErrorKind::unavailable) text = error.message;
  if (text == stored_.status.error) return;
  stored_.status.error = std::move(text);
  publish_status();
}

void TaskController::publish_status() {
  stored_.status.timestamp = around_.options.clock();
  if (const Status kept = around_.db.put_status(stored_.assigned.task.id, stored_.status); !kept) {
    spdlog::error("agent: task {}: {}", name_, kept.error().message);
  }
  around_.report(TaskReport{stored_.assigned.task.id, stored_.status});
}

asio::awaitable<void> TaskController::pause() {
  delay_ = delay_.count() == 0 ? around_.options.retry_first
                               : std::min(delay_ * 2, around_.options.retry_max);
  // Whichever comes first: the delay, the runtime being back, or other wishes.
  co_await (around_.runtime_back.changed_within(delay_) || changed_.changed());
}

}  // namespace skep::agent
