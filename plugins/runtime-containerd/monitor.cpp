// The monitor's states: connecting (ask the version) -> subscribing (publish proofs until one is
// heard)
// -> standing -> broken -> connecting. All of that runs on the callback thread; `generation_` makes
// late callbacks of an earlier attempt harmless.
//
// The shim sends events of one container in order, but repeats and reorders them when containerd
// was away in between. advance() puts create < start < exit < delete right again: a step that was
// passed is dropped, and an exit that comes before its start makes the start be told first.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/monitor.hpp"

#include <google/protobuf/empty.pb.h>

#include <algorithm>

#include "github.com/containerd/containerd/api/events/task.pb.h"
#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"
#include "github.com/containerd/containerd/api/services/events/v1/events.pb.h"
#include "github.com/containerd/containerd/api/services/version/v1/version.pb.h"
#include "runtime-containerd/text.hpp"

namespace skep::containerd {

namespace containers = ::containerd::services::containers::v1;
namespace events = ::containerd::services::events::v1;
namespace task_events = ::containerd::events;
namespace version = ::containerd::services::version::v1;

namespace {

constexpr int pause_min_ms = 100;
constexpr int pause_max_ms = 2'000;
constexpr int proof_interval_ms = 30;
constexpr int proof_attempts_max = 200;  // 6 s, then the attempt counts as broken
constexpr size_t remembered_deleted_max = 1024;

template <class Event>
Event parse(const std::string& bytes) {
  Event event;
  event.ParseFromString(bytes);
  return event;
}

}  // namespace

Monitor::Monitor(Rpc& rpc, const Config& config, std::function<void(int, std::string)> log)
    : rpc_(rpc), config_(config), log_(std::move(log)), random_(std::random_device{}()) {
  health_.reason = "not yet connected to containerd at " + config_.address;
}

void Monitor::begin() {
  rpc_.after(0, [this] { connect(); });
}

Monitor::Health Monitor::health() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

void Monitor::connect() {
  ++generation_;
  standing_ = false;
  const uint64_t generation = generation_;
  CallOptions options;
  options.timeout_ms = 5'000;
  rpc_.async<version::VersionResponse>(
      "/containerd.services.version.v1.Version/Version", google::protobuf::Empty(), options,
      [this, generation](RpcStatus status, version::VersionResponse& reply) {
        if (rpc_.closing() || generation != generation_) return;
        if (!status.ok()) return on_broken(status.message);
        {
          const std::lock_guard lock(mutex_);
          health_.version = reply.version();
        }
        subscribe();
      });
}

void Monitor::subscribe() {
  const uint64_t generation = generation_;
  proof_topic_ = "/skep/subscribed/" + std::to_string(random_()) + "-" + std::to_string(generation);
  events::SubscribeRequest request;
  const std::string space = "namespace==" + filter_quoted(config_.space);
  request.add_filters(space + ",topic~=\"^/tasks/\"");
  request.add_filters(space + ",topic==" + filter_quoted(proof_topic_));
  CallOptions options;
  options.timeout_ms = 0;
  subscription_ = rpc_.stream(
      "/containerd.services.events.v1.Events/Subscribe", request, options,
      [this](std::string_view bytes) { on_envelope(bytes); },
      [this, generation](RpcStatus status) {
        if (rpc_.closing() || generation != generation_) return;
        on_broken(status.message.empty() ? "the connection ended" : status.message);
      });
  publish_proof(0);
}

void Monitor::publish_proof(int attempt) {
  const uint64_t generation = generation_;
  if (attempt == proof_attempts_max) {
    subscription_->cancel();
    return;
  }
  events::PublishRequest request;
  request.set_topic(proof_topic_);
  request.mutable_event()->set_type_url("io.skep/subscribed");
  rpc_.async<google::protobuf::Empty>(
      "/containerd.services.events.v1.Events/Publish", request, {},
      [this, generation, attempt](RpcStatus, google::protobuf::Empty&) {
        rpc_.after(proof_interval_ms, [this, generation, attempt] {
          if (generation == generation_ && !standing_) publish_proof(attempt + 1);
        });
      });
}

void Monitor::on_envelope(std::string_view bytes) {
  events::Envelope envelope;
  if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  if (envelope.topic() == proof_topic_) {
    if (!std::exchange(standing_, true)) on_standing();
    return;
  }
  on_task_event(envelope.topic(), envelope.event().value(), rfc3339(envelope.timestamp()));
}

void Monitor::on_standing() {
  const uint64_t generation = generation_;
  containers::ListContainersRequest request;
  request.add_filters("labels.\"io.skep.node\"==" + filter_quoted(config_.node));
  auto found = std::make_shared<std::set<std::string>>();
  rpc_.stream(
      "/containerd.services.containers.v1.Containers/ListStream", request, {},
      [found](std::string_view bytes) {
        containers::ListContainerMessage message;
        if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
          found->insert(message.container().id());
        }
      },
      [this, generation, found](RpcStatus status) {
        if (rpc_.closing() || generation != generation_) return;
        if (!status.ok()) return subscription_->cancel();
        failures_ = 0;
        {
          const std::lock_guard lock(mutex_);
          own_.insert(found->begin(), found->end());
          stages_.clear();
          deleted_.clear();
        }
        set_health(true, "");
        tell({{"type", "gap"}, {"time", now_rfc3339()}});
      });
}

void Monitor::on_broken(const std::string& reason) {
  ++generation_;
  standing_ = false;
  set_health(false, "containerd at " + config_.address + " does not answer: " + reason);
  const int doubled = pause_min_ms << std::min(failures_++, 5);
  const int pause_ms = std::min(doubled, pause_max_ms);
  const int jitter_ms = static_cast<int>(random_() % static_cast<unsigned>(pause_ms / 2 + 1));
  rpc_.after(pause_ms / 2 + jitter_ms, [this] { connect(); });
}

void Monitor::set_health(bool healthy, const std::string& reason) {
  std::vector<HeldPtr> listeners;
  sdk::json item;
  {
    const std::lock_guard lock(mutex_);
    const bool changed = health_.healthy != healthy;
    health_.healthy = healthy;
    health_.reason = reason;
    if (!changed) return;
    std::erase_if(fingerprints_, [](const HeldPtr& held) { return held->finished(); });
    listeners = fingerprints_;
    item = fingerprint_item();
  }
  log_(healthy ? SKEP_LOG_INFO : SKEP_LOG_WARNING, healthy ? "containerd answers" : reason);
  for (const HeldPtr& held : listeners) held->emit(item);
}

sdk::json Monitor::fingerprint_item() const {
  sdk::json item = {
      {"healthy", health_.healthy}, {"name", "containerd"}, {"version", health_.version}};
  if (!health_.healthy) item["reason"] = health_.reason;
  return item;
}

void Monitor::add_fingerprint(HeldPtr held) {
  const std::lock_guard lock(mutex_);
  held->emit(fingerprint_item());
  fingerprints_.push_back(std::move(held));
}

void Monitor::add_events(HeldPtr held) {
  const std::lock_guard lock(mutex_);
  if (health_.healthy) {
    held->emit({{"seq", ++seq_}, {"type", "gap"}, {"time", now_rfc3339()}});
  }
  events_.push_back(std::move(held));
}

void Monitor::own(const std::string& id) {
  const std::lock_guard lock(mutex_);
  own_.insert(id);
  stages_[id] = Stage::none;
}

void Monitor::disown(const std::string& id) {
  const std::lock_guard lock(mutex_);
  own_.erase(id);
}

void Monitor::tell(sdk::json item) {
  const std::lock_guard lock(mutex_);
  std::erase_if(events_, [](const HeldPtr& held) { return held->finished(); });
  item["seq"] = ++seq_;
  for (const HeldPtr& held : events_) held->emit(item);
}

bool Monitor::advance(const std::string& id, Stage stage, const std::string& time) {
  bool start_missing = false;
  {
    const std::lock_guard lock(mutex_);
    const auto known = stages_.find(id);
    if (known == stages_.end() && !own_.contains(id)) return false;
    const Stage before = known == stages_.end() ? Stage::none : known->second;
    if (stage <= before) return false;
    start_missing = stage == Stage::exited && before == Stage::created;
    stages_[id] = stage;
    if (stage == Stage::deleted) {
      deleted_.push_back(id);
      if (deleted_.size() > remembered_deleted_max) {
        stages_.erase(deleted_.front());
        deleted_.pop_front();
      }
    }
  }
  if (start_missing) tell({{"type", "start"}, {"id", id}, {"time", time}});
  return true;
}

void Monitor::on_task_event(const std::string& topic, const std::string& bytes,
                            const std::string& time) {
  if (topic == "/tasks/create") {
    const auto event = parse<task_events::TaskCreate>(bytes);
    if (advance(event.container_id(), Stage::created, time)) {
      tell({{"type", "create"}, {"id", event.container_id()}, {"time", time}});
    }
  } else if (topic == "/tasks/start") {
    const auto event = parse<task_events::TaskStart>(bytes);
    if (advance(event.container_id(), Stage::started, time)) {
      tell({{"type", "start"}, {"id", event.container_id()}, {"time", time}});
    }
  } else if (topic == "/tasks/exit") {
    const auto event = parse<task_events::TaskExit>(bytes);
    const bool main_process = event.id().empty() || event.id() == event.container_id();
    sdk::json item = {{"type", "exit"},
                      {"id", event.container_id()},
                      {"exit_code", event.exit_status()},
                      {"time", rfc3339(event.exited_at())}};
    if (main_process) {
      if (advance(event.container_id(), Stage::exited, time)) tell(std::move(item));
      return;
    }
    item["exec_id"] = event.id();
    bool ours = false;
    {
      const std::lock_guard lock(mutex_);
      ours = own_.contains(event.container_id());
    }
    if (ours) tell(std::move(item));
  } else if (topic == "/tasks/oom") {
    const auto event = parse<task_events::TaskOOM>(bytes);
    bool ours = false;
    {
      const std::lock_guard lock(mutex_);
      ours = own_.contains(event.container_id());
    }
    if (ours) tell({{"type", "oom"}, {"id", event.container_id()}, {"time", time}});
  } else if (topic == "/tasks/delete") {
    const auto event = parse<task_events::TaskDelete>(bytes);
    const bool main_process = event.id().empty() || event.id() == event.container_id();
    if (main_process && advance(event.container_id(), Stage::deleted, time)) {
      tell({{"type", "delete"}, {"id", event.container_id()}, {"time", time}});
    }
  }
}

}  // namespace skep::containerd
