// JSON in and out for the typed clients.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/typed_call.hpp"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

namespace skep::drivers {

Status read_document(const Plugin& plugin, std::string_view text,
                     const std::function<void(const json&)>& read) {
  try {
    read(json::parse(text));
  } catch (const json::exception& bad) {
    return fail(ErrorKind::internal, "driver " + plugin.identity().id +
                                         " gave a document that can't be read: " + bad.what());
  }
  return {};
}

Status read_item(const Plugin& plugin, std::string_view text,
                 const std::function<void(const json&)>& read) {
  Status status = read_document(plugin, text, read);
  if (!status) spdlog::error("plugin misbehaving: {}", status.error().message);
  return status;
}

std::string to_text(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

boost::asio::awaitable<Status> tell(Plugin& plugin, const host::Operation& operation,
                                    std::string key, std::string request, CallOptions options) {
  SKEP_CO_TRY(
      co_await plugin.call(operation, std::move(key), std::move(request), std::move(options)));
  co_return Status();
}

boost::asio::awaitable<Status> end_restore(Plugin& plugin, std::vector<std::string> ids) {
  json request = json::object();
  request["ids"] = ids;
  std::string document = to_text(request);
  co_return co_await tell(plugin, SKEP_OPERATION(SKEP_BASE_1, skep_base_1, restore_done),
                          std::string(), std::move(document), CallOptions());
}

}  // namespace skep::drivers
