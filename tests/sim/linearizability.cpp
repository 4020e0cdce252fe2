// The search; see the header. Calls and returns stand in one doubly linked list, in order of time:
// taking an operation lifts its two nodes out, stepping back puts them in again.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/linearizability.hpp"

#include <algorithm>
#include <unordered_map>

#include "tests/sim/bytes.hpp"

namespace skep::sim {
namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

struct Moment {
  uint64_t at = 0;
  size_t operation = 0;
  bool is_return = false;
  size_t match = kNone;  // of a call: its return
  size_t before = kNone;
  size_t after = kNone;
};

class Search {
 public:
  explicit Search(const std::vector<HistoryEntry>& history) {
    for (const HistoryEntry& entry : history) {
      if (entry.returned || entry.is_write) operations_.push_back(&entry);
    }
    taken_.resize((operations_.size() + 63) / 64);
    build();
  }

  Verdict run(uint64_t tries_max) {
    size_t at = moments_[head_].after;
    while (required_ > 0) {
      if (++tries_ > tries_max) return Verdict::gave_up;
      const Moment& moment = moments_[at];
      // At the first return of one that was not taken, or at the end: nothing more can be first.
      if (at == head_ || moment.is_return) {
        if (stack_.empty()) return Verdict::impossible;
        at = step_back();
        continue;
      }
      std::optional<Register> next = after(*operations_[moment.operation]);
      if (next && take(at, *next)) {
        at = moments_[head_].after;
      } else {
        at = moment.after;
      }
    }
    return Verdict::linearizable;
  }

 private:
  struct Taken {
    size_t call = kNone;
    Register before;
  };
  struct Seen {
    std::vector<uint64_t> taken;
    Register state;
  };

  void build() {
    struct Raw {
      uint64_t at;
      size_t operation;
      bool is_return;
    };
    std::vector<Raw> raw;
    for (size_t i = 0; i < operations_.size(); ++i) {
      raw.push_back({operations_[i]->called, i, false});
      if (!operations_[i]->returned) continue;  // never has to be taken: it has no return
      raw.push_back({*operations_[i]->returned, i, true});
      required_ += 1;
    }
    std::sort(raw.begin(), raw.end(), [](const Raw& a, const Raw& b) {
      return std::pair(a.at, a.is_return) < std::pair(b.at, b.is_return);
    });
    // A ring around moment 0, which is none.
    moments_.push_back({});
    std::vector<size_t> calls(operations_.size(), kNone);
    for (const Raw& one : raw) {
      const size_t here = moments_.size();
      moments_.push_back({one.at, one.operation, one.is_return, kNone, here - 1, here + 1});
      if (one.is_return) {
        moments_[calls[one.operation]].match = here;
      } else {
        calls[one.operation] = here;
      }
    }
    moments_.back().after = head_;
    moments_[head_].after = moments_.size() > 1 ? 1 : head_;
    moments_[head_].before = moments_.size() - 1;
  }

  // The register after the operation; nullopt if it can't have been next.
  std::optional<Register> after(const HistoryEntry& entry) const {
    if (!entry.is_write) {
      if (entry.result != state_) return std::nullopt;
      return state_;
    }
    const Register next{entry.written, state_.count + 1};
    if (entry.returned && entry.result != next) return std::nullopt;
    return next;
  }

  void lift(size_t at) {
    moments_[moments_[at].before].after = moments_[at].after;
    moments_[moments_[at].after].before = moments_[at].before;
  }
  void put_back(size_t at) {
    moments_[moments_[at].before].after = at;
    moments_[moments_[at].after].before = at;
  }
  void flip(size_t operation) { taken_[operation / 64] ^= uint64_t{1} << operation % 64; }

  // False if the same was tried before.
  bool take(size_t call, const Register& next) {
    const size_t operation = moments_[call].operation;
    flip(operation);
    uint64_t key = mix(mix(0, next.value), next.count);
    for (const uint64_t word : taken_) key = mix(key, word);
    std::vector<Seen>& bucket = memo_[key];
    for (const Seen& seen : bucket) {
      if (seen.state == next && seen.taken == taken_) {
        flip(operation);
        return false;
      }
    }
    bucket.push_back({taken_, next});
    stack_.push_back({call, state_});
    state_ = next;
    lift(call);
    if (moments_[call].match != kNone) {
      lift(moments_[call].match);
      required_ -= 1;
    }
    return true;
  }

  // Undoes the last one; returns the moment to go on with.
  size_t step_back() {
    const Taken last = stack_.back();
    stack_.pop_back();
    const Moment& call = moments_[last.call];
    if (call.match != kNone) {
      put_back(call.match);
      required_ += 1;
    }
    put_back(last.call);
    flip(call.operation);
    state_ = last.before;
    return call.after;
  }

  std::vector<const HistoryEntry*> operations_;
  std::vector<Moment> moments_;
  const size_t head_ = 0;
  size_t required_ = 0;  // known outcomes not taken yet
  std::vector<uint64_t> taken_;
  std::vector<Taken> stack_;
  std::unordered_map<uint64_t, std::vector<Seen>> memo_;  // looked up only, never walked
  Register state_;
  uint64_t tries_ = 0;
};

}  // namespace

Verdict check(const std::vector<HistoryEntry>& history, uint64_t tries_max) {
  return Search(history).run(tries_max);
}

}  // namespace skep::sim
