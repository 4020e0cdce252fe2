// Where two task templates differ, by comparing what the field table prints of them.
//
// The comparison is of meaning: defaults are written out on both sides first, and null, absent and
// empty are one thing, because clients send any of them for the same wish. Whatever gets a row in
// the table is compared without a line here.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {
namespace {

std::string below(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

std::optional<std::string> first_difference(const Json& before, const Json& after,
                                            const std::string& path) {
  if (before.is_object() && after.is_object()) {
    for (const auto& item : before.items()) {
      const auto other = after.find(item.key());
      const Json& value = other == after.end() ? Json(nullptr) : *other;
      if (auto found = first_difference(item.value(), value, below(path, item.key()))) {
        return found;
      }
    }
    for (const auto& item : after.items()) {
      if (before.contains(item.key()) || is_empty_value(item.value())) continue;
      return below(path, item.key());
    }
    return std::nullopt;
  }
  if (is_empty_value(before) && is_empty_value(after)) return std::nullopt;
  return before == after ? std::nullopt : std::optional<std::string>(path);
}

// "httpd", "httpd:latest" and "docker.io/library/httpd" are one image: clients differ in how much
// of the name they write out, and what one has stored another sends back.
std::string full_name(std::string image) {
  for (const std::string_view prefix : {"index.docker.io/", "docker.io/"}) {
    if (!image.starts_with(prefix)) continue;
    image.erase(0, prefix.size());
    break;
  }
  // "library/httpd" has no host in front of it, so it is the same folder of the same registry.
  if (image.starts_with("library/")) image.erase(0, std::string_view("library/").size());
  const size_t slash = image.rfind('/');
  const size_t name = slash == std::string::npos ? 0 : slash;
  if (image.empty() || image.find_first_of(":@", name) != std::string::npos) return image;
  return image + ":latest";
}

Json normalised(const model::TaskSpec& task) {
  model::ServiceSpec spec;
  spec.task = task;
  spec = with_defaults(std::move(spec));
  if (spec.task.placement) spec.task.placement->constraints.clear();
  spec.task.container.image = full_name(std::move(spec.task.container.image));
  if (spec.task.runtime == "container") spec.task.runtime.clear();
  if (spec.task.container.isolation == "default") spec.task.container.isolation.clear();
  return Codec<model::TaskSpec>::print(spec.task);
}

}  // namespace

std::optional<std::string> first_template_difference(const model::TaskSpec& before,
                                                     const model::TaskSpec& after) {
  return first_difference(normalised(before), normalised(after), "TaskTemplate");
}

}  // namespace skep::docker_json
