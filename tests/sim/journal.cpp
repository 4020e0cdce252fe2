// Records, generations and recovery; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/journal.hpp"

#include <algorithm>

#include "tests/sim/bytes.hpp"

namespace skep::sim {
namespace {

constexpr uint64_t kMagic = 0x6c616e72756f6a21;
constexpr uint64_t kNameFile = 0;
// Magic, checksum, generation, sequence, length.
constexpr size_t kHeadBytes = 5 * 8;

uint64_t record_checksum(uint64_t generation, uint64_t sequence, std::string_view payload) {
  return mix(mix(mix(kMagic, generation), sequence), payload);
}

std::string framed(uint64_t generation, uint64_t sequence, std::string_view payload) {
  Writer out;
  out.bytes().reserve(kHeadBytes + payload.size());
  out.number(kMagic);
  out.number(record_checksum(generation, sequence, payload));
  out.number(generation);
  out.number(sequence);
  out.text(payload);
  return std::move(out.bytes());
}

// The record at the start of `bytes`, or nothing valid.
struct Found {
  uint64_t generation = 0;
  uint64_t sequence = 0;
  std::string_view payload;
};
std::optional<Found> record_at(std::string_view bytes) {
  Reader in(bytes);
  if (in.number() != kMagic) return std::nullopt;
  const uint64_t checksum = in.number();
  Found found{in.number(), in.number(), {}};
  found.payload = in.text();
  if (!in.ok() || checksum != record_checksum(found.generation, found.sequence, found.payload)) {
    return std::nullopt;
  }
  return found;
}

uint64_t rounded(uint64_t bytes) {
  return (bytes + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
}

void put(Writer& out, const raft::HardState& state) {
  out.number(state.term.value);
  out.number(state.vote.value);
  out.number(state.commit.value);
}
raft::HardState take_hard_state(Reader& in) {
  return {{in.number()}, {in.number()}, {in.number()}};
}

std::string head_payload(const Contents& contents) {
  Writer out;
  out.number(contents.member.value);
  out.number(contents.incarnation.value);
  put(out, contents.restored.hard_state);
  const raft::SnapshotPointer& at = contents.restored.snapshot;
  out.number(at.index.value);
  out.number(at.term.value);
  out.text(raft::encode(at.configuration));
  out.text(contents.state);
  return std::move(out.bytes());
}

std::string batch_payload(const raft::HardState& state, raft::Index truncate_from,
                          const std::vector<raft::Entry>& entries) {
  Writer out;
  put(out, state);
  out.number(truncate_from.value);
  out.number(entries.size());
  for (const raft::Entry& entry : entries) {
    out.number(entry.term.value);
    out.number(entry.index.value);
    out.number(static_cast<uint64_t>(entry.kind));
    out.text(*entry.bytes);
  }
  return std::move(out.bytes());
}

void truncate(std::vector<raft::Entry>& entries, raft::Index from) {
  while (!entries.empty() && entries.back().index >= from) entries.pop_back();
}

bool take_head(std::string_view payload, Contents& contents) {
  Reader in(payload);
  contents.member = {in.number()};
  contents.incarnation = {in.number()};
  contents.restored.hard_state = take_hard_state(in);
  raft::SnapshotPointer& at = contents.restored.snapshot;
  at.index = {in.number()};
  at.term = {in.number()};
  Result<raft::Configuration> configuration = raft::decode_first_configuration(in.text());
  contents.state = std::string(in.text());
  if (!configuration) return false;
  at.configuration = std::move(*configuration);
  return in.at_end();
}

bool take_batch(std::string_view payload, Contents& contents) {
  Reader in(payload);
  contents.restored.hard_state = take_hard_state(in);
  const raft::Index truncate_from{in.number()};
  if (truncate_from) truncate(contents.restored.entries, truncate_from);
  for (uint64_t left = in.number(); left > 0 && in.ok(); --left) {
    raft::Entry entry;
    entry.term = {in.number()};
    entry.index = {in.number()};
    entry.kind = static_cast<raft::EntryKind>(in.number());
    entry.bytes = std::make_shared<const std::string>(in.text());
    contents.restored.entries.push_back(std::move(entry));
  }
  return in.at_end();
}

}  // namespace

std::string sealed(std::string state) {
  Writer end;
  end.number(crc32(state));
  return state + end.bytes();
}

bool is_sound(std::string_view sealed_state) {
  if (sealed_state.size() < 8) return false;
  Reader end(sealed_state.substr(sealed_state.size() - 8));
  return end.number() == crc32(sealed_state.substr(0, sealed_state.size() - 8));
}

Status JournalDisk::format(raft::RaftId member, raft::Incarnation incarnation,
                           const raft::SnapshotPointer& first) {
  Image made;
  made.generation = 1;
  made.contents = {member, incarnation, {{}, first, {}}, {}};
  SKEP_TRY(write_generation(std::move(made)));
  while (true) {
    SKEP_TRY_ASSIGN(const bool complete, advance());
    if (complete) return {};
  }
}

Result<std::optional<Contents>> JournalDisk::load() {
  stage_ = Stage::idle;
  incoming_.reset();
  image_ = {};
  SKEP_TRY_ASSIGN(const std::string_view names, device_.read(kNameFile));
  if (names.empty()) return std::optional<Contents>();
  for (uint64_t slot = 0; slot < names.size() / kSectorBytes; ++slot) {
    const std::optional<Found> found = record_at(names.substr(slot * kSectorBytes, kSectorBytes));
    if (found && found->generation > image_.generation) image_.generation = found->generation;
  }
  if (image_.generation == 0) return std::optional<Contents>();
  SKEP_TRY_ASSIGN(const std::string_view file, device_.read(image_.generation));
  SKEP_TRY(replay(image_, file));
  // What was read may still be on its way to the disk; nothing rests on it before it is safe.
  SKEP_TRY(device_.flush(kNameFile));
  SKEP_TRY(device_.flush(image_.generation));
  return std::optional<Contents>(image_.contents);
}

Status JournalDisk::replay(Image& image, std::string_view file) const {
  while (image.end < file.size()) {
    const std::optional<Found> found = record_at(file.substr(image.end));
    if (!found || found->generation != image.generation || found->sequence != image.sequence + 1) {
      break;
    }
    const bool understood = image.sequence == 0 ? take_head(found->payload, image.contents)
                                                : take_batch(found->payload, image.contents);
    SKEP_ASSERT(understood, "a record with a right checksum is one that was written");
    image.sequence = found->sequence;
    image.end += rounded(kHeadBytes + found->payload.size());
  }
  if (image.sequence == 0) return fail(ErrorKind::internal, "journal: its first record is damaged");
  for (uint64_t at = image.end; at < file.size(); at += kSectorBytes) {
    const std::optional<Found> found = record_at(file.substr(at));
    if (found && found->generation == image.generation && found->sequence > image.sequence) {
      return fail(ErrorKind::internal,
                  "journal: damage before record " + std::to_string(found->sequence));
    }
  }
  return {};
}

Status JournalDisk::write_record(Image& image, std::string payload) {
  const std::string bytes = framed(image.generation, image.sequence + 1, payload);
  SKEP_TRY(device_.write(image.generation, image.end, bytes));
  image.sequence += 1;
  image.end += rounded(bytes.size());
  return {};
}

Status JournalDisk::write_generation(Image next) {
  next.sequence = 0;
  next.end = 0;
  device_.remove(next.generation);  // left by a crash: its records must not be found behind ours
  SKEP_TRY(write_record(next, head_payload(next.contents)));
  if (!next.contents.restored.entries.empty()) {
    SKEP_TRY(write_record(next, batch_payload(next.contents.restored.hard_state, {},
                                              next.contents.restored.entries)));
  }
  next_ = std::move(next);
  stage_ = Stage::next_file;
  return {};
}

Status JournalDisk::begin(const raft::Persist& batch) {
  SKEP_ASSERT(stage_ == Stage::idle, "one piece of work at a time");
  Contents& now = image_.contents;
  if (batch.install) {
    SKEP_ASSERT(incoming_ && incoming_->complete && incoming_->at == *batch.install,
                "only a snapshot that is complete can be installed");
    Image next;
    next.generation = image_.generation + 1;
    next.contents = {
        now.member, now.incarnation, {batch.hard_state, *batch.install, {}}, incoming_->bytes};
    return write_generation(std::move(next));
  }
  SKEP_TRY(write_record(
      image_,
      batch_payload(batch.hard_state, batch.truncate_from.value_or(raft::Index{}), batch.entries)));
  if (batch.truncate_from) truncate(now.restored.entries, *batch.truncate_from);
  now.restored.hard_state = batch.hard_state;
  now.restored.entries.insert(now.restored.entries.end(), batch.entries.begin(),
                              batch.entries.end());
  stage_ = Stage::batch;
  return {};
}

Status JournalDisk::begin(const SaveSnapshot& snapshot) {
  SKEP_ASSERT(stage_ == Stage::idle, "one piece of work at a time");
  const Contents& now = image_.contents;
  // A newer one was installed meanwhile.
  if (snapshot.at.index <= now.restored.snapshot.index) return {};
  Image next;
  next.generation = image_.generation + 1;
  next.contents = now;
  next.contents.restored.snapshot = snapshot.at;
  next.contents.state = snapshot.state;
  std::vector<raft::Entry>& entries = next.contents.restored.entries;
  entries.erase(entries.begin(),
                std::find_if(entries.begin(), entries.end(), [&](const raft::Entry& entry) {
                  return entry.index.value + snapshot.keep_entries > snapshot.at.index.value;
                }));
  return write_generation(std::move(next));
}

Result<bool> JournalDisk::advance() {
  switch (stage_) {
    case Stage::idle:
      return true;
    case Stage::batch:
      SKEP_TRY(device_.flush(image_.generation));
      stage_ = Stage::idle;
      return true;
    case Stage::next_file:
      SKEP_TRY(device_.flush(next_.generation));
      SKEP_TRY(device_.write(kNameFile, next_.generation % 2 * kSectorBytes,
                             framed(next_.generation, 0, {})));
      stage_ = Stage::next_name;
      return false;
    case Stage::next_name:
      SKEP_TRY(device_.flush(kNameFile));
      if (image_.generation != 0) device_.remove(image_.generation);
      image_ = std::move(next_);
      // One that is on its way in stays, unless this one is as new.
      if (incoming_ && incoming_->at.index <= image_.contents.restored.snapshot.index) {
        incoming_.reset();
      }
      stage_ = Stage::idle;
      return true;
  }
  return true;
}

raft::ChunkStored JournalDisk::store(const raft::StoreChunk& chunk) {
  if (!incoming_ || incoming_->at != chunk.at) incoming_ = Incoming{chunk.at, {}, false};
  Incoming& in = *incoming_;
  const bool fits = !in.complete && chunk.offset == in.bytes.size();
  if (fits && crc32(*chunk.bytes) == chunk.checksum) {
    in.bytes += *chunk.bytes;
    if (chunk.last) {
      in.complete = is_sound(in.bytes);
      if (!in.complete) in.bytes.clear();
    }
  }
  return {chunk.at.index, in.bytes.size(), in.complete};
}

raft::ChunkRead JournalDisk::read(const raft::ReadChunk& wanted, size_t bytes_max) {
  raft::ChunkRead answer{wanted.to, wanted.at.index, wanted.offset, nullptr, 0, false};
  const Contents& now = image_.contents;
  if (now.restored.snapshot.index != wanted.at.index || wanted.offset > now.state.size()) {
    return answer;
  }
  answer.bytes = std::make_shared<const std::string>(now.state.substr(wanted.offset, bytes_max));
  answer.checksum = crc32(*answer.bytes);
  answer.last = wanted.offset + answer.bytes->size() == now.state.size();
  return answer;
}

void JournalDisk::lose_power(Random& random) {
  device_.lose_power(random);
  stage_ = Stage::idle;
  incoming_.reset();
}

void JournalDisk::wipe() {
  device_.wipe();
  image_ = {};
  stage_ = Stage::idle;
  incoming_.reset();
}

bool JournalDisk::rot(Random& random) {
  // Which generation is in force is not sure before it is looked up: a crash may have come between.
  const Result<std::optional<Contents>> found_now = load();
  if (!found_now || !*found_now) return false;
  const Result<std::string_view> file = device_.read(image_.generation);
  if (!file) return false;
  // Starts of the records that have a whole one behind them.
  std::vector<uint64_t> records;
  uint64_t at = 0;
  while (at < file->size()) {
    const std::optional<Found> found = record_at(file->substr(at));
    if (!found) break;
    records.push_back(at);
    at += rounded(kHeadBytes + found->payload.size());
  }
  if (records.size() < 2) return false;
  const size_t chosen = random.below(records.size() - 1);
  const std::optional<Found> victim = record_at(file->substr(records[chosen]));
  const uint64_t length = kHeadBytes + victim->payload.size();
  device_.flip_bit(image_.generation, records[chosen] + random.below(length),
                   static_cast<int>(random.below(8)));
  return true;
}

}  // namespace skep::sim
