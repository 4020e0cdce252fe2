// Stand-ins for what the handlers of volumes don't touch, and the way through the dispatcher.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/api/api_world.hpp"

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch.hpp>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>

namespace skep::api::test {
namespace {

Error not_here() {
  return Error{ErrorKind::internal, "the test's node has no answer to this"};
}

class FakeControl final : public manager::Control {
 public:
  using ServiceResult = Result<model::ServiceId>;

  manager::Membership membership() const override { return {}; }
  const store::View* store() const override { return nullptr; }
  asio::awaitable<Status> fresh() override { co_return Status(); }
  model::NodeId leader() const override { return {}; }
  manager::TrustInfo trust() const override { return {}; }
  asio::awaitable<Result<model::NodeId>> init(manager::InitRequest) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> join(manager::JoinRequest) override { co_return fail(not_here()); }
  asio::awaitable<Status> leave(bool) override { co_return fail(not_here()); }
  asio::awaitable<Status> unlock(std::string) override { co_return fail(not_here()); }
  asio::awaitable<Result<storage::NamelessFile>> save_snapshot(
      std::optional<std::string>) override {
    co_return fail(not_here());
  }
  asio::awaitable<Result<model::NodeId>> restore_snapshot(manager::RestoreRequest) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> update_cluster(uint64_t, model::ClusterSpec,
                                         manager::TokenRotation) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> update_node(model::NodeId, uint64_t, model::NodeSpec) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> remove_node(model::NodeId, bool) override { co_return fail(not_here()); }
  asio::awaitable<ServiceResult> create_service(model::ServiceSpec) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> update_service(model::ServiceId, uint64_t, model::ServiceSpec) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> remove_service(model::ServiceId) override { co_return fail(not_here()); }
  uint64_t subscribe(std::function<void(const ClusterEvent&)>) override { return 1; }
  void unsubscribe(uint64_t) override {}
};

class FakeContainers final : public agent::Containers {
 public:
  using Found = std::shared_ptr<const agent::Container>;

  explicit FakeContainers(const ApiWorld& world) : world_(world) {}

  std::vector<Found> list() const override { return world_.containers; }
  Result<Found> find(std::string_view) const override { return fail(not_here()); }
  asio::awaitable<Result<bool>> stop(std::string, std::string,
                                     std::optional<model::Nanoseconds>) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> kill(std::string, std::string) override { co_return fail(not_here()); }
  asio::awaitable<Status> remove(std::string, bool) override { co_return fail(not_here()); }
  asio::awaitable<Result<int64_t>> wait(std::string, agent::WaitCondition) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> logs(
      std::string, agent::LogQuery,
      std::function<asio::awaitable<bool>(const agent::LogLine&)>) override {
    co_return fail(not_here());
  }
  Result<std::string> exec_create(agent::ExecConfig) override { return fail(not_here()); }
  Result<agent::ExecState> exec_inspect(std::string_view) const override {
    return fail(not_here());
  }
  asio::awaitable<Result<std::unique_ptr<agent::ExecStreams>>> exec_start(std::string) override {
    co_return fail(not_here());
  }
  asio::awaitable<Status> exec_resize(std::string, uint16_t, uint16_t) override {
    co_return fail(not_here());
  }
  asio::awaitable<Result<std::vector<agent::Image>>> images() override {
    co_return fail(not_here());
  }
  size_t image_count() const override { return 0; }
  asio::awaitable<Result<agent::Image>> image(std::string) override { co_return fail(not_here()); }
  asio::awaitable<Result<agent::Image>> pull(
      std::string, std::optional<agent::RegistryAuth>,
      std::function<void(const agent::PullProgress&)>) override {
    co_return fail(not_here());
  }
  asio::awaitable<Result<agent::ImageRemoval>> remove_image(std::string, bool) override {
    co_return fail(not_here());
  }
  std::vector<LocalNetwork> networks() const override { return world_.networks; }
  std::string runtime_trouble() const override { return ""; }
  std::string runtime_version() const override { return ""; }
  uint64_t subscribe(std::function<void(const agent::NodeEvent&)>) override { return 1; }
  void unsubscribe(uint64_t) override {}

 private:
  const ApiWorld& world_;
};

// For answers that are one value: nothing of it is used.
class NoExchange final : public Exchange {
 public:
  asio::awaitable<bool> begin_stream(int, std::string) override { co_return false; }
  asio::awaitable<bool> write(std::string) override { co_return false; }
  asio::awaitable<bool> hijack(std::string) override { co_return false; }
  asio::awaitable<std::optional<std::string>> read_raw() override { co_return std::nullopt; }
  asio::awaitable<bool> write_raw(std::string) override { co_return false; }
  asio::awaitable<bool> until_gone(asio::awaitable<void>) override { co_return false; }
  asio::awaitable<void> until_first_ends(asio::awaitable<void>, asio::awaitable<void>) override {
    co_return;
  }
};

template <class T>
T run(boost::asio::io_context& loop, asio::awaitable<T> body) {
  std::optional<T> result;
  std::exception_ptr failure;
  asio::co_spawn(loop, std::move(body), [&](std::exception_ptr error, T value) {
    result.emplace(std::move(value));
    failure = error;
  });
  loop.restart();
  loop.run();
  if (failure) std::rethrow_exception(failure);
  REQUIRE(result.has_value());
  return std::move(*result);
}

Options options_of_test() {
  Options options;
  options.now = [] { return model::WallTime{1'700'000'000'000'000'000}; };
  return options;
}

}  // namespace

// --- volumes

agent::Volume& FakeVolumes::add(const std::string& name, model::Labels labels) {
  agent::Volume& volume = volumes[name];
  volume.name = name;
  volume.driver = "local";
  volume.labels = std::move(labels);
  volume.created_at = model::WallTime{1'600'000'000'000'000'000};
  volume.path = "/volumes/" + name;
  volume.scope = "local";
  return volume;
}

std::vector<agent::Volume> FakeVolumes::list() const {
  std::vector<agent::Volume> all;
  for (const auto& [name, volume] : volumes) all.push_back(volume);
  return all;
}

Result<agent::Volume> FakeVolumes::find(std::string_view name) const {
  const auto at = volumes.find(std::string(name));
  if (at != volumes.end()) return at->second;
  return fail(ErrorKind::not_found, "get " + std::string(name) + ": no such volume");
}

asio::awaitable<Result<agent::Volume>> FakeVolumes::create(agent::VolumeWish wish) {
  calls.push_back("create " + wish.name);
  wishes.push_back(wish);
  if (const auto refusal = refusals.find(calls.back()); refusal != refusals.end()) {
    co_return fail(refusal->second);
  }
  agent::Volume& made = add(wish.name, wish.labels);
  made.options = wish.options;
  co_return made;
}

asio::awaitable<Status> FakeVolumes::remove(std::string name, bool force) {
  calls.push_back("remove " + name + (force ? " by force" : ""));
  if (while_removed) while_removed(name);
  if (const auto refusal = refusals.find(calls.back()); refusal != refusals.end()) {
    co_return fail(refusal->second);
  }
  const Result<agent::Volume> there = find(name);
  if (!there && force) co_return Status();
  if (!there) co_return fail(there.error());
  if (!there->holders.empty()) {
    co_return fail(ErrorKind::conflict,
                   "remove " + name + ": volume is in use - [" + *there->holders.begin() + "]");
  }
  volumes.erase(name);
  co_return Status();
}

asio::awaitable<Result<int64_t>> FakeVolumes::usage(std::string name) {
  calls.push_back("usage " + name);
  if (while_counted) while_counted(name);
  if (const auto refusal = refusals.find(calls.back()); refusal != refusals.end()) {
    co_return fail(refusal->second);
  }
  co_return bytes[name];
}

// --- the API

struct ApiWorld::Node {
  Node(boost::asio::io_context& loop, ApiWorld& world)
      : containers(world),
        drivers(run(loop, drivers::DriverSet::load({}, drivers::PluginPlace()))),
        log(loop, control, containers, options.now),
        context{loop, control, containers, world.volumes, *drivers, log, options} {}

  Options options = options_of_test();
  FakeControl control;
  FakeContainers containers;
  std::unique_ptr<drivers::DriverSet> drivers;
  EventLog log;
  Context context;
  NoExchange exchange;
  Dispatcher dispatcher;
};

ApiWorld::ApiWorld() : node_(std::make_unique<Node>(loop_, *this)) {}
ApiWorld::~ApiWorld() = default;

Response ApiWorld::ask(const std::string& method, const std::string& target,
                       const std::string& body) {
  Request request;
  request.method = method;
  request.body = body;
  return run(loop_,
             node_->dispatcher.answer(node_->context, std::move(request), target, node_->exchange));
}

Response ApiWorld::ask_filtered(const std::string& method, const std::string& path,
                                const std::string& filters) {
  std::string escaped;
  for (const char c : filters) {
    char text[4];
    std::snprintf(text, sizeof text, "%%%02X", static_cast<unsigned>(static_cast<uint8_t>(c)));
    escaped += text;
  }
  return ask(method, path + "?filters=" + escaped);
}

std::vector<std::string> ApiWorld::events() const {
  std::vector<std::string> lines;
  for (const auto& event : node_->log.kept()) {
    std::string line = event->type + " " + event->action + " " + event->id;
    for (const auto& [key, value] : event->attributes) line += " " + key + "=" + value;
    lines.push_back(line + " " + event->scope);
  }
  return lines;
}

std::string told(const Response& response) {
  const std::string status = std::to_string(response.status);
  if (response.body.empty()) return status;
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (json.is_object() && json.contains("message")) {
    return status + " " + json["message"].get<std::string>();
  }
  return status + " " + response.body;
}

}  // namespace skep::api::test
