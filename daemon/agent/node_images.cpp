// Images of the node: names in both spellings, everything else is the runtime's.
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "daemon/agent/identity_text.hpp"
#include "daemon/agent/image_name.hpp"
#include "daemon/agent/node_containers.hpp"

namespace skep::agent {
namespace {

constexpr std::string_view kIdAlgorithm = "sha256:";

Image shown(drivers::ImageInfo info) {
  Image image;
  image.id = std::move(info.id);
  for (const std::string& tag : info.tags) image.tags.push_back(familiar_image_name(tag));
  for (const std::string& digest : info.digests) {
    image.digests.push_back(familiar_image_name(digest));
  }
  image.created_at = parse_time_text(info.created_at);
  image.size = info.size;
  image.architecture = std::move(info.architecture);
  image.os = std::move(info.os);
  image.config_json = std::move(info.config);
  image.layers = std::move(info.layers);
  return image;
}

tl::unexpected<Error> no_such_image(const std::string& reference) {
  return fail(ErrorKind::not_found, "No such image: " + reference);
}

}  // namespace

void NodeContainers::publish_image(std::string_view action, const std::string& name) {
  NodeEvent event;
  event.type = "image";
  event.action = action;
  event.id = name;
  event.attributes["name"] = name;
  table_.publish(std::move(event));
}

asio::awaitable<Result<std::vector<Image>>> NodeContainers::images() {
  SKEP_CO_TRY_ASSIGN(std::vector<drivers::ImageInfo> all, co_await runtime_.image_list());
  std::vector<Image> images;
  images.reserve(all.size());
  for (drivers::ImageInfo& info : all) images.push_back(shown(std::move(info)));
  image_count_ = images.size();
  co_return images;
}

asio::awaitable<void> NodeContainers::count_images() {
  count_again_ = true;
  if (counting_) co_return;  // whoever counts will do it once more
  counting_ = true;
  while (std::exchange(count_again_, false)) {
    const Result<std::vector<Image>> all = co_await images();
    if (!all) break;
  }
  counting_ = false;
}

asio::awaitable<Result<Image>> NodeContainers::by_id(std::string reference) {
  std::string_view digits = reference;
  if (digits.starts_with(kIdAlgorithm)) digits.remove_prefix(kIdAlgorithm.size());
  SKEP_CO_TRY_ASSIGN(const std::vector<Image> all, co_await images());
  const Image* match = nullptr;
  for (const Image& image : all) {
    std::string_view id = image.id;
    if (id.starts_with(kIdAlgorithm)) id.remove_prefix(kIdAlgorithm.size());
    if (!id.starts_with(digits)) continue;
    if (match != nullptr && match->id != image.id) {
      co_return fail(ErrorKind::invalid, "several images begin with " + reference);
    }
    match = &image;
  }
  if (match == nullptr) co_return no_such_image(reference);
  co_return *match;
}

asio::awaitable<Result<Image>> NodeContainers::image(std::string reference) {
  const Result<std::string> full = normalize_image_name(reference);
  const bool may_be_id = looks_like_image_id(reference);
  if (!full && !may_be_id) co_return fail(full.error());
  if (full) {
    Result<drivers::ImageInfo> info = co_await runtime_.image_inspect(*full);
    if (info) co_return shown(std::move(*info));
    if (info.error().kind != ErrorKind::not_found) co_return fail(std::move(info).error());
  }
  if (may_be_id) co_return co_await by_id(reference);
  co_return no_such_image(reference);
}

asio::awaitable<Result<Image>> NodeContainers::pull(
    std::string reference, std::optional<RegistryAuth> auth,
    std::function<void(const PullProgress&)> progress) {
  SKEP_CO_TRY_ASSIGN(const std::string full, normalize_image_name(reference));
  std::optional<drivers::RegistryAuth> credentials;
  if (auth) {
    credentials.emplace();
    credentials->username = std::move(auth->username);
    credentials->password = std::move(auth->password);
    credentials->server_address = std::move(auth->server_address);
    credentials->identity_token = std::move(auth->identity_token);
  }
  std::function<void(drivers::PullProgress)> pass;
  if (progress) {
    pass = [progress](drivers::PullProgress item) {
      PullProgress out;
      out.layer = std::move(item.layer);
      out.status = std::move(item.status);
      out.current = static_cast<uint64_t>(item.current);
      out.total = static_cast<uint64_t>(item.total);
      progress(out);
    };
  }
  SKEP_CO_TRY_ASSIGN(drivers::ImageInfo info,
                     co_await runtime_.image_pull(full, std::move(credentials), std::move(pass)));
  publish_image("pull", familiar_image_name(full));
  co_return shown(std::move(info));
}

asio::awaitable<Result<ImageRemoval>> NodeContainers::remove_image(std::string reference,
                                                                   bool force) {
  SKEP_CO_TRY_ASSIGN(const Image target, co_await image(reference));
  // By name only that name goes; by id the whole image.
  const Result<std::string> full = normalize_image_name(reference);
  bool by_name = false;
  if (full) {
    const std::string name = familiar_image_name(*full);
    for (const std::string& tag : target.tags) by_name = by_name || tag == name;
    for (const std::string& digest : target.digests) by_name = by_name || digest == name;
  }
  const std::string wanted = by_name ? *full : target.id;
  SKEP_CO_TRY_ASSIGN(drivers::RemovedImage removed, co_await runtime_.image_remove(wanted, force));
  ImageRemoval result;
  for (const std::string& name : removed.untagged) {
    result.untagged.push_back(familiar_image_name(name));
    publish_image("untag", result.untagged.back());
  }
  for (std::string& id : removed.deleted) {
    publish_image("delete", id);
    result.deleted.push_back(std::move(id));
  }
  co_return result;
}

}  // namespace skep::agent
