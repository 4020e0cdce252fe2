// From a request line to a handler and from an Error to an answer.
//
// The version prefix is taken off here, so routes know none. Unknown paths and unknown methods are
// one thing to Docker's clients: 404 "page not found".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "daemon/api/context.hpp"

namespace skep::api {

class Dispatcher {
 public:
  Dispatcher();

  // `target` is the request line's: prefix, path and query. Never throws, always answers.
  asio::awaitable<Response> answer(Context& context, Request request, std::string_view target,
                                   Exchange& exchange) const;

 private:
  struct Pattern {
    std::vector<std::string_view> segments;
    Route route;
  };
  const Pattern* match(const std::string& method, const std::vector<std::string>& segments,
                       Request& request) const;

  std::vector<Pattern> patterns_;
};

// {"message": ...} with the status of the error's kind.
Response error_response(const Error& error);

}  // namespace skep::api
