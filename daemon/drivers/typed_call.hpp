// What the typed clients share: one call, and reading its reply without letting a driver's bad JSON
// throw.
//
// A reply that lacks a member or has one of another type is the driver's fault, so it is
// ErrorKind::internal and names driver and member.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/plugin.hpp"

namespace skep::drivers {

using json = nlohmann::json;

// Parses `text` and hands it to `read`; what that throws becomes the error.
Status read_document(const Plugin& plugin, std::string_view text,
                     const std::function<void(const json&)>& read);

// The same for an item of a stream; a bad one is logged here.
Status read_item(const Plugin& plugin, std::string_view text,
                 const std::function<void(const json&)>& read);

// JSON text for the wire; bytes that are no UTF-8 are replaced.
std::string to_text(const json& document);

// The call, then T from its reply by `decode`.
template <class T>
boost::asio::awaitable<Result<T>> ask(Plugin& plugin, const host::Operation& operation,
                                      std::string key, std::string request, CallOptions options,
                                      T (*decode)(const json&)) {
  SKEP_CO_TRY_ASSIGN(
      const std::string reply,
      co_await plugin.call(operation, std::move(key), std::move(request), std::move(options)));
  T value{};
  SKEP_CO_TRY(
      read_document(plugin, reply, [&](const json& document) { value = decode(document); }));
  co_return value;
}

// The same where the reply says nothing.
boost::asio::awaitable<Status> tell(Plugin& plugin, const host::Operation& operation,
                                    std::string key, std::string request, CallOptions options);

// skep.base/1 restore_done outside of a restore_from(), when its source did not know the ids yet.
boost::asio::awaitable<Status> end_restore(Plugin& plugin, std::vector<std::string> ids);

}  // namespace skep::drivers
