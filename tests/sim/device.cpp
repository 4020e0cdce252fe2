// Sectors and what becomes of them; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/device.hpp"

namespace skep::sim {

Status Device::write(uint64_t file, uint64_t offset, std::string_view bytes) {
  SKEP_ASSERT(offset % kSectorBytes == 0, "writes begin at a sector");
  if (faults.dead) return fail(ErrorKind::unavailable, "input/output error");
  const uint64_t end = offset + (bytes.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  const auto found = files_.find(file);
  const uint64_t size = found == files_.end() ? 0 : found->second.bytes.size();
  if (faults.full && end > size) return fail(ErrorKind::exhausted, "no space left on device");
  File& to = files_[file];
  if (to.bytes.size() < end) to.bytes.resize(end, '\0');
  for (uint64_t at = offset; at < end; at += kSectorBytes) {
    to.unsafe.push_back({at, to.bytes.substr(at, kSectorBytes)});
  }
  to.bytes.replace(offset, bytes.size(), bytes);
  return {};
}

Status Device::flush(uint64_t file) {
  if (faults.dead) return fail(ErrorKind::unavailable, "input/output error");
  if (faults.failing_flushes > 0) {
    faults.failing_flushes -= 1;
    return fail(ErrorKind::unavailable, "input/output error in a flush");
  }
  const auto found = files_.find(file);
  if (found != files_.end()) found->second.unsafe.clear();
  return {};
}

Result<std::string_view> Device::read(uint64_t file) const {
  if (faults.dead) return fail(ErrorKind::unavailable, "input/output error");
  const auto found = files_.find(file);
  if (found == files_.end()) return std::string_view{};
  return std::string_view(found->second.bytes);
}

void Device::lose_power(Random& random) {
  for (auto& [number, file] : files_) {
    // All, none, or any of them: the first two would be rare if each sector were drawn alone.
    const uint64_t fate = random.below(4);
    while (!file.unsafe.empty()) {
      // Newest first, so that a sector written twice ends as it was at first.
      const Unsafe& one = file.unsafe.back();
      const bool lost = fate == 0 || (fate != 1 && random.below(2) == 0);
      if (lost) file.bytes.replace(one.offset, kSectorBytes, one.before);
      file.unsafe.pop_back();
    }
  }
}

void Device::flip_bit(uint64_t file, uint64_t offset, int bit) {
  std::string& bytes = files_.at(file).bytes;
  SKEP_ASSERT(offset < bytes.size(), "only what is there can rot");
  bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << bit));
}

}  // namespace skep::sim
