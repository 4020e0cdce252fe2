// The volumes of this node, as the Engine API needs them.
//
// What is asked is answered from the agent's own table, so that `docker volume ls` never waits for
// a driver. A volume belongs to one driver, is kept until it is removed, and can't be removed while
// a container has it. All on the daemon's loop.
//
// Errors are in Docker's words: an unknown volume is not_found "get X: no such volume"; one that is
// in use is conflict; an unknown driver is not_found and names it; what a driver says comes with
// the driver's name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::agent {

struct Volume {
  std::string name;
  std::string driver;  // "local", or a plugin's id
  std::map<std::string, std::string> options;
  model::Labels labels;
  model::WallTime created_at;
  std::string path;   // where the data are on the node; empty: not told before it is in use
  std::string scope;  // "local" or "global"
  std::set<std::string> holders;  // ids of the containers that have it
};

struct VolumeWish {
  std::string name;    // empty: one is made up, and the volume is labelled as anonymous
  std::string driver;  // as the user named it; empty: local, or whose the volume is already
  std::map<std::string, std::string> options;
  model::Labels labels;
};

// Docker's mark of a volume that nobody named; `volume prune` takes these alone by default.
inline constexpr const char* kAnonymousVolumeLabel = "com.docker.volume.anonymous";

class Volumes {
 public:
  virtual ~Volumes() = default;

  virtual std::vector<Volume> list() const = 0;  // by name
  virtual Result<Volume> find(std::string_view name) const = 0;

  // The one there is when its driver is the same, whatever its options: as Docker has it.
  virtual boost::asio::awaitable<Result<Volume>> create(VolumeWish wish) = 0;
  // The data are gone afterwards. `force`: also when they can't be reached, or when the driver
  // isn't there any more; never while a container has it. An unknown one is success with it.
  virtual boost::asio::awaitable<Status> remove(std::string name, bool force) = 0;
  // Bytes that its data take. May take long.
  virtual boost::asio::awaitable<Result<int64_t>> usage(std::string name) = 0;

  // The drivers of this node, as users name them.
  virtual std::vector<std::string> drivers() const = 0;
};

}  // namespace skep::agent
