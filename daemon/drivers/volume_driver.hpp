// Volumes of this node, typed: the documents of skep/volume.h as structs, its operations as
// coroutines.
//
// Translation only, as in network_driver.hpp. Calls for one volume are ordered by its name. Every
// publish, unpublish and restore carries the complete list of holders, which the caller counts. All
// calls: on the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/restore_plan.hpp"

namespace skep::drivers {

class Plugin;

struct VolumeRequest {
  std::string volume;                          // its name
  std::map<std::string, std::string> options;  // of the user
};

// A volume as its driver knows it.
struct KnownVolume {
  std::string volume;
  std::string handle;  // opaque JSON text, for its RestorePlan
  std::map<std::string, std::string> options;
  std::string path;  // as published to every holder; empty: not the same for all
};

// Who uses a volume, told with every change of it.
struct VolumeHolding {
  std::string volume;
  std::string handle;                // of create(); empty: none known
  std::string holder;                // who comes or goes
  std::vector<std::string> holders;  // all the others
  bool read_only = false;            // publish() only
};

struct VolumePage {
  std::vector<KnownVolume> volumes;
  std::string next;  // token of the next page; empty: this was the last
};

// A volume in a RestorePlan, with all who hold it.
RestorePlan::Object restored_volume(const std::string& volume, const std::string& handle,
                                    const std::vector<std::string>& holders);

class VolumeDriver {
 public:
  template <class T>
  using Reply = boost::asio::awaitable<Result<T>>;

  // `plugin` must outlive this object.
  explicit VolumeDriver(Plugin& plugin);
  virtual ~VolumeDriver() = default;
  VolumeDriver(const VolumeDriver&) = delete;
  VolumeDriver& operator=(const VolumeDriver&) = delete;

  // "local" or "global", from the driver's capabilities.
  virtual Reply<std::string> scope();

  virtual Reply<std::string> create(VolumeRequest request);  // -> handle
  // `force`: also when the data can't be reached.
  virtual Reply<void> remove(std::string volume, std::string handle, bool force);
  virtual Reply<KnownVolume> get(std::string volume);
  // At most `max` of them, from where `token` left off.
  virtual Reply<VolumePage> list(int64_t max, std::string token);
  virtual Reply<std::string> publish(VolumeHolding holding);  // -> path on the node
  virtual Reply<void> unpublish(VolumeHolding holding);
  virtual Reply<int64_t> usage(std::string volume);  // -> bytes; may take long

  // Registers who knows the volumes and restores them, now and whenever the driver was started
  // anew (daemon/drivers/restore_plan.hpp). Their objects come from restored_volume().
  virtual Reply<void> restore_from(RestoreSource source);
  virtual void forget_source();

 protected:
  // For a stand-in that overrides every operation (tests of the rooms above).
  VolumeDriver() = default;

 private:
  Plugin* plugin_ = nullptr;
};

}  // namespace skep::drivers
