// One driver per mistake: what the fakes of this folder share.
//
// Every fake is built of one body (volumes*.cpp, balancer.cpp, ..), compiled once and right in all
// it does, and of entry.cpp, compiled for each fake with the name of its mistake. The body asks
// wrong("...") where a mistake is made; with the name "nothing" it makes none. So a fake differs
// from the right one in what its name says, and the kit must find exactly that.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "skep/abi.h"

namespace wrong_driver {

// The mistake this library was built for; defined by entry.cpp.
extern const std::string_view mistake;
inline bool wrong(std::string_view name) {
  return mistake == name;
}

// A new instance of the body that is linked.
const skep_instance* make(const skep_host* host);

extern const char* const interfaces;
extern const char* const config_schema;

}  // namespace wrong_driver
