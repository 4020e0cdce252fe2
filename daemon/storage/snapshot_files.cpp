// See the header. A state of no bytes still has one chunk, which is the last, unless it has no file
// at all (the empty state that every log begins with).
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/snapshot_files.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace skep::storage {
namespace {

constexpr uint64_t kChunk = raft::kSnapshotChunkBytes;
constexpr uint64_t kChunkOnDisk = kChunk + KeyFile::kOverhead;
// Some ten milliseconds on a slow disk.
constexpr uint64_t kSyncEveryBytes = 4 << 20;

std::string chunk_about(const SnapshotFile& file, uint64_t number, bool last) {
  return about(RecordKind::chunk, {file.id, number, last ? uint64_t{1} : uint64_t{0}});
}

std::string temporary(const std::string& path) {
  return path + ".tmp";
}

}  // namespace

std::string snapshot_path(const std::string& folder, const SnapshotFile& file) {
  char name[64];
  std::snprintf(name, sizeof name, "/%llu-%016llx.snapshot",
                static_cast<unsigned long long>(file.at.index.value),
                static_cast<unsigned long long>(file.id));
  return folder + name;
}

uint32_t chunk_checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

SnapshotWriter::SnapshotWriter(FileSystem& files, std::string folder, KeyFile& keys,
                               const raft::SnapshotPointer& at)
    : files_(files), folder_(std::move(folder)), keys_(keys) {
  made_.at = at;
}

SnapshotWriter::~SnapshotWriter() {
  if (!file_) return;
  file_.reset();
  // What stays behind is swept at the next start.
  const Status ignored = files_.remove(temporary(snapshot_path(folder_, made_)));
  static_cast<void>(ignored);
}

Status SnapshotWriter::begin() {
  SKEP_TRY_ASSIGN(const Secret random, Secret::random());
  std::memcpy(&made_.id, random.bytes().data(), sizeof made_.id);
  // SQLite's integers have a sign, and zero means none.
  made_.id = (made_.id >> 1) | 1;
  made_.key = keys_.number();
  SKEP_TRY_ASSIGN(file_, files_.create(temporary(snapshot_path(folder_, made_))));
  return {};
}

Status SnapshotWriter::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (buffered_.size() == kChunk) {
      SKEP_TRY(write_chunk(buffered_, Position::inside));
      buffered_.clear();
    }
    const std::string_view part = bytes.substr(0, kChunk - buffered_.size());
    buffered_ += part;
    made_.bytes += part.size();
    bytes.remove_prefix(part.size());
  }
  return {};
}

Status SnapshotWriter::write_chunk(std::string_view plain, Position position) {
  SKEP_TRY_ASSIGN(const std::string sealed,
                  keys_.seal(chunk_about(made_, chunks_, position == Position::last), plain));
  SKEP_TRY(file_->write(chunks_ * kChunkOnDisk, sealed));
  ++chunks_;
  unsynced_ += sealed.size();
  if (unsynced_ < kSyncEveryBytes) return {};
  unsynced_ = 0;
  return file_->sync();
}

Result<SnapshotFile> SnapshotWriter::finish() {
  SKEP_TRY(write_chunk(buffered_, Position::last));
  SKEP_TRY(file_->sync());
  const std::string path = snapshot_path(folder_, made_);
  SKEP_TRY(files_.rename(temporary(path), path));
  file_.reset();
  SKEP_TRY(files_.sync_folder(folder_));
  return made_;
}

Result<SnapshotReader> SnapshotReader::open(FileSystem& files, const std::string& folder,
                                            KeyFile& keys, const SnapshotFile& file) {
  SnapshotReader reader(keys, file, snapshot_path(folder, file));
  if (file.id == 0) return reader;
  Result<std::unique_ptr<File>> opened = files.open(reader.path_);
  if (!opened && opened.error().kind == ErrorKind::not_found) {
    return fail(ErrorKind::internal, "the snapshot file " + reader.path_ + " is missing");
  }
  if (!opened) return fail(opened.error());
  reader.file_ = std::move(*opened);
  return reader;
}

Result<std::string> SnapshotReader::read(uint64_t offset) {
  if (!file_) return std::string();
  // The end of a state that fills its last chunk is the end of that chunk.
  const uint64_t last = made_.bytes == 0 ? 0 : (made_.bytes - 1) / kChunk;
  const uint64_t number = std::min(offset / kChunk, last);
  const uint64_t plain_size = number == last ? made_.bytes - last * kChunk : kChunk;
  const std::string where = "chunk " + std::to_string(number) + " of the snapshot file " + path_;
  SKEP_TRY_ASSIGN(const std::string sealed,
                  file_->read(number * kChunkOnDisk, plain_size + KeyFile::kOverhead));
  if (sealed.size() != plain_size + KeyFile::kOverhead) {
    return fail(ErrorKind::internal, where + " is cut short");
  }
  Result<std::string> plain = keys_->unseal(chunk_about(made_, number, number == last), sealed);
  if (!plain) return fail(plain.error().within(where));
  plain->erase(0, offset - number * kChunk);
  return plain;
}

Status sweep_snapshots(FileSystem& files, const std::string& folder, const SnapshotFile& keep) {
  const std::string kept = snapshot_path(folder, keep);
  SKEP_TRY_ASSIGN(const std::vector<std::string> names, files.list(folder));
  for (const std::string& name : names) {
    if (folder + "/" + name != kept) SKEP_TRY(files.remove(folder + "/" + name));
  }
  return {};
}

}  // namespace skep::storage
