// One volume in the hands of a case: short words for what holders do with it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/conformance/volume/volume_kind.hpp"

namespace skep::conformance {

class VolumeUse {
 public:
  // A started driver and a fresh volume of it.
  static Result<VolumeUse> create(Run& run, const std::string& suffix = "0");
  VolumeUse(Run& run, Driver& driver, std::string name, json handle)
      : run_(&run), driver_(&driver), name_(std::move(name)), handle_(std::move(handle)) {}

  Driver& driver() { return *driver_; }
  const std::string& name() const { return name_; }
  const json& handle() const { return handle_; }

  Outcome publish(const std::string& holder, const std::vector<std::string>& others,
                  const json& more = json::object());
  Outcome unpublish(const std::string& holder, const std::vector<std::string>& remaining);
  Outcome remove(const json& more = json::object());

  // The driver's process ends (killed when `kill`), starts again on its folders and is told of the
  // volume with these holders.
  Status restart(bool kill, const std::vector<std::string>& holders);

  // publish went well, and its path is a folder that is there.
  Status check_folder(const Outcome& published);
  Status write(const std::string& path, const std::string& text);
  Status check_data(const std::string& path, const std::string& text);
  // Nothing is mounted below the driver's folders.
  Status check_unmounted();
  // Whether mounts tells of the volume at this path.
  Status check_told_mounted(const std::string& path, bool mounted);

 private:
  Run* run_;
  Driver* driver_;
  std::string name_;
  json handle_;
};

}  // namespace skep::conformance
