// volume-dir: volumes as folders below the driver's own, which may be kept on another disk.
//
// A volume is DATA/NAME: what create made is what publish answers, whoever asks and however often.
// Nothing is mounted and nothing remembered, so a restart loses nothing. skep/volume.h is the
// contract.
// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "skep/cpp/volume.hpp"

namespace {

using namespace skep::sdk;
namespace fs = std::filesystem;

constexpr const char* config_schema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {"root": {"type": "string", "description": "where the folders are made"}}
})";

class Folders final : public VolumeDriver {
 public:
  void configure(const Members& config, const Place& place) override {
    root_ = config.text("root", place.data_dir);
    if (!root_.is_absolute()) throw Failure(SKEP_E_INVALID, "\"config.root\" must be absolute");
    fs::create_directories(root_);
  }
  CreatedVolume create(const CreateVolume& request) override {
    fs::create_directory(folder(request.volume));
    return {.handle = {{"version", 1}}};
  }
  void remove(const RemoveVolume& request) override { fs::remove_all(folder(request.volume)); }
  std::vector<Volume> list() override {
    std::vector<Volume> volumes;
    for (const fs::directory_entry& entry : fs::directory_iterator(root_)) {
      const std::string name = entry.path().filename();
      if (entry.is_directory()) {
        volumes.push_back({.volume = name, .handle = {{"version", 1}}, .path = entry.path()});
      }
    }
    return volumes;
  }
  std::string publish(const PublishVolume& request) override { return get(request.volume).path; }

 private:
  fs::path folder(const std::string& volume) const {
    only_file_name(volume, "volume");
    return root_ / volume;
  }
  fs::path root_;
};

}  // namespace

SKEP_PLUGIN(Folders, "volume-dir", "0.1.0", .config_schema = config_schema);
