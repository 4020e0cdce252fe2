// The images of the node: skep.runtime.images/1. Pulling is left to containerd's CRI plugin, which
// resolves mirrors, checks digests and unpacks; its one answer is given progress by watching the
// content store's open writes. CRI keeps an image under three names (tag, digest, id): here it is
// one image.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime-containerd/image_store.hpp"
#include "runtime-containerd/leases.hpp"
#include "runtime-containerd/pending.hpp"
#include "runtime-containerd/rpc.hpp"

namespace runtime::v1 {
class PullImageRequest;
}

namespace skep::containerd {

// Each method is the operation of the same name in runtime.h; those that block are for host
// threads.
class Images {
 public:
  Images(Rpc& rpc, Leases& leases, ImageStore& store);
  ~Images();
  Images(const Images&) = delete;
  Images& operator=(const Images&) = delete;

  void pull(HeldPtr held);
  sdk::json inspect(const sdk::json& request);
  sdk::json list();
  sdk::json remove(const sdk::json& request);
  // False when containerd runs without its CRI plugin; true also when containerd can't be asked.
  // Blocks.
  bool cri_answers();

 private:
  struct Record {
    std::string name;
    std::string target;  // digest of manifest or index
  };
  struct Known {
    ImageFactsPtr facts;
    std::vector<Record> records;
  };
  struct Progress;

  std::vector<Known> all();
  Known find(const std::string& reference);
  static sdk::json describe(const Known& known);
  void poll(std::shared_ptr<Progress> progress);
  void pull_under(const std::string& lease, HeldPtr held, const std::string& reference,
                  const ::runtime::v1::PullImageRequest& request);
  void finish_pull(HeldPtr held, const std::string& reference);

  void finish_pulls();

  Rpc& rpc_;
  Leases& leases_;
  ImageStore& store_;
  std::mutex mutex_;
  std::condition_variable pulled_something_;
  std::deque<std::pair<HeldPtr, std::string>> pulled_;  // guarded by mutex_
  bool ending_ = false;                                 // guarded by mutex_
  std::thread finisher_;                                // last: it uses all of the above
};

}  // namespace skep::containerd
