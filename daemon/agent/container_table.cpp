// A map by id; lookups by name are scans, because a node has hundreds of containers, not millions.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/container_table.hpp"

#include <algorithm>
#include <utility>

namespace skep::agent {

ContainerTable::ContainerTable(boost::asio::any_io_executor loop,
                               std::function<model::WallTime()> clock)
    : loop_(std::move(loop)), clock_(std::move(clock)) {}

std::vector<std::shared_ptr<const Container>> ContainerTable::list() const {
  std::vector<std::shared_ptr<const Container>> all;
  all.reserve(rows_.size());
  for (const auto& [id, row] : rows_) all.push_back(row.container);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->name < b->name; });
  return all;
}

Result<std::shared_ptr<const Container>> ContainerTable::find(std::string_view reference) const {
  if (const auto exact = get(std::string(reference))) return exact;
  if (reference.starts_with("/")) reference.remove_prefix(1);
  std::vector<std::shared_ptr<const Container>> by_prefix;
  for (const auto& [id, row] : rows_) {
    if (row.container->name == reference) return row.container;
    if (!reference.empty() && id.starts_with(reference)) by_prefix.push_back(row.container);
  }
  if (by_prefix.size() == 1) return by_prefix.front();
  if (by_prefix.size() > 1) {
    return fail(ErrorKind::invalid,
                "Multiple IDs found with provided prefix: " + std::string(reference));
  }
  return fail(ErrorKind::not_found, "No such container: " + std::string(reference));
}

std::shared_ptr<const Container> ContainerTable::get(const std::string& id) const {
  const auto at = rows_.find(id);
  return at == rows_.end() ? nullptr : at->second.container;
}

void ContainerTable::put(Container container) {
  const std::string id = container.id;
  Row& row = rows_[id];
  row.container = std::make_shared<const Container>(std::move(container));
  if (!row.changed) row.changed = std::make_shared<Signal>(loop_);
  row.changed->notify();
}

void ContainerTable::change(const std::string& id, const std::function<void(Container&)>& edit) {
  const auto at = rows_.find(id);
  if (at == rows_.end()) return;
  Container next = *at->second.container;
  edit(next);
  at->second.container = std::make_shared<const Container>(std::move(next));
  at->second.changed->notify();
}

void ContainerTable::erase(const std::string& id) {
  const auto at = rows_.find(id);
  if (at == rows_.end()) return;
  const std::shared_ptr<Signal> changed = at->second.changed;
  rows_.erase(at);
  changed->notify();
}

boost::asio::awaitable<void> ContainerTable::changed(std::string id) {
  const auto at = rows_.find(id);
  if (at == rows_.end()) co_return;
  const std::shared_ptr<Signal> changed = at->second.changed;
  co_await changed->changed();
}

uint64_t ContainerTable::subscribe(std::function<void(const NodeEvent&)> sink) {
  sinks_.emplace(next_sink_, std::move(sink));
  return next_sink_++;
}

void ContainerTable::unsubscribe(uint64_t subscription) {
  sinks_.erase(subscription);
}

void ContainerTable::publish(NodeEvent event) {
  if (!event.time) event.time = clock_();
  // By number and by copy: a sink may unsubscribe itself or others.
  std::vector<uint64_t> numbers;
  for (const auto& [number, sink] : sinks_) numbers.push_back(number);
  for (const uint64_t number : numbers) {
    const auto at = sinks_.find(number);
    if (at == sinks_.end()) continue;
    const std::function<void(const NodeEvent&)> sink = at->second;
    sink(event);
  }
}

void ContainerTable::publish(const Container& container, std::string action, model::Labels more) {
  NodeEvent event;
  event.type = "container";
  event.action = std::move(action);
  event.id = container.id;
  event.attributes = container.labels;
  event.attributes["name"] = container.name;
  event.attributes["image"] = container.image;
  for (auto& [key, value] : more) event.attributes[key] = value;
  publish(std::move(event));
}

}  // namespace skep::agent
