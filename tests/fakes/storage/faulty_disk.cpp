// The disk itself, and its face as a FileSystem; the other face is in faulty_vfs.cpp.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/storage/faulty_disk.hpp"

#include <sqlite3.h>

#include <algorithm>

#include "tests/fakes/storage/faulty_vfs.hpp"

namespace skep::testing {
namespace {

bool ends_with(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() &&
         text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

}  // namespace

class FaultyFile final : public storage::File {
 public:
  FaultyFile(FaultyDisk& disk, std::string path, FaultyDisk::Node node)
      : disk_(disk), path_(std::move(path)), node_(std::move(node)) {}
  Status write(uint64_t offset, std::string_view bytes) override;
  Result<std::string> read(uint64_t offset, size_t size) override;
  Status sync() override;

 private:
  FaultyDisk& disk_;
  std::string path_;
  FaultyDisk::Node node_;
};

class FaultyFiles final : public storage::FileSystem {
 public:
  using Outcome = FaultyDisk::Outcome;
  using Operation = FaultyDisk::Operation;

  explicit FaultyFiles(FaultyDisk& disk) : disk_(disk) {}

  static Status status(Outcome outcome, const std::string& path) {
    if (outcome == Outcome::full) {
      return skep::fail(ErrorKind::exhausted, path + ": No space left on device");
    }
    if (outcome == Outcome::failed) {
      return skep::fail(ErrorKind::unavailable, path + ": Input/output error");
    }
    return {};
  }

  Result<std::unique_ptr<storage::File>> create(const std::string& path) override {
    const std::unique_lock lock(disk_.mutex_);
    const auto it = disk_.names_.find(path);
    if (it != disk_.names_.end()) {
      SKEP_TRY(status(disk_.truncate(path, *it->second, 0), path));
      return file(path, it->second);
    }
    const auto node = std::make_shared<FaultyDisk::Inode>();
    SKEP_TRY(status(disk_.change_name({"", path, node}, path), path));
    return file(path, node);
  }
  Result<std::unique_ptr<storage::File>> open(const std::string& path) override {
    const std::unique_lock lock(disk_.mutex_);
    const auto it = disk_.names_.find(path);
    if (it == disk_.names_.end()) return skep::fail(ErrorKind::not_found, path + ": not there");
    return file(path, it->second);
  }
  Result<std::unique_ptr<storage::File>> edit(const std::string& path) override {
    return open(path);  // which can be written to as well
  }
  Status touch(const std::string& path) override {
    const std::unique_lock lock(disk_.mutex_);
    if (disk_.names_.count(path) != 0) return {};
    return status(disk_.change_name({"", path, std::make_shared<FaultyDisk::Inode>()}, path), path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    const std::unique_lock lock(disk_.mutex_);
    const auto it = disk_.names_.find(from);
    if (it == disk_.names_.end()) return skep::fail(ErrorKind::not_found, from + ": not there");
    return status(disk_.change_name({from, to, it->second}, to), to);
  }
  Status remove(const std::string& path) override {
    const std::unique_lock lock(disk_.mutex_);
    if (disk_.names_.count(path) == 0) return {};
    return status(disk_.change_name({path, "", nullptr}, path), path);
  }
  // Folders are there when something is in them.
  Status make_folder(const std::string&) override { return {}; }
  Status sync_folder(const std::string& path) override {
    const std::unique_lock lock(disk_.mutex_);
    return status(disk_.sync_folder(path), path);
  }
  Status forget_cached(const std::string& path) override {
    const std::unique_lock lock(disk_.mutex_);
    const auto it = disk_.names_.find(path);
    if (it != disk_.names_.end()) FaultyDisk::forget_cached(*it->second);
    return {};
  }
  Result<std::vector<std::string>> list(const std::string& folder) override {
    const std::unique_lock lock(disk_.mutex_);
    std::vector<std::string> found;
    for (const auto& [path, node] : disk_.names_) {
      if (storage::folder_of(path) == folder) found.push_back(path.substr(folder.size() + 1));
    }
    return found;
  }
  Status allocate(const std::string& path, uint64_t bytes) override {
    SKEP_TRY_ASSIGN(const std::unique_ptr<storage::File> made, create(path));
    return made->write(0, std::string(bytes, '\0'));
  }
  Result<uint64_t> free_bytes(const std::string&) override {
    const std::unique_lock lock(disk_.mutex_);
    const uint64_t used = disk_.used();
    return used > disk_.capacity_ ? 0 : disk_.capacity_ - used;
  }

 private:
  std::unique_ptr<storage::File> file(const std::string& path, FaultyDisk::Node node) {
    return std::make_unique<FaultyFile>(disk_, path, std::move(node));
  }

  FaultyDisk& disk_;
};

Status FaultyFile::write(uint64_t offset, std::string_view bytes) {
  const std::unique_lock lock(disk_.mutex_);
  return FaultyFiles::status(disk_.write(path_, *node_, offset, bytes), path_);
}

Result<std::string> FaultyFile::read(uint64_t offset, size_t size) {
  const std::unique_lock lock(disk_.mutex_);
  if (!disk_.powered_) return skep::fail(ErrorKind::unavailable, path_ + ": Input/output error");
  if (offset >= node_->current.size()) return std::string();
  return node_->current.substr(offset, size);
}

Status FaultyFile::sync() {
  std::unique_lock lock(disk_.mutex_);
  return FaultyFiles::status(disk_.sync(path_, *node_, lock), path_);
}

// --- the disk ------------------------------------------------------------------------------

FaultyDisk::FaultyDisk(uint64_t seed)
    : random_(seed),
      vfs_name_(unique_vfs_name(this)),
      files_(std::make_unique<FaultyFiles>(*this)),
      vfs_(register_vfs(*this, vfs_name_)) {}

FaultyDisk::~FaultyDisk() {
  sqlite3_vfs_unregister(vfs_.get());
}

uint64_t FaultyDisk::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}
uint64_t FaultyDisk::syncs() const {
  const std::lock_guard lock(mutex_);
  return syncs_;
}
uint64_t FaultyDisk::bytes_written() const {
  const std::lock_guard lock(mutex_);
  return bytes_written_;
}

void FaultyDisk::fail(Fault fault) {
  const std::lock_guard lock(mutex_);
  SKEP_ASSERT(fault.nth > 0, "the first is 1");
  faults_.push_back(std::move(fault));
}
void FaultyDisk::heal() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}
void FaultyDisk::set_capacity(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}
void FaultyDisk::hang() {
  const std::lock_guard lock(mutex_);
  hanging_ = true;
}
void FaultyDisk::release() {
  {
    const std::lock_guard lock(mutex_);
    hanging_ = false;
  }
  released_.notify_all();
}
void FaultyDisk::cut_power_after(uint64_t operations) {
  const std::lock_guard lock(mutex_);
  operations_left_ = operations;
}

FaultyDisk::Outcome FaultyDisk::admit(Operation operation, const std::string& path) {
  if (!powered_) return Outcome::failed;
  ++operations_;
  if (operations_left_ && (*operations_left_)-- == 0) {
    powered_ = false;
    // The caller does what it would, which then survives or does not; but nobody hears of it.
    return Outcome::done;
  }
  Outcome outcome = Outcome::done;
  for (Fault& fault : faults_) {
    if (fault.operation != operation || fault.nth == 0 || !ends_with(path, fault.suffix)) continue;
    if (fault.nth > 1) {
      --fault.nth;
      continue;
    }
    outcome = Outcome::failed;
    if (fault.times == Times::once) fault.nth = 0;
  }
  return outcome;
}

FaultyDisk::Outcome FaultyDisk::write(const std::string& path, Inode& inode, uint64_t offset,
                                      std::string_view bytes) {
  const Outcome admitted = admit(Operation::write, path);
  if (admitted != Outcome::done) return admitted;
  const uint64_t end = offset + bytes.size();
  if (end > inode.current.size()) {
    if (used() + end - inode.current.size() > capacity_) return Outcome::full;
    inode.current.resize(end);
  }
  inode.current.replace(offset, bytes.size(), bytes);
  bytes_written_ += bytes.size();
  for (uint64_t at = offset / kSectorBytes; at * kSectorBytes < end; ++at) inode.dirty.insert(at);
  return powered_ ? Outcome::done : Outcome::failed;
}

FaultyDisk::Outcome FaultyDisk::truncate(const std::string& path, Inode& inode, uint64_t size) {
  const Outcome admitted = admit(Operation::write, path);
  if (admitted != Outcome::done) return admitted;
  // What was cut off must not come back as old bytes if the file grows again.
  for (uint64_t at = size / kSectorBytes; at * kSectorBytes < inode.current.size(); ++at) {
    inode.dirty.insert(at);
  }
  inode.current.resize(size);
  return powered_ ? Outcome::done : Outcome::failed;
}

FaultyDisk::Outcome FaultyDisk::sync(const std::string& path, Inode& inode,
                                     std::unique_lock<std::mutex>& lock) {
  released_.wait(lock, [this] { return !hanging_; });
  const Outcome admitted = admit(Operation::sync, path);
  // A cut in the middle of it: what survives is what restart() says.
  if (!powered_) return Outcome::failed;
  ++syncs_;
  if (admitted == Outcome::failed) {
    inode.dirty.clear();
    return admitted;
  }
  inode.durable.resize(inode.current.size());
  for (const uint64_t sector : inode.dirty) {
    const uint64_t at = sector * kSectorBytes;
    if (at >= inode.current.size()) continue;
    const uint64_t size = std::min<uint64_t>(kSectorBytes, inode.current.size() - at);
    inode.durable.replace(at, size, inode.current, at, size);
  }
  inode.dirty.clear();
  return Outcome::done;
}

void FaultyDisk::apply(const NameChange& change, std::map<std::string, Node>* names) {
  if (!change.gone.empty()) names->erase(change.gone);
  if (!change.there.empty()) (*names)[change.there] = change.node;
}

FaultyDisk::Outcome FaultyDisk::change_name(const NameChange& change, const std::string& path) {
  const Outcome admitted = admit(Operation::name, path);
  if (admitted != Outcome::done) return admitted;
  apply(change, &names_);
  name_changes_.push_back(change);
  return powered_ ? Outcome::done : Outcome::failed;
}

FaultyDisk::Outcome FaultyDisk::sync_folder(const std::string& folder) {
  const Outcome admitted = admit(Operation::name, folder);
  if (!powered_ || admitted != Outcome::done) return Outcome::failed;
  ++syncs_;
  std::vector<NameChange> left;
  for (const NameChange& change : name_changes_) {
    const std::string& any = change.there.empty() ? change.gone : change.there;
    if (storage::folder_of(any) == folder) {
      apply(change, &durable_names_);
    } else {
      left.push_back(change);
    }
  }
  name_changes_ = std::move(left);
  return Outcome::done;
}

// SQLite's VFS for Unix syncs the folder of a new journal along with its first sync.
void FaultyDisk::sync_name(const std::string& path) {
  const auto it = std::find_if(name_changes_.begin(), name_changes_.end(),
                               [&](const NameChange& change) { return change.there == path; });
  if (it == name_changes_.end()) return;
  const auto end = it + 1;
  for (auto change = name_changes_.begin(); change != end; ++change) {
    apply(*change, &durable_names_);
  }
  name_changes_.erase(name_changes_.begin(), end);
}

uint64_t FaultyDisk::used() const {
  uint64_t sum = 0;
  for (const auto& [path, node] : names_) sum += node->current.size();
  return sum;
}

void FaultyDisk::forget_cached(Inode& inode) {
  std::string held = inode.durable;
  held.resize(inode.current.size());
  for (const uint64_t sector : inode.dirty) {
    const uint64_t at = sector * kSectorBytes;
    if (at >= held.size()) continue;
    const uint64_t size = std::min<uint64_t>(kSectorBytes, held.size() - at);
    held.replace(at, size, inode.current, at, size);
  }
  inode.current = std::move(held);
}

bool FaultyDisk::coin(double probability) {
  // Not a distribution of the library's: those differ between libraries.
  return static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability;
}

void FaultyDisk::survive(Inode& inode) {
  // Mostly some of it; sometimes all or nothing, which are the ends that logic trips over.
  const double probabilities[] = {0.0, 0.5, 0.5, 1.0};
  const double probability = probabilities[random_() % 4];
  std::string left = inode.durable;
  if (inode.current.size() != left.size() && coin(probability)) left.resize(inode.current.size());
  for (const uint64_t sector : inode.dirty) {
    const uint64_t at = sector * kSectorBytes;
    if (at >= left.size() || at >= inode.current.size() || !coin(probability)) continue;
    const uint64_t size =
        std::min<uint64_t>(kSectorBytes, std::min(left.size(), inode.current.size()) - at);
    left.replace(at, size, inode.current, at, size);
  }
  inode.dirty.clear();
  inode.durable = left;
  inode.current = std::move(left);
}

void FaultyDisk::restart() {
  const std::lock_guard lock(mutex_);
  const size_t kept = name_changes_.empty() ? 0 : random_() % (name_changes_.size() + 1);
  for (size_t i = 0; i < kept; ++i) apply(name_changes_[i], &durable_names_);
  name_changes_.clear();
  names_.clear();
  for (auto& [path, node] : durable_names_) {
    // Handles from before the cut keep the old inode, which nobody reaches any more.
    node = std::make_shared<Inode>(*node);
    survive(*node);
    names_[path] = node;
  }
  operations_left_.reset();
  faults_.clear();
  powered_ = true;
}

std::vector<std::string> FaultyDisk::paths() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [path, node] : names_) all.push_back(path);
  return all;
}

std::string FaultyDisk::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto it = names_.find(path);
  return it == names_.end() ? "" : it->second->current;
}

void FaultyDisk::flip_bit(const std::string& path, uint64_t bit) {
  std::string bytes = content(path);
  bytes.at(bit / 8) = static_cast<char>(bytes.at(bit / 8) ^ (1 << (bit % 8)));
  set_content(path, bytes);
}

void FaultyDisk::set_content(const std::string& path, const std::string& content) {
  const std::lock_guard lock(mutex_);
  Inode& inode = *names_.at(path);
  inode.durable = content;
  inode.current = content;
  inode.dirty.clear();
}

void FaultyDisk::erase(const std::string& path) {
  const std::lock_guard lock(mutex_);
  names_.erase(path);
  durable_names_.erase(path);
}

}  // namespace skep::testing
