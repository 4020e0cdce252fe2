// A reply with a handle makes an object known, a remove makes it forgotten; the lists of holders go
// along.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/object_book.hpp"

#include <nlohmann/json.hpp>

#include "cli/json.hpp"

namespace skep::cli {
namespace {

Json parsed(std::string_view text) {
  Json document = Json::parse(text, nullptr, false);
  return document.is_object() ? document : Json::object();
}

}  // namespace

void ObjectBook::saw(const host::Operation& operation, std::string_view request_text,
                     std::string_view reply_text) {
  if (operation.effect != host::Effect::changes || operation.key.empty()) return;
  const Json request = parsed(request_text);
  const std::string id = text_at(request, "/" + std::string(operation.key));
  const Json reply = parsed(reply_text);
  if (reply.contains("handle")) {
    const auto [place, is_new] = objects_.try_emplace(id);
    place->second.handle = compact(reply["handle"]);
    if (is_new && operation.interface == SKEP_VOLUME_1) place->second.holders.emplace();
  }
  const auto found = objects_.find(id);
  if (found == objects_.end()) return;
  if (operation.name == "publish" || operation.name == "unpublish") {
    std::vector<std::string> holders;
    for (const Json& holder : array_at(request, "/holders")) {
      if (holder.is_string()) holders.push_back(holder.get<std::string>());
    }
    if (operation.name == "publish") holders.push_back(text_at(request, "/holder"));
    found->second.holders = std::move(holders);
  }
  if (operation.name == "remove" || operation.name == "endpoint_remove") objects_.erase(found);
}

std::vector<std::string> ObjectBook::restore_requests() const {
  std::vector<std::string> requests;
  for (const auto& [id, object] : objects_) {
    Json request = {{"id", id}, {"handle", Json::parse(object.handle)}};
    if (object.holders) {
      request["holders"] = object.holders->empty() ? Json::array() : Json(*object.holders);
    }
    requests.push_back(compact(request));
  }
  return requests;
}

// Line by line what restore would be asked.
std::string ObjectBook::to_text() const {
  std::string text;
  for (const std::string& request : restore_requests()) text += request + "\n";
  return text;
}

Result<ObjectBook> ObjectBook::from_text(std::string_view text) {
  ObjectBook book;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const Json line = parsed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string id = text_at(line, "/id");
    if (id.empty() || !line.contains("handle")) {
      return fail(ErrorKind::invalid, "this is no list of objects");
    }
    Object& object = book.objects_[id];
    object.handle = compact(line["handle"]);
    if (!line.contains("holders")) continue;
    object.holders.emplace();
    for (const Json& holder : array_at(line, "/holders")) {
      if (holder.is_string()) object.holders->push_back(holder.get<std::string>());
    }
  }
  return book;
}

std::string ObjectBook::restore_done_request() const {
  Json ids = Json::array();
  for (const auto& [id, object] : objects_) ids.push_back(id);
  return compact(Json{{"ids", std::move(ids)}});
}

}  // namespace skep::cli
