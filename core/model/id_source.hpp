// Where fresh ids come from: handed in, so that the simulator can replay them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/ids.hpp"

namespace skep::model {

class IdSource {
 public:
  virtual ~IdSource() = default;
  // 128 random bits, never all zero.
  virtual IdBits next() = 0;
};

}  // namespace skep::model
