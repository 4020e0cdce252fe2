// What a change weighs, and the ring.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/feed.hpp"

#include <algorithm>

namespace skep::store {
namespace {

// The texts that can be long; what else a row owns is small beside the row itself.
size_t text_bytes(const model::Cluster&) {
  return 8 * 1024;  // certificates and keys
}
size_t text_bytes(const model::Node& row) {
  return row.status.message.size() + 64 * (row.spec.labels.size() + row.description.plugins.size() +
                                           row.description.engine_labels.size());
}
size_t text_bytes(const model::Service& row) {
  return row.name.size();
}
size_t text_bytes(const model::Task& row) {
  return row.status.message.size() + row.status.error.size();
}
size_t text_bytes(const model::Network& row) {
  return 64 * row.labels.size();
}
size_t text_bytes(const model::Config& row) {
  return row.spec.data.size() + 64 * row.spec.labels.size();
}

size_t weight(const Applied& applied) {
  size_t bytes = sizeof(Applied);
  for (const RowChange& change : applied.changes) {
    bytes += sizeof(RowChange);
    std::visit(
        [&]<class T>(const Replaced<T>& replaced) {
          for (const Row<T>& row : {replaced.before, replaced.after}) {
            if (row) bytes += sizeof(T) + text_bytes(*row);
          }
        },
        change);
  }
  return bytes;
}

}  // namespace

const Applied& Feed::add(Applied applied) {
  const size_t bytes = weight(applied);
  kept_.push_back({std::make_shared<const Applied>(std::move(applied)), bytes});
  bytes_ += bytes;
  while (kept_.size() > 1 && (kept_.size() > bounds_.transactions || bytes_ > bounds_.bytes)) {
    forgotten_through_ = kept_.front().applied->version;
    bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
  return *kept_.back().applied;
}

void Feed::restart(uint64_t version) {
  kept_.clear();
  bytes_ = 0;
  forgotten_through_ = version;
}

std::optional<Feed::Transactions> Feed::since(uint64_t version, size_t limit) const {
  if (version < forgotten_through_) return std::nullopt;
  auto it = std::upper_bound(
      kept_.begin(), kept_.end(), version,
      [](uint64_t seen, const Kept& kept) { return seen < kept.applied->version; });
  Transactions out;
  for (; it != kept_.end() && out.size() < limit; ++it) out.push_back(it->applied);
  return out;
}

}  // namespace skep::store
