// Head, key, chunks; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/archive.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace skep::storage {
namespace {

constexpr std::string_view kMagic = "skep snapshot 1\n";
constexpr std::string_view kFamily = "skep snapshot ";
constexpr size_t kHeadBytesMax = 4096;
constexpr size_t kChunkBytes = 256 << 10;
// 64 MiB and some tenths of a second for one guess.
constexpr uint64_t kScryptLogN = 16;
constexpr uint64_t kScryptR = 8;
constexpr uint64_t kScryptP = 2;
// What a file may ask of who reads it.
constexpr uint64_t kScryptLogNMax = 20;
constexpr uint64_t kScryptRMax = 16;
constexpr uint64_t kScryptPMax = 16;

tl::unexpected<Error> damaged(const std::string& what) {
  return fail(ErrorKind::invalid, "the snapshot is damaged: " + what);
}

tl::unexpected<Error> cut_short() {
  return fail(ErrorKind::invalid, "the snapshot is cut short");
}

std::string number_bytes(uint32_t number) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(number >> shift));
  return bytes;
}

uint32_t crc_of(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

// --- lines of "name value" -----------------------------------------------------------------

using Lines = std::map<std::string, std::string, std::less<>>;

std::string text_of(const Lines& lines) {
  std::string text;
  for (const auto& [name, value] : lines) text += name + " " + value + "\n";
  return text;
}

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t space = std::min(line.find(' '), line.size());
    lines.emplace(line.substr(0, space), line.substr(std::min(space + 1, line.size())));
  }
  return lines;
}

Result<uint64_t> number_in(const Lines& lines, std::string_view name) {
  const auto line = lines.find(name);
  uint64_t number = 0;
  if (line == lines.end()) return damaged("it does not say its " + std::string(name));
  const std::string& text = line->second;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) {
    return damaged("its " + std::string(name) + " is no number");
  }
  return number;
}

// --- the key -------------------------------------------------------------------------------

struct Cost {
  uint64_t log_n = kScryptLogN;
  uint64_t r = kScryptR;
  uint64_t p = kScryptP;
};

Result<Secret> derive(const std::string& passphrase, std::string_view salt, const Cost& cost) {
  std::string key(Secret::kBytes, '\0');
  const uint64_t memory = (uint64_t{128} << cost.log_n) * cost.r + (uint64_t{1} << 22);
  const int done = EVP_PBE_scrypt(passphrase.data(), passphrase.size(),
                                  reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                                  uint64_t{1} << cost.log_n, cost.r, cost.p, memory,
                                  reinterpret_cast<unsigned char*>(key.data()), key.size());
  if (done != 1)
    return fail(ErrorKind::exhausted, "there is no memory to derive a key with scrypt");
  const Secret secret(key);
  OPENSSL_cleanse(key.data(), key.size());
  return secret;
}

Result<Secret> key_for(const Lines& head, const std::optional<std::string>& passphrase) {
  const auto key = head.find("key");
  if (key == head.end()) return damaged("its head names no key");
  // Who asks for a sealed one would otherwise take any that somebody put in its place.
  if (key->second == "none" && passphrase) {
    return fail(ErrorKind::invalid,
                "the snapshot is not sealed: it is restored without a passphrase, if at all");
  }
  if (key->second == "none") return Secret();
  if (key->second != "scrypt") {
    return fail(
        ErrorKind::unimplemented,
        "the snapshot is sealed in a way that this version of skep does not know: " + key->second);
  }
  if (!passphrase) {
    return fail(ErrorKind::invalid, "the snapshot is sealed: its passphrase is needed");
  }
  Cost cost;
  SKEP_TRY_ASSIGN(cost.log_n, number_in(head, "scrypt-log-n"));
  SKEP_TRY_ASSIGN(cost.r, number_in(head, "scrypt-r"));
  SKEP_TRY_ASSIGN(cost.p, number_in(head, "scrypt-p"));
  if (cost.log_n == 0 || cost.log_n > kScryptLogNMax || cost.r == 0 || cost.r > kScryptRMax ||
      cost.p == 0 || cost.p > kScryptPMax) {
    return damaged("it asks for a key that takes too much to derive");
  }
  const auto salt = head.find("salt");
  if (salt == head.end()) return damaged("its head has no salt");
  return derive(*passphrase, salt->second, cost);
}

std::string about_chunk(uint64_t number, bool last, std::string_view head) {
  return about(RecordKind::archive, {number, last ? uint64_t{1} : uint64_t{0}}) + std::string(head);
}

std::string about_check(std::string_view head) {
  return about(RecordKind::archive) + std::string(head);
}

std::string encode(const ArchiveManifest& manifest) {
  return text_of({{"cluster", manifest.cluster.str()},
                  {"generation", std::to_string(manifest.generation.value)},
                  {"index", std::to_string(manifest.index.value)},
                  {"term", std::to_string(manifest.term.value)},
                  {"saved-at", std::to_string(manifest.saved_at.unix_ns)}});
}

Result<ArchiveManifest> decode_manifest(std::string_view text) {
  const Lines lines = lines_of(text);
  ArchiveManifest manifest;
  const auto cluster = lines.find("cluster");
  const auto id = cluster == lines.end() ? std::nullopt : model::ClusterId::parse(cluster->second);
  if (!id) return damaged("it names no cluster");
  manifest.cluster = *id;
  SKEP_TRY_ASSIGN(manifest.generation.value, number_in(lines, "generation"));
  SKEP_TRY_ASSIGN(manifest.index.value, number_in(lines, "index"));
  SKEP_TRY_ASSIGN(manifest.term.value, number_in(lines, "term"));
  SKEP_TRY_ASSIGN(const uint64_t saved_at, number_in(lines, "saved-at"));
  manifest.saved_at = {static_cast<int64_t>(saved_at)};
  return manifest;
}

// What is left to be read.
struct Bytes {
  std::string_view left;

  Result<std::string_view> take(size_t size) {
    if (left.size() < size) return cut_short();
    const std::string_view taken = left.substr(0, size);
    left.remove_prefix(size);
    return taken;
  }
  Result<uint32_t> number() {
    SKEP_TRY_ASSIGN(const std::string_view bytes, take(4));
    uint32_t number = 0;
    for (size_t i = 4; i-- > 0;) number = (number << 8) | static_cast<unsigned char>(bytes[i]);
    return number;
  }
  Result<std::string_view> record(size_t most, const std::string& what) {
    SKEP_TRY_ASSIGN(const uint32_t size, number());
    if (size > most) return damaged(what + " has an impossible size");
    return take(size);
  }
};

Result<std::string> read_head(std::string_view file, Bytes& bytes) {
  if (!file.starts_with(kMagic)) {
    if (!file.empty() && kMagic.starts_with(file)) return cut_short();
    if (file.starts_with(kFamily)) {
      return fail(ErrorKind::unimplemented,
                  "the snapshot is of a format that this version of skep does not know");
    }
    return fail(ErrorKind::invalid, "this is not a snapshot of a cluster");
  }
  bytes.left = file.substr(kMagic.size());
  SKEP_TRY_ASSIGN(const std::string_view head, bytes.record(kHeadBytesMax, "its head"));
  const std::string_view covered = file.substr(0, file.size() - bytes.left.size());
  SKEP_TRY_ASSIGN(const uint32_t checksum, bytes.number());
  if (checksum != crc_of(covered)) return damaged("its head fails the checksum");
  return std::string(head);
}

}  // namespace

// --- writing -------------------------------------------------------------------------------

Result<ArchiveWriter> ArchiveWriter::begin(const ArchiveManifest& manifest,
                                           const std::optional<std::string>& passphrase,
                                           Sink sink) {
  Lines head;
  head["key"] = passphrase ? "scrypt" : "none";
  // Without a passphrase too: what makes one file's chunks no other's.
  SKEP_TRY_ASSIGN(const Secret salt, Secret::random());
  head["salt"] = hex(salt.bytes());
  if (passphrase) {
    head["scrypt-log-n"] = std::to_string(kScryptLogN);
    head["scrypt-r"] = std::to_string(kScryptR);
    head["scrypt-p"] = std::to_string(kScryptP);
  }
  SKEP_TRY_ASSIGN(const Secret key, key_for(head, passphrase));
  SKEP_TRY_ASSIGN(Seal seal, Seal::with(key));
  ArchiveWriter writer(std::move(seal), text_of(head), std::move(sink));
  std::string begin(kMagic);
  begin += number_bytes(static_cast<uint32_t>(writer.head_.size())) + writer.head_;
  begin += number_bytes(crc_of(begin));
  SKEP_TRY(writer.sink_(begin));
  SKEP_TRY(writer.write_sealed(about_check(writer.head_), {}));
  SKEP_TRY(writer.write_chunk(encode(manifest), false));
  return writer;
}

Status ArchiveWriter::write_sealed(std::string_view about, std::string_view plain) {
  SKEP_TRY_ASSIGN(const std::string sealed, seal_.close(about, plain));
  return sink_(number_bytes(static_cast<uint32_t>(sealed.size())) + sealed);
}

Status ArchiveWriter::write_chunk(std::string_view plain, bool last) {
  return write_sealed(about_chunk(chunks_++, last, head_), plain);
}

Status ArchiveWriter::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (buffered_.size() == kChunkBytes) {
      SKEP_TRY(write_chunk(buffered_, false));
      buffered_.clear();
    }
    const std::string_view part = bytes.substr(0, kChunkBytes - buffered_.size());
    buffered_ += part;
    bytes.remove_prefix(part.size());
  }
  return {};
}

Status ArchiveWriter::finish() {
  SKEP_TRY(write_chunk(buffered_, true));
  return sink_(kArchiveEnd);
}

// --- reading -------------------------------------------------------------------------------

Result<Archive> read_archive(std::string_view file, const std::optional<std::string>& passphrase) {
  Bytes bytes;
  SKEP_TRY_ASSIGN(const std::string head, read_head(file, bytes));
  SKEP_TRY_ASSIGN(const Secret key, key_for(lines_of(head), passphrase));
  SKEP_TRY_ASSIGN(Seal seal, Seal::with(key));
  SKEP_TRY_ASSIGN(const std::string_view check,
                  bytes.record(Seal::kOverhead, "the check of its key"));
  if (!seal.open(about_check(head), check)) {
    if (key == Secret()) return damaged("the check of its key does not open");
    return fail(ErrorKind::denied, "the passphrase is not the snapshot's, or its check is damaged");
  }
  Archive archive;
  bool last = false;
  for (uint64_t number = 0; !last; ++number) {
    const std::string name = "chunk " + std::to_string(number);
    SKEP_TRY_ASSIGN(const std::string_view sealed,
                    bytes.record(kChunkBytes + Seal::kOverhead, name));
    last = bytes.left.size() <= kArchiveEnd.size();
    const Result<std::string> plain = seal.open(about_chunk(number, last, head), sealed);
    if (!plain) {
      // A chunk that does not open as the last one but does as another is followed by nothing.
      if (last && seal.open(about_chunk(number, false, head), sealed)) return cut_short();
      return damaged(name + " does not open");
    }
    if (number == 0) {
      SKEP_TRY_ASSIGN(archive.manifest, decode_manifest(*plain));
    } else {
      archive.state += *plain;
    }
  }
  if (bytes.left == kArchiveEnd) return archive;
  if (kArchiveEnd.starts_with(bytes.left)) return cut_short();
  return damaged("it ends in bytes that are not its end");
}

}  // namespace skep::storage
