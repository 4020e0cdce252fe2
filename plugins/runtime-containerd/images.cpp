// Pull, list and remove. The end of a pull reads the new image's config, which blocks; that is done
// on one thread of its own, since neither the host's threads nor the callback thread may wait for a
// pull. What a registry said is only in the error's text: the few patterns that tell wrong
// credentials, a missing image and an absent registry apart stand together in fail_pull().
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/images.hpp"

#include <algorithm>
#include <map>

#include "cri.pb.h"
#include "github.com/containerd/containerd/api/services/containers/v1/containers.pb.h"
#include "github.com/containerd/containerd/api/services/content/v1/content.pb.h"
#include "github.com/containerd/containerd/api/services/images/v1/images.pb.h"
#include "google/protobuf/empty.pb.h"
#include "runtime-containerd/record.hpp"
#include "runtime-containerd/text.hpp"

namespace skep::containerd {

namespace containers = ::containerd::services::containers::v1;
namespace content = ::containerd::services::content::v1;
namespace images = ::containerd::services::images::v1;
namespace cri = ::runtime::v1;
using google::protobuf::Empty;
using sdk::Failure;
using sdk::json;

namespace {

constexpr int pull_timeout_ms = 30 * 60 * 1000;  // when the host sets no deadline
constexpr int poll_interval_ms = 150;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](auto part) { return contains(text, part); });
}

void fail_pull(Held& held, const std::string& reference, const RpcStatus& status) {
  const std::string& text = status.message;
  const std::string host = registry_of(reference);
  if (status.code == RpcCode::unimplemented) {
    return held.fail(SKEP_E_PRECONDITION, "CRI is disabled in containerd's config.toml");
  }
  if (contains_any(
          text, {"401 Unauthorized", "403 Forbidden", "authorization failed", "insufficient_scope",
                 "failed to fetch oauth token", "failed to fetch anonymous token"}) &&
      !contains(text, "dial tcp")) {
    return held.fail(SKEP_E_DENIED, "pull access denied for " + reference + ": " + text);
  }
  if (contains_any(text, {"dial tcp", "failed to do request", "502 Bad Gateway",
                          "503 Service Unavailable", "504 Gateway Timeout"})) {
    return held.fail(SKEP_E_UNAVAILABLE, "the registry " + host + " does not answer: " + text);
  }
  if (status.code == RpcCode::not_found || contains(text, ": not found")) {
    return held.fail(SKEP_E_NOTFOUND, "No such image: " + reference);
  }
  if (status.code == RpcCode::deadline_exceeded) {
    return held.fail(SKEP_E_UNAVAILABLE, "the pull from " + host + " did not end in time");
  }
  if (status.code == RpcCode::invalid_argument) return held.fail(SKEP_E_INVALID, text);
  held.fail(status);
}

}  // namespace

struct Images::Progress {
  HeldPtr held;
  bool over = false;                    // of the callback thread
  std::map<std::string, int64_t> open;  // layer -> its size, of the callback thread
};

void Images::poll(std::shared_ptr<Progress> progress) {
  rpc_.async<content::ListStatusesResponse>(
      "/containerd.services.content.v1.Content/ListStatuses", content::ListStatusesRequest(), {},
      [this, progress](RpcStatus status, content::ListStatusesResponse& reply) {
        std::map<std::string, int64_t> open;
        for (const content::Status& write : reply.statuses()) {
          const std::string& ref = write.ref();
          if (!ref.starts_with("layer-")) continue;
          open[ref.substr(6)] = write.total();
          progress->held->emit({{"layer", ref.substr(6)},
                                {"status", "Downloading"},
                                {"current", write.offset()},
                                {"total", write.total()}});
        }
        if (!status.ok()) open = progress->open;
        for (const auto& [layer, total] : progress->open) {
          if (open.contains(layer) && !progress->over) continue;
          progress->held->emit({{"layer", layer},
                                {"status", "Download complete"},
                                {"current", total},
                                {"total", total}});
        }
        progress->open = std::move(open);
        if (progress->over || progress->held->finished()) return;
        rpc_.after(poll_interval_ms, [this, progress] {
          if (!progress->over && !progress->held->finished()) poll(progress);
        });
      });
}

void Images::pull(HeldPtr held) {
  const std::string reference = normalise_reference(text_of(held->request(), "image"));
  cri::PullImageRequest request;
  request.mutable_image()->set_image(reference);
  const json auth = held->request().value("auth", json::object());
  if (auth.is_object() && !auth.empty()) {
    request.mutable_auth()->set_username(auth.value("username", std::string()));
    request.mutable_auth()->set_password(auth.value("password", std::string()));
    request.mutable_auth()->set_identity_token(auth.value("identity_token", std::string()));
  }
  leases_.take_for_pull([this, held, reference, request](RpcStatus status, std::string lease) {
    if (!status.ok()) return held->fail(status);
    pull_under(lease, held, reference, request);
  });
}

void Images::pull_under(const std::string& lease, HeldPtr held, const std::string& reference,
                        const cri::PullImageRequest& request) {
  CallOptions options;
  options.timeout_ms = static_cast<int>(
      std::min<int64_t>(held->remaining_ms().value_or(pull_timeout_ms), pull_timeout_ms));
  options.lease = lease;
  auto progress = std::make_shared<Progress>();
  progress->held = held;
  const CallHandlePtr handle = rpc_.async<cri::PullImageResponse>(
      "/runtime.v1.ImageService/PullImage", request, options,
      [this, held, progress, reference, lease](RpcStatus status, cri::PullImageResponse&) {
        leases_.end(lease);  // what was pulled is the image's now
        progress->over = true;
        for (const auto& [layer, total] : progress->open) {
          held->emit({{"layer", layer},
                      {"status", "Download complete"},
                      {"current", total},
                      {"total", total}});
        }
        progress->open.clear();
        if (!status.ok()) return fail_pull(*held, reference, status);
        finish_pull(held, reference);
      });
  held->on_abandon([handle] { handle->cancel(); });
  rpc_.after(0, [this, progress] {
    if (!progress->over) poll(progress);
  });
}

Images::Images(Rpc& rpc, Leases& leases, ImageStore& store)
    : rpc_(rpc), leases_(leases), store_(store), finisher_([this] { finish_pulls(); }) {}

Images::~Images() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  pulled_something_.notify_one();
  finisher_.join();
}

void Images::finish_pull(HeldPtr held, const std::string& reference) {
  {
    const std::lock_guard lock(mutex_);
    pulled_.emplace_back(std::move(held), reference);
  }
  pulled_something_.notify_one();
}

void Images::finish_pulls() {
  std::unique_lock lock(mutex_);
  for (;;) {
    pulled_something_.wait(lock, [this] { return ending_ || !pulled_.empty(); });
    if (pulled_.empty()) return;
    const auto [held, reference] = std::move(pulled_.front());
    pulled_.pop_front();
    lock.unlock();
    try {
      held->reply(describe(find(reference)));
    } catch (const Failure& failure) {
      held->fail(failure.code(), failure.what());
    } catch (const std::exception& error) {
      held->fail(SKEP_E_INTERNAL, error.what());
    }
    lock.lock();
  }
}

std::vector<Images::Known> Images::all() {
  const auto reply = rpc_.call<images::ListImagesResponse>(
      "/containerd.services.images.v1.Images/List", images::ListImagesRequest());
  std::map<std::string, Known> by_id;
  for (const images::Image& image : reply.images()) {
    ImageFactsPtr facts;
    try {
      facts = store_.facts(image.target().digest());
    } catch (const Failure& failure) {
      // For another platform, or being pulled at this moment: no image one could run.
      if (failure.code() == SKEP_E_UNAVAILABLE) throw;
      continue;
    } catch (const json::exception&) {
      continue;
    }
    Known& known = by_id[facts->id];
    known.facts = facts;
    known.records.push_back({image.name(), image.target().digest()});
  }
  std::vector<Known> result;
  for (auto& [id, known] : by_id) result.push_back(std::move(known));
  return result;
}

Images::Known Images::find(const std::string& reference) {
  const std::string name = normalise_reference(reference);
  for (Known& known : all()) {
    const bool named = std::any_of(known.records.begin(), known.records.end(),
                                   [&](const Record& record) { return record.name == name; });
    if (named || known.facts->id == name) return std::move(known);
  }
  throw Failure(SKEP_E_NOTFOUND, "No such image: " + reference);
}

json Images::describe(const Known& known) {
  json tags = json::array();
  json digests = json::array();
  for (const Record& record : known.records) {
    if (record.name.starts_with("sha256:")) continue;
    (contains(record.name, "@") ? digests : tags).push_back(record.name);
  }
  const json& config = known.facts->config;
  return {{"id", known.facts->id},
          {"tags", tags},
          {"digests", digests},
          {"created_at", config.value("created", std::string("1970-01-01T00:00:00Z"))},
          {"size", known.facts->size},
          {"architecture", config.value("architecture", std::string())},
          {"os", config.value("os", std::string("linux"))},
          {"config", known.facts->run_config()},
          {"layers", known.facts->diff_ids}};
}

json Images::inspect(const json& request) {
  return describe(find(text_of(request, "image")));
}

json Images::list() {
  json list = json::array();
  for (const Known& known : all()) list.push_back(describe(known));
  return {{"images", list}};
}

json Images::remove(const json& request) {
  const std::string reference = text_of(request, "image");
  const std::string name = normalise_reference(reference);
  const Known known = find(reference);
  const bool by_id = known.facts->id == name;
  std::vector<std::string> tags;
  for (const Record& record : known.records) {
    if (!record.name.starts_with("sha256:") && !contains(record.name, "@"))
      tags.push_back(record.name);
  }
  const bool other_tags =
      !by_id &&
      std::any_of(tags.begin(), tags.end(), [&](const std::string& tag) { return tag != name; });
  if (by_id && tags.size() > 1 && !request.value("force", false)) {
    throw Failure(SKEP_E_BUSY, "image " + reference +
                                   " has several tags: remove them one by one, "
                                   "or use force");
  }
  if (!other_tags && !request.value("force", false)) {
    const auto reply = rpc_.call<containers::ListContainersResponse>(
        "/containerd.services.containers.v1.Containers/List", containers::ListContainersRequest());
    for (const containers::Container& container : reply.containers()) {
      const auto label = container.labels().find("io.skep.image-id");
      const bool same_id = label != container.labels().end() && label->second == known.facts->id;
      const bool same_name =
          std::any_of(known.records.begin(), known.records.end(),
                      [&](const Record& record) { return record.name == container.image(); });
      if (same_id || same_name) {
        throw Failure(SKEP_E_BUSY,
                      "image " + reference + " is used by container " + container.id());
      }
    }
  }
  // The name that was asked for goes last: whoever is killed half-way finds the rest by it.
  std::vector<Record> doomed;
  for (const Record& record : known.records) {
    if (record.name == name || !other_tags) doomed.push_back(record);
  }
  std::stable_partition(doomed.begin(), doomed.end(),
                        [&name](const Record& record) { return record.name != name; });
  json untagged = json::array();
  for (const Record& record : doomed) {
    images::DeleteImageRequest over;
    over.set_name(record.name);
    auto deleted = rpc_.begin<Empty>("/containerd.services.images.v1.Images/Delete", over);
    const RpcStatus status = deleted.status();
    if (status.code != RpcCode::not_found) throw_if_failed(status);
    if (!record.name.starts_with("sha256:")) untagged.push_back(record.name);
  }
  json gone = json::array();
  if (!other_tags) gone.push_back(known.facts->id);
  return {{"untagged", untagged}, {"deleted", gone}};
}

bool Images::cri_answers() {
  CallOptions options;
  options.timeout_ms = 5'000;
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image("sha256:none");
  auto asked = rpc_.begin<cri::ImageStatusResponse>("/runtime.v1.ImageService/ImageStatus", request,
                                                    options);
  return asked.status().code != RpcCode::unimplemented;
}

}  // namespace skep::containerd
