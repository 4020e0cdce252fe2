// 16 bytes of getrandom(2) each; it can't fail for so few once the machine is up.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/base/random_ids.hpp"

#include <sys/random.h>

#include "core/model/result.hpp"

namespace skep::base {

model::IdBits RandomIds::next() {
  model::IdBits bits;
  while (bits == model::IdBits{}) {
    const ssize_t got = getrandom(&bits, sizeof bits, 0);
    SKEP_ASSERT(got == static_cast<ssize_t>(sizeof bits), "the kernel gives 16 random bytes");
  }
  return bits;
}

}  // namespace skep::base
