// The echo and the one container.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/api/fake_containers.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>

namespace skep::fakes {

using agent::ContainerState;

namespace {

constexpr std::chrono::milliseconds kPause{20};

class EchoStreams final : public agent::ExecStreams {
 public:
  EchoStreams(asio::io_context& loop, agent::ExecState& state) : wake_(loop), state_(state) {
    const std::vector<std::string>& argv = state_.config.argv;
    if (argv.front() == "cat") return;
    if (argv.front() == "exit") {
      end(argv.size() > 1 ? std::stoll(argv[1]) : 0);
      return;
    }
    std::string line;
    for (const std::string& word : argv) line += (line.empty() ? "" : " ") + word;
    if (state_.config.tty) {
      line += " on a terminal of " + std::to_string(state_.config.rows) + " rows";
    }
    output_.push_back({false, line + (state_.config.tty ? "\r\n" : "\n")});
    output_.push_back({true, state_.config.tty ? "" : "to stderr\n"});
    end(0);
  }

  asio::awaitable<std::optional<Chunk>> read() override {
    while (output_.empty() && !ended_) {
      wake_.expires_at(asio::steady_timer::time_point::max());
      boost::system::error_code ignored;  // operation_aborted is how we are woken
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (output_.empty()) co_return std::nullopt;
    Chunk chunk = std::move(output_.front());
    output_.pop_front();
    co_return chunk;
  }

  asio::awaitable<Status> write(std::string bytes) override {
    // On a terminal, Ctrl-D is end of input.
    const bool end_of_input = state_.config.tty && bytes.find('\4') != std::string::npos;
    output_.push_back({false, std::move(bytes)});
    if (end_of_input) end(0);
    wake_.cancel();
    co_return Status{};
  }

  asio::awaitable<void> close_input() override {
    end(0);
    wake_.cancel();
    co_return;
  }

 private:
  void end(int64_t code) {
    if (ended_) return;
    ended_ = true;
    state_.running = false;
    state_.exit_code = code;
  }

  asio::steady_timer wake_;
  agent::ExecState& state_;
  std::deque<Chunk> output_;
  bool ended_ = false;
};

agent::Image sample_image() {
  agent::Image image;
  image.id = "sha256:" + std::string(64, 'a');
  image.tags = {"busybox:1.28.3"};
  image.digests = {"busybox@sha256:" + std::string(64, 'b')};
  image.created_at = {1'600'000'000'000'000'000};
  image.size = 1'200'000;
  image.architecture = "amd64";
  image.os = "linux";
  image.config_json = R"({"Cmd":["sh"],"Labels":{"who":"fake"}})";
  return image;
}

}  // namespace

FakeContainers::FakeContainers(asio::io_context& loop, std::function<model::WallTime()> now)
    : loop_(loop), now_(std::move(now)) {
  agent::Container container;
  container.id = std::string(60, 'c') + "0001";
  container.name = "web.1.aaaaaaaaaaaaaaaaaaaaaaaaa";
  container.image = "busybox:1.28.3";
  container.image_id = sample_image().id;
  container.argv = {"sleep", "1000"};
  container.labels = {{"com.docker.swarm.service.name", "web"}};
  container.state = ContainerState::running;
  container.pid = 4242;
  container.created_at = container.started_at = now_();
  container.networks = {{"bridge", std::string(64, 'd'), std::string(64, 'e'), "172.17.0.2", 16,
                         "172.17.0.1", "02:42:ac:11:00:02"}};
  container_ = std::make_shared<const agent::Container>(std::move(container));
}

std::vector<std::shared_ptr<const agent::Container>> FakeContainers::list() const {
  if (!container_) return {};
  return {container_};
}

Result<std::shared_ptr<const agent::Container>> FakeContainers::find(
    std::string_view reference) const {
  if (container_ && !reference.empty() &&
      (container_->id.starts_with(reference) || container_->name == reference)) {
    return container_;
  }
  return fail(ErrorKind::not_found, "No such container: " + std::string(reference));
}

void FakeContainers::announce(const std::string& action) {
  const agent::NodeEvent event{"container",
                               action,
                               container_->id,
                               {{"name", container_->name}, {"image", container_->image}},
                               now_()};
  for (const auto& [number, sink] : sinks_) sink(event);
}

void FakeContainers::set_exited(int64_t code) {
  agent::Container changed = *container_;
  changed.state = ContainerState::exited;
  changed.exit_code = code;
  changed.finished_at = now_();
  container_ = std::make_shared<const agent::Container>(std::move(changed));
  announce("die");
}

asio::awaitable<void> FakeContainers::pause() {
  asio::steady_timer timer(loop_, kPause);
  boost::system::error_code cancelled;  // the next co_await of the caller notices
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

asio::awaitable<Result<bool>> FakeContainers::stop(std::string, std::string,
                                                   std::optional<model::Nanoseconds>) {
  if (!running()) co_return false;
  set_exited(143);
  co_return true;
}

asio::awaitable<Status> FakeContainers::kill(std::string id, std::string) {
  if (!running()) co_return fail(ErrorKind::conflict, "container " + id + " is not running");
  announce("kill");
  set_exited(137);
  co_return Status{};
}

asio::awaitable<Status> FakeContainers::remove(std::string id, bool force) {
  if (running() && !force) {
    co_return fail(ErrorKind::conflict, "container " + id + " is running: stop it or use force");
  }
  announce("destroy");
  container_ = nullptr;
  co_return Status{};
}

asio::awaitable<Result<int64_t>> FakeContainers::wait(std::string, agent::WaitCondition) {
  while (running()) co_await pause();
  co_return container_ ? container_->exit_code : 0;
}

asio::awaitable<Status> FakeContainers::logs(
    std::string, agent::LogQuery query,
    std::function<asio::awaitable<bool>(const agent::LogLine&)> sink) {
  std::vector<agent::LogLine> lines = {
      {now_(), false, "one\n"}, {now_(), true, "two (stderr)\n"}, {now_(), false, "three\n"}};
  if (query.tail && *query.tail < lines.size()) {
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(*query.tail));
  }
  for (const agent::LogLine& line : lines) {
    if (line.is_stderr ? !query.err : !query.out) continue;
    if (!co_await sink(line)) co_return Status{};
  }
  while (query.follow && running()) co_await pause();
  co_return Status{};
}

Result<std::string> FakeContainers::exec_create(agent::ExecConfig config) {
  std::string id = std::to_string(execs_.size() + 1);
  id.insert(0, 64 - id.size(), 'f');
  execs_[id].config = std::move(config);
  return id;
}

Result<agent::ExecState> FakeContainers::exec_inspect(std::string_view exec_id) const {
  const auto found = execs_.find(exec_id);
  if (found == execs_.end()) {
    return fail(ErrorKind::not_found, "No such exec instance: " + std::string(exec_id));
  }
  return found->second;
}

asio::awaitable<Result<std::unique_ptr<agent::ExecStreams>>> FakeContainers::exec_start(
    std::string exec_id) {
  agent::ExecState& state = execs_.find(exec_id)->second;
  state.started = state.running = true;
  std::unique_ptr<agent::ExecStreams> streams = std::make_unique<EchoStreams>(loop_, state);
  co_return streams;
}

asio::awaitable<Status> FakeContainers::exec_resize(std::string exec_id, uint16_t rows,
                                                    uint16_t columns) {
  const auto found = execs_.find(exec_id);
  if (found == execs_.end()) co_return fail(ErrorKind::not_found, "No such exec instance");
  found->second.config.rows = rows;
  found->second.config.columns = columns;
  co_return Status{};
}

asio::awaitable<Result<std::vector<agent::Image>>> FakeContainers::images() {
  std::vector<agent::Image> all = {sample_image()};
  co_return all;
}

asio::awaitable<Result<agent::Image>> FakeContainers::image(std::string reference) {
  if (reference == "busybox:1.28.3" || sample_image().id == reference) co_return sample_image();
  co_return fail(ErrorKind::not_found, "No such image: " + reference);
}

asio::awaitable<Result<agent::Image>> FakeContainers::pull(
    std::string reference, std::optional<agent::RegistryAuth>,
    std::function<void(const agent::PullProgress&)> progress) {
  if (reference.find("missing") != std::string::npos) {
    co_return fail(ErrorKind::not_found, "manifest for " + reference + " not found");
  }
  for (uint64_t done = 0; done <= 100; done += 25) {
    progress({"0123456789ab", done < 100 ? "Downloading" : "Pull complete", done, 100});
    co_await pause();
  }
  co_return sample_image();
}

asio::awaitable<Result<agent::ImageRemoval>> FakeContainers::remove_image(std::string reference,
                                                                          bool) {
  agent::ImageRemoval removal;
  removal.untagged = {reference};
  co_return removal;
}

std::vector<agent::Containers::LocalNetwork> FakeContainers::networks() const {
  return {{std::string(64, 'd'), "bridge", "bridge", "172.17.0.0/16", "172.17.0.1", now_()}};
}

uint64_t FakeContainers::subscribe(std::function<void(const agent::NodeEvent&)> sink) {
  const uint64_t number = sinks_.empty() ? 1 : sinks_.rbegin()->first + 1;
  sinks_[number] = std::move(sink);
  return number;
}

void FakeContainers::unsubscribe(uint64_t subscription) {
  sinks_.erase(subscription);
}

}  // namespace skep::fakes
