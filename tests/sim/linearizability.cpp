// Places and what stands there; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/linearizability.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace skep::sim {
namespace {

constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

// After so many writes: the write that made it so, and the reads that saw it.
struct Place {
  const HistoryEntry* write = nullptr;
  uint64_t last_call = 0;
  uint64_t first_return = kNever;       // of write and reads
  uint64_t first_read_return = kNever;  // of the reads alone
};

class Order {
 public:
  explicit Order(const std::vector<HistoryEntry>& history) : history_(history) {
    for (const HistoryEntry& entry : history) {
      if (entry.is_write) writes_[entry.written] = &entry;
    }
    places_.resize(writes_.size() + 1);
  }

  bool exists() { return put_all() && is_in_time(); }

 private:
  bool put_all() {
    for (const HistoryEntry& entry : history_) {
      if (entry.returned && !put(entry)) return false;
    }
    while (places_.size() > 1 && places_.back().first_return == kNever) places_.pop_back();
    return true;
  }

  bool put(const HistoryEntry& entry) {
    const uint64_t number = entry.result.count;
    if (number >= places_.size()) return false;
    if (number == 0 && (entry.is_write || entry.result.value != 0)) return false;
    if (number != 0 && !put_write(number, entry)) return false;
    Place& place = places_[number];
    place.last_call = std::max(place.last_call, entry.called);
    place.first_return = std::min(place.first_return, *entry.returned);
    if (!entry.is_write) {
      place.first_read_return = std::min(place.first_read_return, *entry.returned);
    }
    return true;
  }

  // What was seen says whose write stands there, also of one that has no outcome of its own.
  bool put_write(uint64_t number, const HistoryEntry& seen) {
    const auto found = writes_.find(seen.result.value);
    if (found == writes_.end()) return false;
    const HistoryEntry* write = found->second;
    if (seen.is_write && write != &seen) return false;
    if (!placed_.emplace(write, number).second && placed_.at(write) != number) return false;
    Place& place = places_[number];
    if (place.write != nullptr && place.write != write) return false;
    place.write = write;
    place.last_call = std::max(place.last_call, write->called);
    return true;
  }

  bool is_in_time() const {
    std::vector<uint64_t> later(places_.size(), kNever);  // the first return behind the place
    for (size_t i = places_.size() - 1; i > 0; --i) {
      later[i - 1] = std::min(later[i], places_[i].first_return);
    }
    std::vector<uint64_t> spare;  // calls of the writes that may fill a place
    for (const auto& [value, write] : writes_) {
      if (!write->returned && !placed_.contains(write)) spare.push_back(write->called);
    }
    std::sort(spare.begin(), spare.end());
    size_t used = 0;
    for (size_t i = 0; i < places_.size(); ++i) {
      const Place& place = places_[i];
      if (place.last_call > later[i]) return false;
      if (place.write != nullptr && place.write->called > place.first_read_return) return false;
      if (place.write != nullptr || i == 0) continue;
      if (used == spare.size() || spare[used++] > later[i]) return false;
    }
    return true;
  }

  const std::vector<HistoryEntry>& history_;
  std::map<uint64_t, const HistoryEntry*> writes_;  // by value
  std::map<const HistoryEntry*, uint64_t> placed_;  // looked up only, never walked
  std::vector<Place> places_;
};

}  // namespace

Verdict check(const std::vector<HistoryEntry>& history) {
  return Order(history).exists() ? Verdict::linearizable : Verdict::impossible;
}

}  // namespace skep::sim
