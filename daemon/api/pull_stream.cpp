// The two coroutines share the object; both run on the loop.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/pull_stream.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

namespace skep::api {
namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string progress_line(const agent::PullProgress& progress) {
  Json detail = Json::object();
  if (progress.total != 0) detail = {{"current", progress.current}, {"total", progress.total}};
  Json json = {{"status", progress.status}, {"progressDetail", std::move(detail)}};
  if (!progress.layer.empty()) json["id"] = progress.layer;
  return line(json);
}

// Clients send the full spelling, people know the short one.
std::string short_spelling(const std::string& reference) {
  std::string_view rest = reference;
  if (rest.starts_with("docker.io/")) rest.remove_prefix(10);
  if (rest.starts_with("library/")) rest.remove_prefix(8);
  return std::string(rest);
}

// "library/busybox" of "busybox:1.28.3" and "1.28.3": what the pull begins by saying. The colon of
// a registry's port is not a tag's.
struct RepositoryAndTag {
  std::string repository;
  std::string tag = "latest";
};

RepositoryAndTag split(const std::string& reference) {
  RepositoryAndTag parts{.repository = short_spelling(reference)};
  std::string& name = parts.repository;
  const size_t slash = name.rfind('/');
  const size_t from = slash == std::string::npos ? 0 : slash;
  size_t mark = name.find('@', from);
  if (mark == std::string::npos) mark = name.find(':', from);
  if (mark != std::string::npos) {
    parts.tag = name.substr(mark + 1);
    name.erase(mark);
  }
  if (slash == std::string::npos) name.insert(0, "library/");
  return parts;
}

}  // namespace

PullStream::PullStream(Context& context, std::string reference,
                       std::optional<agent::RegistryAuth> auth)
    : context_(context),
      reference_(std::move(reference)),
      auth_(std::move(auth)),
      wake_(context.loop) {}

asio::awaitable<void> PullStream::run(Exchange& exchange) {
  using namespace asio::experimental::awaitable_operators;
  co_await (pull() && tell(exchange));
}

asio::awaitable<void> PullStream::pull() {
  constexpr size_t kLayersMax = 1024;  // no image comes near; bounds what a driver can make us keep
  const auto note = [this](const agent::PullProgress& progress) {
    if (waiting_.size() >= kLayersMax && !waiting_.contains(progress.layer)) return;
    waiting_[progress.layer] = progress;
    wake_.cancel();
  };
  const Result<agent::Image> before = co_await context_.containers.image(reference_);
  if (before) known_id_ = before->id;
  outcome_ = co_await context_.containers.pull(reference_, auth_, note);
  wake_.cancel();
}

asio::awaitable<void> PullStream::tell(Exchange& exchange) {
  const RepositoryAndTag asked = split(reference_);
  const Json first = {{"status", "Pulling from " + asked.repository}, {"id", asked.tag}};
  if (!co_await exchange.write(line(first))) co_return;
  while (!outcome_ || !waiting_.empty()) {
    while (!waiting_.empty()) {
      const agent::PullProgress progress = waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      if (!co_await exchange.write(progress_line(progress))) co_return;
    }
    if (outcome_) break;
    wake_.expires_at(asio::steady_timer::time_point::max());
    boost::system::error_code ignored;  // operation_aborted is how we are woken
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
  }
  if (!*outcome_) {
    const std::string& message = outcome_->error().message;
    const Json failure = {{"errorDetail", Json{{"message", message}}}, {"error", message}};
    co_await exchange.write(line(failure));
    co_return;
  }
  const agent::Image& image = **outcome_;
  if (!image.digests.empty()) {
    const std::string& digest = image.digests.front();
    const Json told = {{"status", "Digest: " + digest.substr(digest.find('@') + 1)}};
    if (!co_await exchange.write(line(told))) co_return;
  }
  const char* news =
      image.id == known_id_ ? "Image is up to date for " : "Downloaded newer image for ";
  const Json done = {{"status", std::string("Status: ") + news + short_spelling(reference_)}};
  co_await exchange.write(line(done));
}

}  // namespace skep::api
