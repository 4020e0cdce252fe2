// The last events of this node and of the cluster, and who waits for new ones.
//
// Keeps the last 256 for `since`. A reader that falls more than kBacklogMax behind is ended rather
// than allowed to hold memory: its client sees the stream close and asks again with `since`. On the
// loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model/objects.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/manager/control.hpp"

namespace skep::api {

namespace asio = boost::asio;

struct Event {
  std::string type;    // "container", "service", ...
  std::string action;  // "start"
  std::string id;
  model::Labels attributes;
  std::string scope;  // "local" or "swarm"
  model::WallTime time;
};

class EventLog {
 public:
  // Subscribes to both; they must outlive the log.
  EventLog(asio::io_context& loop, manager::Control& control, agent::Containers& containers,
           std::function<model::WallTime()> now);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Reads events one after the other; ends when the log or the reader's backlog does.
  class Reader {
   public:
    explicit Reader(EventLog& log);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    // The next event; nullopt when `until` has passed (zero: never), or the reader was ended.
    asio::awaitable<std::optional<Event>> next(model::WallTime until);

   private:
    friend class EventLog;
    EventLog& log_;
    asio::steady_timer wake_;
    std::deque<std::shared_ptr<const Event>> backlog_;
    bool ended_ = false;
  };

  // What a handler did, which no agent and no manager tells of: an event of this node, now.
  void tell(std::string type, std::string action, std::string id, model::Labels attributes);

  // Oldest first.
  const std::deque<std::shared_ptr<const Event>>& kept() const { return kept_; }
  size_t readers() const { return readers_.size(); }
  void end_readers();

 private:
  static constexpr size_t kKept = 256;
  static constexpr size_t kBacklogMax = 4096;  // events of one reader

  void add(Event event);

  asio::io_context& loop_;
  manager::Control& control_;
  agent::Containers& containers_;
  std::function<model::WallTime()> now_;
  uint64_t control_subscription_ = 0;
  uint64_t containers_subscription_ = 0;
  std::deque<std::shared_ptr<const Event>> kept_;
  std::vector<Reader*> readers_;
};

}  // namespace skep::api
