// A cluster in a file: what goes in comes out, and every damage is one sentence.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/archive.hpp"

#include <catch2/catch.hpp>

#include "daemon/storage/snapshot_files.hpp"

namespace skep::storage {
namespace {

const ArchiveManifest kManifest{
    {{1, 2}}, {(uint64_t{1} << 32) | 7}, {900}, {12}, model::WallTime{1'700'000'000'000'000'000}};
const std::string kPhrase = "correct horse";

// Three chunks, the last one short.
std::string state() {
  std::string bytes(600'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + i / 977);
  return bytes;
}

std::string made(const std::optional<std::string>& passphrase, const std::string& content) {
  std::string file;
  auto writer = ArchiveWriter::begin(kManifest, passphrase, [&](std::string_view bytes) -> Status {
    file += bytes;
    return {};
  });
  REQUIRE(writer);
  for (size_t at = 0; at < content.size(); at += 70'001) {
    REQUIRE(writer->append(std::string_view(content).substr(at, 70'001)));
  }
  REQUIRE(writer->finish());
  return file;
}

std::string refusal(const std::string& file, const std::optional<std::string>& passphrase = {}) {
  const auto read = read_archive(file, passphrase);
  return read ? "" : read.error().message;
}

}  // namespace

TEST_CASE("what was saved is read again, sealed or not, empty, or a whole number of chunks long") {
  for (const std::optional<std::string>& phrase : {std::optional<std::string>(), {kPhrase}}) {
    const auto read = read_archive(made(phrase, state()), phrase);
    REQUIRE(read);
    CHECK(read->manifest == kManifest);
    CHECK(read->state == state());
  }
  CHECK(read_archive(made({}, ""), {})->state.empty());
  const std::string whole(2 * (256 << 10), 'w');
  CHECK(read_archive(made({}, whole), {})->state == whole);
  CHECK(made({}, state()).ends_with(kArchiveEnd));
}

TEST_CASE("a sealed archive shows nothing of what is in it, and never the same bytes twice") {
  const std::string secret(1000, 's');
  const std::string file = made(kPhrase, secret);
  CHECK(file.find("ssssssss") == std::string::npos);
  CHECK(file != made(kPhrase, secret));
}

TEST_CASE("a wrong passphrase, none, and one that is not needed") {
  const std::string file = made(kPhrase, state());
  const auto wrong = read_archive(file, "correct horsf");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind == ErrorKind::denied);
  CHECK(wrong.error().message == "the passphrase is not the snapshot's, or its check is damaged");
  CHECK(refusal(file) == "the snapshot is sealed: its passphrase is needed");
  CHECK(read_archive(made({}, state()), kPhrase).error().kind == ErrorKind::invalid);
}

TEST_CASE("what is no archive says so, and a later format is named") {
  CHECK(refusal("") == "this is not a snapshot of a cluster");
  CHECK(refusal("SQLite format 3") == "this is not a snapshot of a cluster");
  CHECK(refusal("skep snapshot 2\n") ==
        "the snapshot is of a format that this version of skep does not know");
}

TEST_CASE("cut anywhere, an archive is refused") {
  const std::string file = made({}, state());
  for (size_t size = 1; size < file.size(); size += size < 600 ? 1 : 4999) {
    INFO("the first " << size << " of " << file.size() << " bytes");
    CHECK(refusal(file.substr(0, size)) == "the snapshot is cut short");
  }
  for (size_t missing = 1; missing < 300; ++missing) {
    INFO("without the last " << missing << " bytes");
    CHECK(refusal(file.substr(0, file.size() - missing)) == "the snapshot is cut short");
  }
}

TEST_CASE("a bit flipped anywhere, bytes behind the end, and chunks in another order are found") {
  const std::string file = made({}, state());
  for (size_t at = 0; at < file.size(); at += at < 600 || at + 200 > file.size() ? 1 : 997) {
    INFO("byte " << at << " of " << file.size());
    std::string damaged = file;
    damaged[at] ^= 4;
    CHECK_FALSE(read_archive(damaged, {}));
  }
  CHECK_FALSE(read_archive(file + "x", {}));
  // The chunks of the state are of one size but for the last: the first two change places.
  const size_t record = 4 + (256 << 10) + Seal::kOverhead;
  const size_t last =
      file.size() - kArchiveEnd.size() - 4 - Seal::kOverhead - 600'000 % (256 << 10);
  std::string swapped = file;
  swapped.replace(last - 2 * record, record, file, last - record, record);
  swapped.replace(last - record, record, file, last - 2 * record, record);
  CHECK(refusal(swapped) == "the snapshot is damaged: chunk 1 does not open");
  // And a chunk of another archive.
  const std::string other = made({}, std::string(600'000, 'o'));
  std::string mixed = file;
  mixed.replace(last - record, record, other, last - record, record);
  CHECK(refusal(mixed) == "the snapshot is damaged: chunk 2 does not open");
}

TEST_CASE("a head that asks for a key of a terabyte is refused") {
  std::string file = made(kPhrase, "");
  const auto at = file.find("scrypt-log-n 16");
  REQUIRE(at != std::string::npos);
  file.replace(at, 15, "scrypt-log-n 33");
  CHECK(refusal(file, kPhrase) == "the snapshot is damaged: its head fails the checksum");
  // By someone who knows how the checksum is made.
  const size_t end = file.find("scrypt-r 8\n") + 11;
  uint32_t checksum = chunk_checksum(std::string_view(file).substr(0, end));
  for (size_t i = 0; i < 4; ++i, checksum >>= 8) file[end + i] = static_cast<char>(checksum);
  CHECK(refusal(file, kPhrase) ==
        "the snapshot is damaged: it asks for a key that takes too much to derive");
}

TEST_CASE("a sink that fails ends the writing") {
  const auto writer = ArchiveWriter::begin(kManifest, {}, [](std::string_view) -> Status {
    return skep::fail(ErrorKind::exhausted, "the disk is full");
  });
  REQUIRE_FALSE(writer);
  CHECK(writer.error().message == "the disk is full");
}

}  // namespace skep::storage
