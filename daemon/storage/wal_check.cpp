// The format is SQLite's and documented to stay (sqlite.org/fileformat2.html, "The Write-Ahead
// Log"): a header of 32 bytes, then frames of 24 bytes and a page. A frame holds the header's two
// salts and a checksum that runs over all frames before it; the last frame of a transaction says
// how many pages the database then has, the others say 0.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/wal_check.hpp"

#include <cstdint>
#include <string_view>

namespace skep::storage {
namespace {

constexpr size_t kHeaderBytes = 32;
constexpr size_t kFrameHeaderBytes = 24;
constexpr uint32_t kMagic = 0x377f0682;  // the lowest bit: checksums over big-endian words

uint32_t big_endian(std::string_view bytes, size_t at) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = (number << 8) | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

class Checksum {
 public:
  explicit Checksum(bool big) : big_(big) {}
  void add(std::string_view bytes) {
    for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first_ += word(bytes, at) + second_;
      second_ += word(bytes, at + 4) + first_;
    }
  }
  bool is(std::string_view bytes, size_t at) const {
    return big_endian(bytes, at) == first_ && big_endian(bytes, at + 4) == second_;
  }

 private:
  uint32_t word(std::string_view bytes, size_t at) const {
    const uint32_t number = big_endian(bytes, at);
    return big_ ? number : __builtin_bswap32(number);
  }

  bool big_;
  uint32_t first_ = 0;
  uint32_t second_ = 0;
};

tl::unexpected<Error> damaged(const std::string& path, const std::string& where) {
  return fail(ErrorKind::internal, "raft log on disk: " + where + " of " + path +
                                       " is damaged, and what follows it was made durable");
}

}  // namespace

Status check_write_ahead_log(FileSystem& files, const std::string& path) {
  const Result<std::unique_ptr<File>> file = files.open(path);
  if (!file && file.error().kind == ErrorKind::not_found) return {};
  if (!file) return fail(file.error());
  SKEP_TRY_ASSIGN(const std::string header, (*file)->read(0, kHeaderBytes));
  // Made, and never written to.
  if (header.size() < kHeaderBytes || header == std::string(kHeaderBytes, '\0')) return {};
  const uint32_t magic = big_endian(header, 0);
  const uint32_t page_bytes = big_endian(header, 8);
  Checksum checksum((magic & 1) != 0);
  checksum.add(std::string_view(header).substr(0, 24));
  if ((magic & ~1U) != kMagic || !checksum.is(header, 24)) return damaged(path, "the header");

  uint64_t bad = 0;    // the first frame that is not what was written; they count from 1
  bool ended = false;  // a transaction at or behind it has its end
  for (uint64_t number = 1;; ++number) {
    const uint64_t frame_bytes = kFrameHeaderBytes + page_bytes;
    SKEP_TRY_ASSIGN(const std::string frame,
                    (*file)->read(kHeaderBytes + (number - 1) * frame_bytes, frame_bytes));
    if (frame.size() < frame_bytes) return {};
    const std::string_view all = frame;
    const bool of_this_run = all.substr(8, 8) == std::string_view(header).substr(16, 8);
    if (bad == 0) {
      checksum.add(all.substr(0, 8));
      checksum.add(all.substr(kFrameHeaderBytes));
      if (of_this_run && checksum.is(all, 16)) continue;
      bad = number;
    }
    // Whether the bad frame was an end itself can't be known when its own header is what was hit.
    if (ended && of_this_run) return damaged(path, "frame " + std::to_string(bad));
    if (of_this_run && big_endian(all, 4) != 0) ended = true;
  }
}

}  // namespace skep::storage
