// One HTTP request after which the connection belongs to a program's input and output (exec).
//
// libcurl cannot hand over a connection both of whose ends go on talking, so this is a plain
// socket: it sends the POST with an upgrade, reads the answer's head, and from there on copies
// bytes both ways until the daemon closes. End of input is told by closing the writing half only.
// Unix sockets, and tcp:// without TLS.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"

namespace skep::cli {

class HijackedConnection {
 public:
  // Sends the request and reads the answer's head. A refusal is the daemon's Error.
  static Result<HijackedConnection> open(const std::string& address, std::string_view path,
                                         std::string_view json_body);
  HijackedConnection(HijackedConnection&& other) noexcept;
  HijackedConnection(const HijackedConnection&) = delete;
  HijackedConnection& operator=(const HijackedConnection&) = delete;
  ~HijackedConnection();

  struct Pump {
    int input_file = -1;  // copied to the daemon; -1: nothing to send
    int alarm_file = -1;  // `on_alarm` is called when it is readable; -1: none
    std::function<void()> on_alarm;
    std::function<Status(std::string_view)> on_output;
  };
  // Copies until the daemon closes the connection. Blocks.
  Status run(const Pump& pump);

 private:
  explicit HijackedConnection(int socket) : socket_(socket) {}
  Status forward_input(int input_file, bool& input_open);

  int socket_ = -1;
  std::string early_;  // output that came with the head
};

}  // namespace skep::cli
