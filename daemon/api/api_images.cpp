// This node's images: list, pull with progress, look, remove.
//
// A pull answers 200 at once and tells of failure in the stream, as clients expect; a reference
// that can't be one is refused before.
// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <nlohmann/json.hpp>

#include "core/model/validate.hpp"
#include "daemon/api/context.hpp"
#include "daemon/api/docker_json/base64.hpp"
#include "daemon/api/docker_json/time_text.hpp"
#include "daemon/api/filters.hpp"
#include "daemon/api/pull_stream.hpp"

namespace skep::api {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Labels live in the image's config.
Json labels_of(const agent::Image& image) {
  const Json config = Json::parse(image.config_json, nullptr, false);
  if (!config.is_object()) return Json::object();
  const auto labels = config.find("Labels");
  return labels != config.end() && labels->is_object() ? *labels : Json(Json::object());
}

model::Labels as_map(const Json& labels) {
  model::Labels map;
  for (const auto& item : labels.items()) {
    if (item.value().is_string()) map[item.key()] = item.value().get<std::string>();
  }
  return map;
}

// "httpd" fits all tags of httpd; "http*" is a pattern with one kind of wildcard.
bool reference_fits(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    return reference_fits(pattern.substr(1), text) ||
           (!text.empty() && text.front() != '/' && reference_fits(pattern, text.substr(1)));
  }
  return !text.empty() && pattern.front() == text.front() &&
         reference_fits(pattern.substr(1), text.substr(1));
}

bool has_reference(const agent::Image& image, const std::string& wanted) {
  constexpr size_t kPatternMax = 256;  // bounds the matching above
  if (wanted.size() > kPatternMax) return false;
  for (const std::string& tag : image.tags) {
    if (reference_fits(wanted, tag) || reference_fits(wanted, tag.substr(0, tag.rfind(':')))) {
      return true;
    }
  }
  return false;
}

// When the image that before= or since= names was made; nothing when the filter isn't used.
asio::awaitable<Result<std::optional<model::WallTime>>> made_at(Context& context,
                                                                const Filters& filters,
                                                                std::string_view filter) {
  std::optional<model::WallTime> time;
  for (const std::string& reference : filters.values(filter)) {
    SKEP_CO_TRY_ASSIGN(const agent::Image image, co_await context.containers.image(reference));
    time = image.created_at;
  }
  co_return time;
}

asio::awaitable<Result<Response>> list(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(
      const Filters filters,
      Filters::parse(request, {"dangling", "label", "reference", "before", "since"}));
  SKEP_CO_TRY_ASSIGN(const std::optional<model::WallTime> before,
                     co_await made_at(context, filters, "before"));
  SKEP_CO_TRY_ASSIGN(const std::optional<model::WallTime> since,
                     co_await made_at(context, filters, "since"));
  SKEP_CO_TRY_ASSIGN(const std::vector<agent::Image> images, co_await context.containers.images());
  Json json = Json::array();
  for (const agent::Image& image : images) {
    const Json labels = labels_of(image);
    const bool fits =
        (!before || image.created_at < *before) && (!since || image.created_at > *since) &&
        filters.allows_label("label", as_map(labels)) &&
        filters.allows("reference",
                       [&](const std::string& wanted) { return has_reference(image, wanted); }) &&
        filters.allows("dangling", [&](const std::string& wanted) {
          return (wanted == "true" || wanted == "1") == image.tags.empty();
        });
    if (!fits) continue;
    json.push_back(Json{{"Id", image.id},
                        {"ParentId", ""},
                        {"RepoTags", Json(image.tags)},
                        {"RepoDigests", Json(image.digests)},
                        {"Created", image.created_at.unix_ns / 1'000'000'000},
                        {"Size", image.size},
                        {"SharedSize", -1},
                        {"Labels", labels},
                        {"Containers", -1}});
  }
  co_return Response::json(text_of(json));
}

asio::awaitable<Result<Response>> inspect(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const agent::Image image,
                     co_await context.containers.image(request.parameter("name")));
  Json config = Json::parse(image.config_json, nullptr, false);
  if (!config.is_object()) config = Json::object();
  Json json = {{"Id", image.id},
               {"RepoTags", Json(image.tags)},
               {"RepoDigests", Json(image.digests)},
               {"Parent", ""},
               {"Comment", ""},
               {"Created", docker_json::time_text(image.created_at)},
               {"Author", ""},
               {"Config", std::move(config)},
               {"Architecture", image.architecture},
               {"Os", image.os},
               {"Size", image.size},
               {"GraphDriver", Json{{"Name", "containerd"}, {"Data", nullptr}}},
               {"RootFS", Json{{"Type", "layers"}, {"Layers", Json(image.layers)}}},
               {"Metadata", Json{{"LastTagTime", docker_json::time_text({})}}}};
  co_return Response::json(text_of(json));
}

// The X-Registry-Auth header; nothing when it is absent, empty or names nobody.
Result<std::optional<agent::RegistryAuth>> parse_auth(const std::string& header) {
  if (header.empty()) return std::optional<agent::RegistryAuth>{};
  const std::optional<std::string> text = docker_json::from_base64(header);
  const Json json = text ? Json::parse(*text, nullptr, false) : Json(nullptr);
  if (!json.is_object()) {
    return fail(ErrorKind::invalid, "X-Registry-Auth: expected base64 of a JSON object");
  }
  const auto read = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  agent::RegistryAuth auth{read("username"), read("password"), read("serveraddress"),
                           read("identitytoken")};
  if (auth.username.empty() && auth.identity_token.empty()) {
    return std::optional<agent::RegistryAuth>{};
  }
  return std::optional<agent::RegistryAuth>{std::move(auth)};
}

std::string reference_of(const Request& request) {
  std::string reference(request.query_value("fromImage"));
  const std::string_view tag = request.query_value("tag");
  const size_t after_slash = reference.rfind('/') == std::string::npos ? 0 : reference.rfind('/');
  const bool complete = reference.find(':', after_slash) != std::string::npos ||
                        reference.find('@') != std::string::npos;
  if (!tag.empty()) {
    reference += (tag.starts_with("sha256:") ? "@" : ":") + std::string(tag);
  } else if (!complete) {
    reference += ":latest";
  }
  return reference;
}

asio::awaitable<Result<Response>> create(Context& context, const Request& request,
                                         Exchange& exchange) {
  if (!request.query_value("fromSrc").empty()) {
    co_return fail(ErrorKind::unimplemented, "not implemented yet: importing an image (fromSrc)");
  }
  const std::string reference = reference_of(request);
  SKEP_CO_TRY(model::validate_image_reference("fromImage", reference));
  SKEP_CO_TRY_ASSIGN(const std::optional<agent::RegistryAuth> auth,
                     parse_auth(request.registry_auth));
  if (!co_await exchange.begin_stream(200, "application/json")) co_return Response::sent();
  PullStream stream(context, reference, auth);
  co_await exchange.until_gone(stream.run(exchange));
  co_return Response::sent();
}

asio::awaitable<Result<Response>> remove(Context& context, const Request& request, Exchange&) {
  SKEP_CO_TRY_ASSIGN(const agent::ImageRemoval removal,
                     co_await context.containers.remove_image(request.parameter("name"),
                                                              request.query_flag("force")));
  Json json = Json::array();
  for (const std::string& tag : removal.untagged) json.push_back(Json{{"Untagged", tag}});
  for (const std::string& id : removal.deleted) json.push_back(Json{{"Deleted", id}});
  co_return Response::json(text_of(json));
}

}  // namespace

std::span<const Route> image_routes() {
  static const Route routes[] = {
      {"GET", "/images/json", &list},
      {"POST", "/images/create", &create},
      {"GET", "/images/{name...}/json", &inspect},
      {"DELETE", "/images/{name...}", &remove},
  };
  return routes;
}

}  // namespace skep::api
