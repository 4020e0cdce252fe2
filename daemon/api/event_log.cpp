// A timer that never expires by itself is the reader's wake-up: cancelling it resumes the
// coroutine on the loop.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/event_log.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace skep::api {
namespace {

std::optional<std::string_view> type_name(manager::Control::ClusterEvent::Kind kind) {
  using Kind = manager::Control::ClusterEvent::Kind;
  switch (kind) {
    case Kind::node:
      return "node";
    case Kind::service:
      return "service";
    case Kind::network:
      return "network";
    case Kind::task:
      return std::nullopt;  // Docker has no task events
  }
  return std::nullopt;
}

std::string_view action_name(manager::Control::ClusterEvent::Action action) {
  using Action = manager::Control::ClusterEvent::Action;
  switch (action) {
    case Action::create:
      return "create";
    case Action::update:
      return "update";
    case Action::remove:
      return "remove";
  }
  return "update";
}

}  // namespace

EventLog::EventLog(asio::io_context& loop, manager::Control& control, agent::Containers& containers,
                   std::function<model::WallTime()> now)
    : loop_(loop), control_(control), containers_(containers), now_(std::move(now)) {
  control_subscription_ = control_.subscribe([this](const manager::Control::ClusterEvent& change) {
    const std::optional<std::string_view> type = type_name(change.kind);
    if (!type) return;
    Event event{std::string(*type),
                std::string(action_name(change.action)),
                change.id,
                change.attributes,
                "swarm",
                change.time};
    event.attributes["name"] = change.name;
    add(std::move(event));
  });
  containers_subscription_ = containers_.subscribe([this](const agent::NodeEvent& event) {
    add(Event{event.type, event.action, event.id, event.attributes, "local", event.time});
  });
}

EventLog::~EventLog() {
  control_.unsubscribe(control_subscription_);
  containers_.unsubscribe(containers_subscription_);
}

void EventLog::add(Event event) {
  const auto shared = std::make_shared<const Event>(std::move(event));
  kept_.push_back(shared);
  if (kept_.size() > kKept) kept_.pop_front();
  for (Reader* reader : readers_) {
    if (reader->backlog_.size() >= kBacklogMax) {
      reader->ended_ = true;
    } else {
      reader->backlog_.push_back(shared);
    }
    reader->wake_.cancel();
  }
}

void EventLog::tell(std::string type, std::string action, std::string id,
                    model::Labels attributes) {
  add(Event{std::move(type), std::move(action), std::move(id), std::move(attributes), "local",
            now_()});
}

void EventLog::end_readers() {
  for (Reader* reader : readers_) {
    reader->ended_ = true;
    reader->wake_.cancel();
  }
}

EventLog::Reader::Reader(EventLog& log) : log_(log), wake_(log.loop_) {
  log_.readers_.push_back(this);
}

EventLog::Reader::~Reader() {
  std::erase(log_.readers_, this);
}

asio::awaitable<std::optional<Event>> EventLog::Reader::next(model::WallTime until) {
  while (backlog_.empty() && !ended_) {
    if (until) {
      const model::WallTime now = log_.now_();
      if (now >= until) co_return std::nullopt;
      wake_.expires_after(until - now);
    } else {
      wake_.expires_at(asio::steady_timer::time_point::max());
    }
    boost::system::error_code ignored;  // operation_aborted is how we are woken
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return std::nullopt;
  }
  if (backlog_.empty()) co_return std::nullopt;
  const std::shared_ptr<const Event> event = backlog_.front();
  backlog_.pop_front();
  co_return *event;
}

}  // namespace skep::api
