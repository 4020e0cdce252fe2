// A pull and its progress, side by side: the driver reports as it goes, the client reads as it can.
//
// Progress waits in a bounded queue where a newer report of a layer replaces the older one, so a
// slow client costs no memory. A client that goes away ends the telling and cancels the pull.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>
#include <string>

#include "daemon/api/context.hpp"

namespace skep::api {

class PullStream {
 public:
  PullStream(Context& context, std::string reference, std::optional<agent::RegistryAuth> auth);

  // Pulls, writing JSON lines to the (already begun) stream; returns when both have ended.
  asio::awaitable<void> run(Exchange& exchange);

 private:
  asio::awaitable<void> pull();
  asio::awaitable<void> tell(Exchange& exchange);

  Context& context_;
  const std::string reference_;
  const std::optional<agent::RegistryAuth> auth_;
  asio::steady_timer wake_;
  std::map<std::string, agent::PullProgress> waiting_;  // by layer
  std::string known_id_;  // what the name meant here before the pull; "" for nothing
  std::optional<Result<agent::Image>> outcome_;
};

}  // namespace skep::api
