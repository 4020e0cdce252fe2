// SPDX-License-Identifier: Apache-2.0
// A colon can belong to an IPv6 address: only one colon, or one after a bracket, parts the port.
#include "daemon/transport/address.hpp"

#include <charconv>

namespace skep::transport {
namespace {

tl::unexpected<Error> bad(std::string_view text) {
  return fail(ErrorKind::invalid, "\"" + std::string(text) + "\" is not an address (host:port)");
}

}  // namespace

std::string HostPort::str() const {
  const bool bracket = host.find(':') != std::string::npos;
  return (bracket ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> parse_host_port(std::string_view text, uint16_t default_port) {
  HostPort result;
  result.port = default_port;
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return bad(text);
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad(text);
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else if (const size_t colon = text.find(':');
             colon != std::string_view::npos &&
             text.find(':', colon + 1) == std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  if (host.empty()) return bad(text);
  if (has_port) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
    if (error != std::errc() || end != port.data() + port.size()) return bad(text);
  }
  result.host = std::string(host);
  return result;
}

}  // namespace skep::transport
