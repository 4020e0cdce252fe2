// The socket side of a hijacked connection, with poll and nothing else.
// SPDX-License-Identifier: Apache-2.0
#include "cli/hijacked_connection.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "cli/engine_client.hpp"

namespace skep::cli {
namespace {

constexpr size_t kHeadBytesMax = 64 * 1024;
constexpr size_t kErrorBodyBytesMax = 64 * 1024;
constexpr size_t kCopyBytes = 32 * 1024;

Error system_error(std::string_view doing) {
  return {ErrorKind::unavailable, std::string(doing) + ": " + std::strerror(errno)};
}

Result<int> connect_unix(std::string_view path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof(name.sun_path)) {
    return fail(ErrorKind::invalid, "the socket path " + std::string(path) + " is too long");
  }
  path.copy(name.sun_path, path.size());
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0) return fail(system_error("cannot make a socket"));
  if (::connect(made, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0) {
    const Error error = system_error("Cannot connect to the skep daemon at " + std::string(path));
    ::close(made);
    return fail(error);
  }
  return made;
}

Result<int> connect_tcp(const std::string& host, const std::string& port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0) {
    return fail(ErrorKind::unavailable, "cannot find the address of " + host);
  }
  int made = -1;
  for (const addrinfo* one = found; one != nullptr && made < 0; one = one->ai_next) {
    made = ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made >= 0 && ::connect(made, one->ai_addr, one->ai_addrlen) != 0) {
      ::close(made);
      made = -1;
    }
  }
  ::freeaddrinfo(found);
  if (made < 0) return fail(system_error("Cannot connect to the skep daemon at " + host));
  return made;
}

Result<int> connect_to(const std::string& address) {
  constexpr std::string_view kUnix = "unix://";
  constexpr std::string_view kTcp = "tcp://";
  if (!address.starts_with(kTcp)) {
    return connect_unix(
        std::string_view(address).substr(address.starts_with(kUnix) ? kUnix.size() : 0));
  }
  const std::string host_port = address.substr(kTcp.size());
  const size_t colon = host_port.rfind(':');
  if (colon == std::string::npos) return fail(ErrorKind::invalid, address + " names no port");
  return connect_tcp(host_port.substr(0, colon), host_port.substr(colon + 1));
}

Status send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail(system_error("the connection to the skep daemon broke"));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

// Appends what one read gives; false at the end of the stream.
Result<bool> receive_some(int socket, std::string& into) {
  std::array<char, kCopyBytes> buffer;
  ssize_t got = 0;
  do {
    got = ::recv(socket, buffer.data(), buffer.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail(system_error("the connection to the skep daemon broke"));
  into.append(buffer.data(), static_cast<size_t>(got));
  return got > 0;
}

int status_of(std::string_view head) {
  const size_t space = head.find(' ');
  int status = 0;
  if (space != std::string_view::npos && head.size() >= space + 4) {
    std::from_chars(head.data() + space + 1, head.data() + space + 4, status);
  }
  return status;
}

// The length a refusal's head announces; none: the body ends with the connection.
size_t content_length(std::string_view head) {
  constexpr std::string_view kName = "\r\ncontent-length:";
  std::string lower(head);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const size_t at = lower.find(kName);
  if (at == std::string::npos) return kErrorBodyBytesMax;
  size_t value = kErrorBodyBytesMax;
  size_t start = at + kName.size();
  while (start < lower.size() && lower[start] == ' ') ++start;
  std::from_chars(lower.data() + start, lower.data() + lower.size(), value);
  return std::min(value, kErrorBodyBytesMax);
}

}  // namespace

Result<HijackedConnection> HijackedConnection::open(const std::string& address,
                                                    std::string_view path,
                                                    std::string_view json_body) {
  SKEP_TRY_ASSIGN(const int socket, connect_to(address));
  HijackedConnection connection(socket);
  std::string request = "POST " + std::string(path) + " HTTP/1.1\r\nHost: skep\r\n";
  request += "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n";
  request += "Content-Length: " + std::to_string(json_body.size()) + "\r\n\r\n";
  request += json_body;
  SKEP_TRY(send_all(socket, request));

  std::string received;
  size_t end = std::string::npos;
  while ((end = received.find("\r\n\r\n")) == std::string::npos) {
    if (received.size() > kHeadBytesMax) {
      return fail(ErrorKind::internal, "the daemon's answer has no end of its head");
    }
    SKEP_TRY_ASSIGN(const bool more, receive_some(socket, received));
    if (!more) return fail(ErrorKind::unavailable, "the daemon closed the connection");
  }
  const std::string head = received.substr(0, end);
  connection.early_ = received.substr(end + 4);
  const int status = status_of(head);
  if (status == 101 || status == 200) return connection;

  Response refusal{.status = status};
  const size_t length = content_length(head);
  for (bool more = true; more && connection.early_.size() < length;) {
    SKEP_TRY_ASSIGN(more, receive_some(socket, connection.early_));
  }
  refusal.body = connection.early_;
  const Status refused = success_of(refusal);
  if (refused) {
    return fail(ErrorKind::internal,
                "the daemon answered HTTP status " + std::to_string(status) + " to an upgrade");
  }
  return fail(refused.error().kind, "Error response from daemon: " + refused.error().message);
}

HijackedConnection::HijackedConnection(HijackedConnection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), early_(std::move(other.early_)) {}

HijackedConnection::~HijackedConnection() {
  if (socket_ >= 0) ::close(socket_);
}

Status HijackedConnection::forward_input(int input_file, bool& input_open) {
  std::array<char, kCopyBytes> buffer;
  const ssize_t got = ::read(input_file, buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (got > 0) {
    // A program that ended closes its side while we still type: its output decides, not this.
    if (send_all(socket_, std::string_view(buffer.data(), static_cast<size_t>(got)))) return {};
  }
  input_open = false;
  ::shutdown(socket_, SHUT_WR);
  return {};
}

Status HijackedConnection::run(const Pump& pump) {
  if (!early_.empty()) SKEP_TRY(pump.on_output(early_));
  bool input_open = pump.input_file >= 0;
  if (!input_open) ::shutdown(socket_, SHUT_WR);
  while (true) {
    std::array<pollfd, 3> files = {{{socket_, POLLIN, 0},
                                    {input_open ? pump.input_file : -1, POLLIN, 0},
                                    {pump.alarm_file, POLLIN, 0}}};
    if (::poll(files.data(), files.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail(system_error("waiting for the daemon"));
    }
    if (files[2].revents != 0) pump.on_alarm();
    if (files[1].revents != 0) SKEP_TRY(forward_input(pump.input_file, input_open));
    if (files[0].revents == 0) continue;
    std::string output;
    SKEP_TRY_ASSIGN(const bool more, receive_some(socket_, output));
    if (!more) return {};
    SKEP_TRY(pump.on_output(output));
  }
}

}  // namespace skep::cli
