// One node's open session, as its manager sees it.
//
// A session is named by a random text that goes with every call of the node; a new one makes the
// old one's calls fail, so that a daemon that was restarted and its predecessor can't both report.
// Two streams belong to it: the node's own row, and its assignments; each has a doorbell here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>
#include <utility>

#include "daemon/manager/assignments.hpp"
#include "daemon/manager/manager.hpp"

namespace skep::manager {

struct Manager::Session {
  Session(asio::io_context& loop, model::NodeId node_id, std::string session_id)
      : node(node_id), id(std::move(session_id)), feed(node_id), row_bell(loop), task_bell(loop) {
    row_bell.expires_at(asio::steady_timer::time_point::max());
    task_bell.expires_at(asio::steady_timer::time_point::max());
  }

  void node_changed() {
    row_dirty = true;
    row_bell.cancel();
  }
  void managers_changed() {
    managers_dirty = true;
    node_changed();
  }
  void task_changed(const store::RowChange& change) {
    if (feed.follow(change)) task_bell.cancel();
  }
  void end(std::string why) {
    ended = std::move(why);
    row_bell.cancel();
    task_bell.cancel();
  }

  model::NodeId node;
  std::string id;
  AssignmentFeed feed;
  bool row_dirty = false;
  std::string told_roots;  // what the node was told to trust, and whose certificate to have
  std::string told_wanted;
  bool managers_dirty = true;        // the node was not told of all managers yet
  std::optional<std::string> ended;  // why
  asio::steady_timer row_bell;
  asio::steady_timer task_bell;
};

}  // namespace skep::manager
