// Reading manifests and configs. An index that has nothing for this machine is an error that says
// which platforms it has; attestation entries ("unknown/unknown") are passed over like any other
// platform.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/image_store.hpp"

#include <sys/utsname.h>

#include <algorithm>

#include "github.com/containerd/containerd/api/services/content/v1/content.pb.h"
#include "github.com/containerd/containerd/api/services/images/v1/images.pb.h"
#include "runtime-containerd/text.hpp"

namespace skep::containerd {

namespace content = ::containerd::services::content::v1;
namespace images = ::containerd::services::images::v1;

namespace {

constexpr size_t document_bytes_max = 8u << 20;  // of a manifest or config
constexpr int index_depth_max = 4;               // an index may name an index
constexpr size_t cache_entries_max = 4096;

std::string own_architecture() {
  utsname about{};
  uname(&about);
  const std::string machine = about.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine.starts_with("armv")) return "arm";
  if (machine == "i686" || machine == "i386") return "386";
  return machine;  // riscv64, ppc64le and s390x have the same name on both sides
}

// The digest of the manifest for this machine.
std::string pick_manifest(const sdk::json& index) {
  const std::string architecture = own_architecture();
  std::string offered;
  for (const sdk::json& entry : index.at("manifests")) {
    const sdk::json platform = entry.value("platform", sdk::json::object());
    const std::string os = platform.value("os", std::string("linux"));
    const std::string machine = platform.value("architecture", architecture);
    if (os == "linux" && machine == architecture) return entry.at("digest").get<std::string>();
    offered += (offered.empty() ? "" : ", ") + os + "/" + machine;
  }
  throw sdk::Failure(SKEP_E_NOTFOUND, "the image has no version for linux/" + architecture +
                                          ", only for: " + offered);
}

std::string chain_of(const std::vector<std::string>& diff_ids) {
  std::string chain;
  for (const std::string& diff_id : diff_ids) {
    chain = chain.empty() ? diff_id : sha256_digest(chain + " " + diff_id);
  }
  return chain;
}

}  // namespace

const sdk::json& ImageFacts::run_config() const {
  static const sdk::json nothing = sdk::json::object();
  const auto found = config.find("config");
  return found != config.end() && found->is_object() ? *found : nothing;
}

std::string ImageStore::read_content(const std::string& digest) {
  struct State {
    std::string bytes;
    std::promise<RpcStatus> promise;
  };
  auto state = std::make_shared<State>();
  std::future<RpcStatus> done = state->promise.get_future();
  content::ReadContentRequest request;
  request.set_digest(digest);
  rpc_.stream(
      "/containerd.services.content.v1.Content/Read", request, {},
      [state](std::string_view bytes) {
        content::ReadContentResponse part;
        if (part.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
            state->bytes.size() <= document_bytes_max) {
          state->bytes += part.data();
        }
      },
      [state](RpcStatus status) { state->promise.set_value(std::move(status)); });
  throw_if_failed(done.get());
  if (sha256_digest(state->bytes) != digest) {
    throw sdk::Failure(SKEP_E_INTERNAL, "content " + digest + " is damaged or too long");
  }
  return std::move(state->bytes);
}

ImageFactsPtr ImageStore::load(const std::string& target_digest) {
  auto facts = std::make_shared<ImageFacts>();
  sdk::json manifest;
  std::string digest = target_digest;
  for (int depth = 0; !manifest.contains("config"); ++depth) {
    if (depth == index_depth_max) {
      throw sdk::Failure(SKEP_E_INVALID, "the image " + target_digest + " has no manifest");
    }
    const std::string bytes = read_content(digest);
    manifest = sdk::json::parse(bytes);
    facts->size = static_cast<int64_t>(bytes.size());
    if (!manifest.contains("config")) digest = pick_manifest(manifest);
  }
  facts->id = manifest.at("config").at("digest").get<std::string>();
  const std::string config = read_content(facts->id);
  facts->config = sdk::json::parse(config);
  facts->size += static_cast<int64_t>(config.size());
  for (const sdk::json& layer : manifest.at("layers"))
    facts->size += layer.value("size", int64_t{0});
  facts->diff_ids = facts->config.at("rootfs").at("diff_ids").get<std::vector<std::string>>();
  facts->chain_id = chain_of(facts->diff_ids);
  return facts;
}

ImageFactsPtr ImageStore::facts(const std::string& target_digest) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_target_.find(target_digest); found != by_target_.end()) {
      return found->second;
    }
  }
  // Two callers may read the same image at once; both get the same answer.
  ImageFactsPtr loaded = load(target_digest);
  const std::lock_guard lock(mutex_);
  if (by_target_.size() >= cache_entries_max) by_target_.clear();
  by_target_[target_digest] = loaded;
  return loaded;
}

ImageFactsPtr ImageStore::find(const std::string& reference) {
  images::GetImageRequest request;
  request.set_name(normalise_reference(reference));
  auto started =
      rpc_.begin<images::GetImageResponse>("/containerd.services.images.v1.Images/Get", request);
  const RpcStatus status = started.status();
  if (status.code == RpcCode::not_found) {
    throw sdk::Failure(SKEP_E_NOTFOUND, "No such image: " + reference);
  }
  throw_if_failed(status);
  // CRI's record under an image id points to the same manifest or index as the tag's.
  return facts(started.reply().image().target().digest());
}

}  // namespace skep::containerd
