// What containerd knows about an image, read out of its content store: name -> index -> manifest
// for this machine -> config. The config names the layers, from which the id of the snapshot to
// start from follows (the chain id). All of it is addressed by digest and never changes, so it is
// read once and kept for as long as the driver runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime-containerd/rpc.hpp"
#include "skep/cpp/driver.hpp"

namespace skep::containerd {

// One image for this machine's architecture. Immutable.
struct ImageFacts {
  std::string id;        // digest of the config
  std::string chain_id;  // the committed snapshot of all its layers
  int64_t size = 0;      // bytes as pulled: manifest, config and layers
  std::vector<std::string> diff_ids;
  sdk::json config;  // the OCI config document
  // The member "config" of the document: Env, Cmd, User, ...; an object, perhaps an empty one.
  const sdk::json& run_config() const;
};
using ImageFactsPtr = std::shared_ptr<const ImageFacts>;

class ImageStore {
 public:
  explicit ImageStore(Rpc& rpc) : rpc_(rpc) {}
  // By reference, in any of its spellings, or by image id. Blocks. Throws Failure(SKEP_E_NOTFOUND)
  // "No such image: REF". [any-thread]
  ImageFactsPtr find(const std::string& reference);
  // For the descriptor's digest that an image record points to. Blocks.
  ImageFactsPtr facts(const std::string& target_digest);

 private:
  std::string read_content(const std::string& digest);
  ImageFactsPtr load(const std::string& target_digest);

  Rpc& rpc_;
  std::mutex mutex_;
  std::map<std::string, ImageFactsPtr> by_target_;  // guarded by mutex_
};

}  // namespace skep::containerd
