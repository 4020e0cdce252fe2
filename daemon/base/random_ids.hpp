// Ids from the kernel's random source.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model/id_source.hpp"

namespace skep::base {

class RandomIds final : public model::IdSource {
 public:
  model::IdBits next() override;
};

}  // namespace skep::base
