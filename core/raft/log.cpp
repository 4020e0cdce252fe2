// The log's arithmetic; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/log.hpp"

#include <algorithm>

namespace skep::raft {

Log::Log(SnapshotPointer snapshot, Index base, std::deque<Entry> entries)
    : snapshot_(std::move(snapshot)),
      configurations_(snapshot_.index, snapshot_.configuration),
      base_(base),
      entries_(std::move(entries)),
      durable_(last_index()),
      handed_out_(last_index()) {}

Result<Log> Log::restore(SnapshotPointer snapshot, std::vector<Entry> entries) {
  const Index base = entries.empty() ? snapshot.index : entries.front().index.previous();
  if (base > snapshot.index) {
    return fail(ErrorKind::internal,
                "raft log: it begins at entry " + std::to_string(entries.front().index.value) +
                    " but the snapshot ends at " + std::to_string(snapshot.index.value));
  }
  Index expected = base;
  Term term;
  for (const Entry& entry : entries) {
    expected = expected.next();
    if (entry.index != expected || entry.term < term) {
      return fail(ErrorKind::internal, "raft log: entry " + std::to_string(entry.index.value) +
                                           " of term " + std::to_string(entry.term.value) +
                                           " stands where entry " + std::to_string(expected.value) +
                                           " of term " + std::to_string(term.value) +
                                           " or later belongs");
    }
    term = entry.term;
  }
  if (expected < snapshot.index) {
    return fail(ErrorKind::internal, "raft log: it ends at entry " +
                                         std::to_string(expected.value) +
                                         ", before the snapshot does");
  }
  Log log(std::move(snapshot), base, {entries.begin(), entries.end()});
  for (const Entry& entry : entries) {
    if (entry.kind != EntryKind::configuration || entry.index <= log.snapshot_.index) continue;
    SKEP_TRY_ASSIGN(Configuration configuration, decode_configuration(*entry.bytes));
    log.configurations_.append(entry.index, std::move(configuration));
  }
  return log;
}

Term Log::last_term() const {
  return entries_.empty() ? snapshot_.term : entries_.back().term;
}

std::optional<Term> Log::term_at(Index index) const {
  if (!index) return Term{};
  if (index == snapshot_.index) return snapshot_.term;
  if (index <= base_ || index > last_index()) return std::nullopt;
  return at(index).term;
}

bool Log::reaches_back_to(Index first) const {
  return first > base_ && term_at(first.previous()).has_value();
}

std::vector<Entry> Log::slice(Index first) const {
  SKEP_ASSERT(reaches_back_to(first), "a member is given what is in memory");
  std::vector<Entry> entries;
  size_t bytes = 0;
  for (Index i = first; i <= last_index() && entries.size() < kAppendEntriesMax; i = i.next()) {
    bytes += at(i).bytes->size();
    if (!entries.empty() && bytes > kAppendBytesMax) break;
    entries.push_back(at(i));
  }
  return entries;
}

Index Log::last_not_after(Index index, Term term) const {
  Index candidate = std::min(index, last_index());
  while (candidate) {
    const std::optional<Term> here = term_at(candidate);
    if (!here || *here <= term) break;
    candidate = candidate.previous();
  }
  return candidate;
}

const Entry& Log::at(Index index) const {
  SKEP_ASSERT(index > base_, "the entry is above the compacted part");
  SKEP_ASSERT(index <= last_index(), "the entry is below the end");
  return entries_[index.value - base_.value - 1];
}

void Log::append(Entry entry) {
  SKEP_ASSERT(entry.index == last_index().next(), "entries are appended without gaps");
  SKEP_ASSERT(entry.term >= last_term(), "terms never go back along the log");
  SKEP_ASSERT(!installing(), "the log takes nothing on while a snapshot takes its place");
  if (entry.kind == EntryKind::configuration) {
    Result<Configuration> configuration = decode_configuration(*entry.bytes);
    SKEP_ASSERT(configuration.has_value(), "checked by whoever received or made the entry");
    configurations_.append(entry.index, std::move(*configuration));
  }
  entries_.push_back(std::move(entry));
}

void Log::truncate_from(Index first) {
  SKEP_ASSERT(first > snapshot_.index, "what a snapshot covers is never truncated");
  if (first > last_index()) return;
  entries_.resize(first.value - base_.value - 1);
  configurations_.truncate_from(first);
  const Index kept = first.previous();
  durable_ = std::min(durable_, kept);
  if (in_flight_) in_flight_->last = std::min(in_flight_->last, kept);
  if (handed_out_ > kept) {
    handed_out_ = kept;
    truncated_from_ = truncated_from_ ? std::min(*truncated_from_, first) : first;
  }
}

void Log::take_batch(Epoch epoch, Persist* into) {
  SKEP_ASSERT(!in_flight_, "one persist at a time");
  into->truncate_from = truncated_from_;
  truncated_from_.reset();
  size_t bytes = 0;
  while (handed_out_ < last_index() && into->entries.size() < kPersistEntriesMax) {
    const Entry& entry = at(handed_out_.next());
    if (!into->entries.empty() && bytes + entry.bytes->size() > kPersistBytesMax) break;
    bytes += entry.bytes->size();
    into->entries.push_back(entry);
    handed_out_ = handed_out_.next();
  }
  in_flight_ = InFlight{epoch, handed_out_};
}

void Log::take_installation(Epoch epoch, const SnapshotPointer& at) {
  SKEP_ASSERT(!in_flight_, "one persist at a time");
  SKEP_ASSERT(at.index > snapshot_.index, "a snapshot never goes back");
  in_flight_ = InFlight{epoch, at.index, at};
}

bool Log::complete_batch(Epoch epoch) {
  if (!in_flight_ || in_flight_->epoch != epoch) return false;
  if (in_flight_->install) {
    *this = Log(*in_flight_->install, in_flight_->install->index, {});
    return true;
  }
  durable_ = std::max(durable_, in_flight_->last);
  in_flight_.reset();
  return true;
}

Index Log::compact(Index index, uint64_t keep) {
  SKEP_ASSERT(index >= snapshot_.index, "snapshots only move forward");
  SKEP_ASSERT(index <= durable_, "a snapshot covers applied entries only");
  const std::optional<Term> term = term_at(index);
  SKEP_ASSERT(term.has_value(), "the entry at the snapshot's end is in memory");
  snapshot_ = {index, *term, configurations_.at(index)};
  configurations_.rebase(index);
  const Index base{index.value > keep ? index.value - keep : 0};
  while (base_ < base) {
    entries_.pop_front();
    base_ = base_.next();
  }
  return base_;
}

}  // namespace skep::raft
