// Which address a node tells others to reach it by.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/model/result.hpp"

namespace skep {

// `asked` is an address, address:port, an interface name, or empty. Empty takes the machine's only
// global address; none or several of them is an error with Docker's words, which its client knows:
// "could not choose an IP address to advertise ...". Returns the bare address.
Result<std::string> choose_advertise_address(const std::string& asked);

}  // namespace skep
