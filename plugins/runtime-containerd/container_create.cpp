// How a container comes into being, in this order, all of it under a lease so that garbage
// collection keeps off: lease and image lookup side by side, snapshot, record, task. Each step is
// undone when a later one fails; what a crash in between leaves is found by its label.
//
// The surprise: containerd goes on after its client was killed. It notices, and takes the
// unfinished task away again, which lasts; so the next create with the same id may meet the remains
// of the one before while they go, and sometimes a shim that containerd has lost sight of
// (strays.hpp). Both are waited for.
// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/empty.pb.h>

#include <chrono>
#include <system_error>
#include <thread>

#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"
#include "github.com/containerd/containerd/api/services/snapshots/v1/snapshots.pb.h"
#include "github.com/containerd/containerd/api/services/tasks/v1/tasks.pb.h"
#include "runtime-containerd/cgroup.hpp"
#include "runtime-containerd/containers.hpp"
#include "runtime-containerd/oci_spec.hpp"
#include "runtime-containerd/populate.hpp"
#include "runtime-containerd/strays.hpp"
#include "runtime-containerd/text.hpp"
#include "runtime-containerd/user.hpp"

namespace skep::containerd {

namespace containers = ::containerd::services::containers::v1;
namespace fs = std::filesystem;
namespace snapshots = ::containerd::services::snapshots::v1;
namespace tasks = ::containerd::services::tasks::v1;
using google::protobuf::Empty;
using sdk::Failure;
using sdk::json;
using namespace std::chrono_literals;

namespace {

constexpr const char* spec_type_url = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
constexpr int64_t undo_ms = 10'000;  // kept of a create's time, for what must be taken back
constexpr auto remains_interval = 50ms;
constexpr auto remains_patience = 15s;  // containerd's own cleaning has 5 s for each step

// The folders behind a snapshot's mounts, the uppermost first.
RootLayers layers_of(const snapshots::PrepareSnapshotResponse& snapshot) {
  RootLayers layers;
  for (const auto& mount : snapshot.mounts()) {
    if (mount.type() != "overlay") {
      layers.emplace_back(mount.source());
      continue;
    }
    for (const std::string& option : mount.options()) {
      if (!option.starts_with("lowerdir=")) continue;
      std::string_view rest = std::string_view(option).substr(9);
      while (!rest.empty()) {
        const size_t colon = std::min(rest.find(':'), rest.size());
        layers.emplace_back(rest.substr(0, colon));
        rest.remove_prefix(std::min(colon + 1, rest.size()));
      }
    }
  }
  return layers;
}

}  // namespace

struct Containers::Draft {
  explicit Draft(const json& wanted) : request(wanted), id(id_of(wanted)) {}
  const json& request;
  std::string id;
  CallOptions under_lease;
  std::future<bool> leased;
  ImageFactsPtr image;
  snapshots::PrepareSnapshotResponse snapshot;
  json spec;
  bool has_snapshot = false;
  bool has_record = false;
};

// Whether containerd has a task for the container.
bool Containers::has_task(const std::string& id) {
  tasks::GetRequest get;
  get.set_container_id(id);
  auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus status = task.status();
  if (status.code != RpcCode::not_found) throw_if_failed(status);
  return status.ok();
}

void Containers::await_cleaning(const std::set<std::string>& ids) {
  end_strays(config_, ids, [this](const std::string& id) { return has_task(id); });
}

// What an earlier call with the same id came to: its answer when it was the same request and is
// whole, nothing when there is none (remains of a crash are removed).
std::optional<json> Containers::existing(const json& request) {
  const std::string id = id_of(request);
  containers::GetContainerRequest ask;
  ask.set_id(id);
  auto found = rpc_.begin<containers::GetContainerResponse>(
      "/containerd.services.containers.v1.Containers/Get", ask);
  const RpcStatus exists = found.status();
  if (exists.code == RpcCode::not_found) {
    if (!delete_own_snapshot(id)) {  // what a crash between snapshot and record has left
      throw Failure(SKEP_E_EXISTS, "the snapshot " + id + " belongs to somebody else");
    }
    return std::nullopt;
  }
  throw_if_failed(exists);
  const ContainerRecord& old = found.reply().container();
  if (!is_ours(old, config_.node)) {
    throw Failure(SKEP_E_EXISTS, "the id " + id + " is in use by somebody else");
  }
  if (!asks_the_same(request_of(old), request)) {
    throw Failure(SKEP_E_EXISTS, "container " + id + " exists with other arguments");
  }
  tasks::GetRequest get;
  get.set_container_id(id);
  auto task = rpc_.begin<tasks::GetResponse>("/containerd.services.tasks.v1.Tasks/Get", get);
  const RpcStatus status = task.status();
  if (status.ok()) {
    return json{{"handle", {{"version", 1}}}, {"image_id", old.labels().at(image_id_label)}};
  }
  if (status.code != RpcCode::not_found) throw_if_failed(status);
  remove({{"id", id}, {"force", true}});
  return std::nullopt;
}

json Containers::create(const json& request) {
  const std::string id = id_of(request);
  {
    const std::lock_guard lock(mutex_);
    creating_.insert(id);
  }
  const std::shared_ptr<void> done(nullptr, [this, id](void*) {
    const std::lock_guard lock(mutex_);
    creating_.erase(id);
  });
  if (std::optional<json> answer = create_unless_remains(request)) return *answer;
  // What a crash had left of the same container is gone now.
  if (std::optional<json> answer = create_unless_remains(request)) return *answer;
  throw Failure(SKEP_E_BUSY, "the remains of an earlier container with the id " + id +
                                 " come back after they were removed");
}

std::optional<json> Containers::create_unless_remains(const json& request) {
  Draft draft(request);
  const std::string uri = log_uri(request);
  draft.under_lease.lease = Leases::name_for_container(draft.id);
  draft.leased = leases_.take_for_container(draft.id);
  try {
    draft.image = images_.find(text_of(request, "image"));
    // One that a crashed create left behind serves as well, and tells of that crash.
    if (draft.leased.get()) await_cleaning({draft.id});
    prepare_snapshot(draft);
    populate_mounts(draft);
    create_record(draft);
    create_task(draft);
  } catch (const Failure& failure) {
    undo(draft);
    if (failure.code() != SKEP_E_EXISTS || draft.has_record) throw;
    return existing(request);
  } catch (const std::exception&) {
    undo(draft);
    throw;
  }
  leases_.end(draft.under_lease.lease);
  return json{{"handle", {{"version", 1}}}, {"image_id", draft.image->id}};
}

void Containers::prepare_snapshot(Draft& draft) {
  snapshots::PrepareSnapshotRequest request;
  request.set_snapshotter(config_.snapshotter);
  request.set_key(draft.id);
  request.set_parent(draft.image->chain_id);
  (*request.mutable_labels())[node_label] = config_.node;
  auto started = rpc_.begin<snapshots::PrepareSnapshotResponse>(
      "/containerd.services.snapshots.v1.Snapshots/Prepare", request, draft.under_lease);
  const RpcStatus status = started.status();
  if (status.code == RpcCode::not_found) {
    throw Failure(SKEP_E_PRECONDITION, "the image " + draft.request.at("image").get<std::string>() +
                                           " is not unpacked for the snapshotter " +
                                           config_.snapshotter + "; pull it again");
  }
  throw_if_failed(status);
  draft.has_snapshot = true;
  draft.snapshot = started.reply();
}

void Containers::populate_mounts(const Draft& draft) {
  for (const json& mount : draft.request.value("mounts", json::array())) {
    if (!mount.value("populate", false)) continue;
    Filling filling;
    filling.folder = mount.at("source").get<std::string>();
    filling.target = mount.at("target").get<std::string>();
    filling.layers = layers_of(draft.snapshot);
    filling.state = config_.data_dir / "populate";
    filling.check = [] { sdk::end_if_unwanted(undo_ms); };
    populate(filling);
  }
}

void Containers::create_record(Draft& draft) {
  const json& image = draft.image->run_config();
  const User user = resolve_user(user_text(draft.request, image),
                                 text_list(draft.request, "groups"), layers_of(draft.snapshot));
  draft.spec = container_spec(draft.request, image, user);
  containers::CreateContainerRequest request;
  ContainerRecord& record = *request.mutable_container();
  record.set_id(draft.id);
  record.set_image(normalise_reference(draft.request.at("image").get<std::string>()));
  record.mutable_runtime()->set_name(config_.runtime);
  record.set_snapshotter(config_.snapshotter);
  record.set_snapshot_key(draft.id);
  record.mutable_spec()->set_type_url(spec_type_url);
  record.mutable_spec()->set_value(draft.spec.dump());
  (*record.mutable_labels())[node_label] = config_.node;
  (*record.mutable_labels())[image_id_label] = draft.image->id;
  auto& extension = (*record.mutable_extensions())[request_extension];
  extension.set_type_url(request_extension);
  extension.set_value(draft.request.dump());
  rpc_.call<containers::CreateContainerResponse>(
      "/containerd.services.containers.v1.Containers/Create", request, draft.under_lease);
  draft.has_record = true;
}

void Containers::create_task(Draft& draft) {
  monitor_.own(draft.id);
  tasks::CreateTaskRequest request;
  request.set_container_id(draft.id);
  *request.mutable_rootfs() = draft.snapshot.mounts();
  request.set_terminal(draft.request.value("tty", false));
  const std::string uri = log_uri(draft.request);
  request.set_stdout(uri);
  if (!request.terminal()) request.set_stderr(uri);
  CallOptions options = draft.under_lease;
  options.timeout_ms = task_timeout_ms;
  const auto attempt = [&] {
    auto started = rpc_.begin<tasks::CreateTaskResponse>(
        "/containerd.services.tasks.v1.Tasks/Create", request, options);
    return started.status();
  };
  RpcStatus status = attempt();
  const auto patient_until = std::chrono::steady_clock::now() + remains_patience;
  while ((status.code == RpcCode::already_exists || says_remains(status.message)) &&
         std::chrono::steady_clock::now() < patient_until) {
    // Of an interrupted create with the same id: containerd is taking them away.
    std::this_thread::sleep_for(remains_interval);
    await_cleaning({draft.id});
    status = attempt();
  }
  if (status.ok()) return;
  if (status.code == RpcCode::unavailable || status.code == RpcCode::deadline_exceeded) {
    throw_if_failed(status);
  }
  const std::string text = useful_part(status.message);
  if (says_missing_program(text) || says_not_executable(text)) throw Failure(SKEP_E_INVALID, text);
  throw Failure(SKEP_E_INTERNAL, text);
}

void Containers::undo(const Draft& draft) {
  // Best effort by nature: what can't be undone now is found by its label after the next restore,
  // and its lease is left to expire, so that the list of leases tells of it until then.
  bool leave_to_clean_up = false;
  const auto attempt = [&](auto action) {
    try {
      action();
    } catch (const std::exception&) {
      leave_to_clean_up = true;
    }
  };
  if (draft.leased.valid()) draft.leased.wait();  // else its end could overtake its beginning
  if (draft.has_record) {
    attempt([&] { delete_task(draft.id, true); });
    containers::DeleteContainerRequest request;
    request.set_id(draft.id);
    attempt(
        [&] { rpc_.call<Empty>("/containerd.services.containers.v1.Containers/Delete", request); });
    remove_cgroup(cgroup_path(draft.request));
    monitor_.disown(draft.id);
  }
  if (draft.has_snapshot) attempt([&] { delete_snapshot(draft.id); });
  // Waited for: a second try may be next, under a lease of the same name.
  if (!leave_to_clean_up) attempt([&] { leases_.end_and_wait(draft.under_lease.lease); });
  leases_.leave(draft.under_lease.lease);
}

std::string Containers::log_uri(const json& request) const {
  const json log = request.value("log", json::object());
  const std::string dir = log.value("dir", std::string());
  if (dir.empty()) return {};
  if (config_.log_program.empty()) {
    throw Failure(SKEP_E_PRECONDITION,
                  "skep-log was not found beside the driver; "
                  "set config.log_program");
  }
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw Failure(SKEP_E_INVALID, "log.dir: " + dir + ": " + error.message());
  return "binary://" + url_encoded(config_.log_program.string()) + "?dir=" + url_encoded(dir) +
         "&max_bytes=" + std::to_string(log.value("max_bytes", int64_t{0})) +
         "&max_files=" + std::to_string(log.value("max_files", int64_t{1}));
}

}  // namespace skep::containerd
