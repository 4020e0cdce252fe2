// What a volume of the driver is made of, read from the options that Docker's local driver knows.
//
// Without options a volume is a folder. With `type`, `device` and `o` it is a folder on which that
// is mounted while somebody holds it; the words of `o` that the kernel calls flags become flags,
// the rest goes to the file system as it stands. `size`, or the contract's capacity_bytes, is a
// limit: of a tmpfs its own size, of a folder a quota (quota.hpp). A limit that nothing would keep
// is refused here, never dropped.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "skep/cpp/volume.hpp"

namespace skep::volume_local {

// One call of mount(2).
struct MountPlan {
  std::string type;  // "tmpfs", "nfs", ...; "none" for a bind
  std::string device;
  unsigned long flags = 0;        // MS_*
  unsigned long propagation = 0;  // MS_SHARED and its like, 0 for none
  std::string data;

  bool bind() const;
  bool remote() const;  // its data names a server that must be looked up
};

struct Shape {
  std::optional<MountPlan> mount;
  // For a folder alone: what a quota must keep. A tmpfs has it in its data.
  std::optional<int64_t> limit_bytes;
  // What create answers.
  std::optional<int64_t> capacity_bytes;
};

// Throws Failure(SKEP_E_INVALID) that names the option.
Shape shape_of(const sdk::TextMap& options, std::optional<int64_t> capacity_bytes);

// "10m", "1g", "1GiB", "4096": bytes, with units of 1024; nullopt when it is no size.
std::optional<int64_t> bytes_of(const std::string& text);

}  // namespace skep::volume_local
