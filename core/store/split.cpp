// Weighs every row once, then fills parts from the front.
// SPDX-License-Identifier: Apache-2.0
#include "core/store/split.hpp"

#include <algorithm>
#include <map>

#include "core/store/transaction_codec.hpp"

namespace skep::store {
namespace {

struct KeyOf {
  using Key = std::pair<Kind, model::IdBits>;
  Key operator()(const Upsert<model::Cluster>& c) const { return {Kind::cluster, c.row->id.bits}; }
  Key operator()(const Upsert<model::Node>& c) const { return {Kind::node, c.row->id.bits}; }
  Key operator()(const Upsert<model::Service>& c) const { return {Kind::service, c.row->id.bits}; }
  Key operator()(const Upsert<model::Task>& c) const { return {Kind::task, c.row->id.bits}; }
  Key operator()(const Upsert<model::Network>& c) const { return {Kind::network, c.row->id.bits}; }
  Key operator()(const Upsert<model::Config>& c) const { return {Kind::config, c.row->id.bits}; }
  Key operator()(const SpecRow& c) const { return {Kind::spec, c.key.service.bits}; }
  Key operator()(const Erase& c) const { return {c.kind, c.id}; }
};

// An answer, and the number of changes that must have come before it.
struct DueAnswer {
  size_t after = 0;
  Row<AnsweredRequest> request;
};

std::vector<DueAnswer> due_answers(const Draft& draft, const std::vector<Change>& changes) {
  std::map<KeyOf::Key, size_t> places;
  for (size_t i = 0; i < changes.size(); ++i) places[std::visit(KeyOf(), changes[i])] = i + 1;
  std::vector<DueAnswer> due;
  for (const Draft::Answer& answer : draft.answers()) {
    size_t after = 0;
    for (const KeyOf::Key& key : answer.rests_on) {
      const auto it = places.find(key);  // made and erased in one draft: it is not there at all
      if (it != places.end()) after = std::max(after, it->second);
    }
    due.push_back({after, answer.request});
  }
  std::stable_sort(due.begin(), due.end(),
                   [](const DueAnswer& a, const DueAnswer& b) { return a.after < b.after; });
  return due;
}

// Fills one transaction after the other.
class Filling {
 public:
  Filling(model::WallTime time, size_t bytes_max) : bytes_max_(bytes_max) { part_.time = time; }

  void add(const Change* first, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) bytes += encoded_bytes(first[i]);
    make_room(bytes);
    part_.changes.insert(part_.changes.end(), first, first + count);
  }
  void add(const Row<AnsweredRequest>& request) {
    make_room(encoded_bytes(*request));
    part_.answered.push_back(request);
  }
  std::vector<Part> finish() {
    close();
    return std::move(parts_);
  }

 private:
  // Of the transaction's own time.
  static constexpr size_t kHeadBytes = 16;

  void make_room(size_t bytes) {
    if (kHeadBytes + bytes_ + bytes > bytes_max_) close();
    bytes_ += bytes;
  }
  void close() {
    bytes_ = 0;
    if (part_.changes.empty() && part_.answered.empty()) return;
    Transaction next{part_.time, {}, {}};
    std::string encoded = encode(part_);
    parts_.push_back({std::exchange(part_, std::move(next)), std::move(encoded)});
  }

  size_t bytes_max_;
  size_t bytes_ = 0;  // of part_
  Transaction part_;
  std::vector<Part> parts_;
};

}  // namespace

std::vector<Part> split(const Draft& draft, model::WallTime time, size_t bytes_max) {
  Transaction whole = draft.transaction(time);
  std::string bytes = encode(whole);
  std::vector<Part> parts;
  if (bytes.size() <= bytes_max) {
    parts.push_back({std::move(whole), std::move(bytes)});
    return parts;
  }
  const std::vector<Change>& changes = whole.changes;
  const std::vector<DueAnswer> due = due_answers(draft, changes);
  Filling filling(time, bytes_max);
  auto next = due.begin();
  for (size_t done = 0;;) {
    for (; next != due.end() && next->after <= done; ++next) filling.add(next->request);
    if (done == changes.size()) return filling.finish();
    const bool spec = std::holds_alternative<SpecRow>(changes[done]);
    const size_t count = spec && done + 1 < changes.size() ? 2 : 1;
    filling.add(&changes[done], count);
    done += count;
  }
}

}  // namespace skep::store
