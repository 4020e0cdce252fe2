// "host:port" as people write it, with the cluster's port where none is given.
//
// An IPv6 address with a port stands in brackets. Names are left as they are: resolving them is the
// connection's business.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/model/result.hpp"

namespace skep::transport {

inline constexpr uint16_t kNodePort = 2377;

struct HostPort {
  std::string host;
  uint16_t port = kNodePort;
  std::string str() const;
};

// Errors (invalid) quote the text.
Result<HostPort> parse_host_port(std::string_view text, uint16_t default_port = kNodePort);

}  // namespace skep::transport
