// All containers of this node, in memory, and the news about them.
//
// Rows are immutable and shared by pointer: a reader keeps what it saw. Who changes a row does it
// through change(), which wakes whoever waits for that container. News (NodeEvent) are given out at
// once, in order, on the loop; a subscriber must not block and may unsubscribe while it is called.
// The table decides nothing and calls no driver.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/agent/containers.hpp"
#include "daemon/agent/signal.hpp"

namespace skep::agent {

class ContainerTable {
 public:
  ContainerTable(boost::asio::any_io_executor loop, std::function<model::WallTime()> clock);

  std::vector<std::shared_ptr<const Container>> list() const;  // by name
  // By full id, then name, then unique id prefix. Errors: not_found "No such container: X";
  // invalid for a prefix of several.
  Result<std::shared_ptr<const Container>> find(std::string_view reference) const;
  std::shared_ptr<const Container> get(const std::string& id) const;  // null: none

  void put(Container container);
  // Nothing happens when there is no such row.
  void change(const std::string& id, const std::function<void(Container&)>& edit);
  void erase(const std::string& id);
  // Returns after the next change or the erasure of this row; at once when there is none.
  boost::asio::awaitable<void> changed(std::string id);

  uint64_t subscribe(std::function<void(const NodeEvent&)> sink);
  void unsubscribe(uint64_t subscription);
  void publish(NodeEvent event);
  // News of a container, with its name, image and labels; `more` is added to the attributes.
  void publish(const Container& container, std::string action, model::Labels more);

 private:
  struct Row {
    std::shared_ptr<const Container> container;
    std::shared_ptr<Signal> changed;
  };

  boost::asio::any_io_executor loop_;
  std::function<model::WallTime()> clock_;
  std::map<std::string, Row> rows_;
  std::map<uint64_t, std::function<void(const NodeEvent&)>> sinks_;
  uint64_t next_sink_ = 1;
};

}  // namespace skep::agent
