// The states of one member; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/progress.hpp"

#include <algorithm>

namespace skep::raft {

bool Progress::active(Tick now) const {
  return state_ != ProgressState::refused && now.value - heard_at_.value < kElectionTicksMin;
}

void Progress::heard(uint64_t round, Tick now) {
  heard_at_ = now;
  round_ = std::max(round_, round);
}

bool Progress::may_send_entries() const {
  switch (state_) {
    case ProgressState::probe:
      return !probe_sent_;
    case ProgressState::replicate:
      return in_flight_.size() < kInFlightMessagesMax && in_flight_bytes_ < kInFlightBytesMax;
    case ProgressState::snapshot:
    case ProgressState::refused:
      return false;
  }
  return false;
}

void Progress::sent(Index last, size_t bytes) {
  SKEP_ASSERT(last >= next_.previous(), "what is sent begins at next");
  if (state_ == ProgressState::probe) {
    probe_sent_ = true;
  } else if (last >= next_) {
    in_flight_.push_back({last, bytes});
    in_flight_bytes_ += bytes;
    next_ = last.next();
  }
}

void Progress::acknowledged(Index match, uint64_t rounds_sent) {
  if (match > match_) {
    match_ = match;
    match_round_ = rounds_sent;
  }
  if (state_ == ProgressState::probe) {
    change_to(ProgressState::replicate);
    next_ = match_.next();
  }
  next_ = std::max(next_, match_.next());
  while (!in_flight_.empty() && in_flight_.front().last <= match_) {
    in_flight_bytes_ -= in_flight_.front().bytes;
    in_flight_.pop_front();
  }
}

Progress::Refusal Progress::refused_append(const AppendReply& reply, Index fallback) {
  if (reply.previous_index <= match_) {
    return reply.round > match_round_ ? Refusal::lost : Refusal::late;
  }
  switch (state_) {
    case ProgressState::probe:
      if (reply.previous_index != next_.previous()) return Refusal::late;
      next_ = std::max(std::min(reply.previous_index, fallback.next()), match_.next());
      probe_sent_ = false;
      return Refusal::backed_off;
    case ProgressState::replicate:
      if (reply.previous_index >= next_) return Refusal::late;
      probe_from_match();
      return Refusal::backed_off;
    case ProgressState::snapshot:
    case ProgressState::refused:
      return Refusal::late;
  }
  return Refusal::late;
}

void Progress::probe_from_match() {
  change_to(ProgressState::probe);
  next_ = match_.next();
}

void Progress::begin_snapshot(const SnapshotPointer& at) {
  change_to(ProgressState::snapshot);
  transfer_ = Transfer{at, 0, false, {}};
}

void Progress::give_up() {
  change_to(ProgressState::refused);
  match_ = {};
}

void Progress::change_to(ProgressState state) {
  state_ = state;
  probe_sent_ = false;
  in_flight_.clear();
  in_flight_bytes_ = 0;
  transfer_.reset();
}

}  // namespace skep::raft
