// Records in, lines out; what the words of each kind mean stands in the table below.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/trace.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/sim/bytes.hpp"

namespace skep::sim {
namespace {

struct Shape {
  What what;
  const char* name;
  std::array<const char*, 5> words;  // null: not shown
};

constexpr std::array<Shape, static_cast<size_t>(What::count)> kShapes = {{
    {What::send, "send", {"to", "term", "a", "b", "c"}},
    {What::deliver, "deliver", {"from", "term", "a", "b", "c"}},
    {What::lose, "lose", {"to", "term", nullptr, nullptr, nullptr}},
    {What::role, "role", {"member", "term", "leader", "last", "commit"}},
    {What::persist, "persist", {"epoch", "term", "vote", "truncate", "last"}},
    {What::durable, "durable", {"epoch", "last", nullptr, nullptr, nullptr}},
    {What::apply, "apply", {"index", "term", "kind", "client", "sequence"}},
    {What::snapshot, "snapshot", {"index", "term", nullptr, nullptr, nullptr}},
    {What::load, "load", {"index", "term", nullptr, nullptr, nullptr}},
    {What::start, "start", {"member", "term", "commit", "snapshot", "last"}},
    {What::crash, "crash", {"member", nullptr, nullptr, nullptr, nullptr}},
    {What::disk_fault, "disk fault", {"value", nullptr, nullptr, nullptr, nullptr}},
    {What::network_fault, "network fault", {"value", nullptr, nullptr, nullptr, nullptr}},
    {What::clock_fault, "clock fault", {"value", nullptr, nullptr, nullptr, nullptr}},
    {What::request, "request", {"client", "sequence", "attempt", "key", "value"}},
    {What::answer, "answer", {"client", "sequence", "attempt", "value", "count"}},
    {What::membership, "membership", {"proposal", "voters", "learners", "outgoing", nullptr}},
    {What::refused, "refused", {"from", nullptr, nullptr, nullptr, nullptr}},
    {What::phase, "phase", {nullptr, nullptr, nullptr, nullptr, nullptr}},
}};

}  // namespace

std::string_view name(What what) {
  return kShapes[static_cast<size_t>(what)].name;
}

void Trace::add(uint64_t time_us, What what, int host, std::array<uint64_t, 5> words,
                std::string_view note) {
  Record& record = ring_.records[ring_.written++ % TraceRing::kSize];
  counts_[static_cast<size_t>(what)] += 1;
  record.time_us = time_us;
  record.what = what;
  record.host = host;
  record.words = words;
  const size_t length = std::min(note.size(), record.note.size() - 1);
  record.note.fill(0);
  if (length != 0) std::memcpy(record.note.data(), note.data(), length);
  hash_ = mix(mix(hash_, time_us), static_cast<uint64_t>(what) << 32 | static_cast<uint32_t>(host));
  for (const uint64_t word : words) hash_ = mix(hash_, word);
  if (length != 0) hash_ = mix(hash_, note);
  if (print_all_) std::printf("%s\n", text(record).c_str());
}

std::string text(const Record& record) {
  const Shape& shape = kShapes[static_cast<size_t>(record.what)];
  char head[64];
  std::snprintf(head, sizeof head, "%10.3f ms ", static_cast<double>(record.time_us) / 1000);
  std::string line = head;
  line += record.host < 0 ? std::string("--") : "h" + std::to_string(record.host);
  line += std::string(" ") + shape.name;
  if (record.note[0] != 0) line += std::string(" ") + record.note.data();
  for (size_t i = 0; i < shape.words.size(); ++i) {
    if (shape.words[i] == nullptr) continue;
    line += std::string(" ") + shape.words[i] + "=" + std::to_string(record.words[i]);
  }
  return line;
}

std::string tail(const TraceRing& ring, size_t count) {
  const uint64_t kept = std::min<uint64_t>({count, ring.written, TraceRing::kSize});
  std::string lines;
  for (uint64_t i = ring.written - kept; i < ring.written; ++i) {
    lines += text(ring.records[i % TraceRing::kSize]) + "\n";
  }
  return lines;
}

}  // namespace skep::sim
