// volume-local: the volumes of one node, as Docker's local driver has them.
//
// A volume is a folder below the driver's own; with the options type, device and o something is
// mounted on that folder while somebody holds the volume. The state is the folders (folders.hpp)
// and the kernel's mounts (mounts.hpp), both of which outlive the driver, so a restart loses and
// repeats nothing. What was removed is out of sight at once and deleted in the background
// (sweeper.hpp), which a restart takes up again. Sharing is "all": every container of the node may
// hold a volume, and all may write.
//
// Calls for one volume never overlap; those for two share nothing but the file system and the
// choice of a quota's project (quota.hpp).
// SPDX-License-Identifier: Apache-2.0
#include <sys/statvfs.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "folders.hpp"
#include "mounts.hpp"
#include "options.hpp"
#include "quota.hpp"
#include "skep/cpp/volume.hpp"
#include "sweeper.hpp"

namespace skep::volume_local {
namespace {

namespace fs = std::filesystem;
using sdk::Failure;
using sdk::json;

constexpr const char* config_schema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "root": {"type": "string", "pattern": "^/",
             "description": "the folder of the volumes; default: volumes, below the driver's data"}
  }
})";

constexpr const char* options_schema = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "type": {"type": "string", "description": "what to mount: tmpfs, none (with o=bind), nfs, ..."},
    "device": {"type": "string", "description": "from where: a path, a server's export, tmpfs"},
    "o": {"type": "string", "description": "mount options, with commas"},
    "size": {"type": "string", "pattern": "^[0-9]+[kKmMgGtTpP]?[iI]?[bB]?$",
             "description": "the most it may hold; of a folder, where the file system has project quotas"}
  }
})";

class LocalVolumes final : public sdk::VolumeDriver {
 public:
  void configure(const sdk::Members& config, const sdk::Place& place) override {
    const fs::path root = config.text("root", place.data_dir + "/volumes");
    if (!root.is_absolute()) throw Failure(SKEP_E_INVALID, "\"config.root\" must be absolute");
    if (fs::create_directories(root)) fs::permissions(root, fs::perms(0701));
    folders_.emplace(fs::canonical(root));
    quota_.emplace(folders_->root());
  }

  sdk::Health probe() override {
    if (!folders_ || access(folders_->root().c_str(), W_OK) == 0) return {};
    return sdk::Health::broken(folders_->root() + ": " + std::strerror(errno));
  }

  void validate(const sdk::ValidateVolume& request) override {
    const Shape shape = shape_of(request.options, request.capacity_bytes);
    if (!shape.limit_bytes) return;
    const std::string why_not = quota_->why_not();
    if (why_not.empty()) return;
    throw Failure(SKEP_E_INVALID, (request.options.contains("size") ? "\"options.size\": "
                                                                    : "\"capacity_bytes\": ") +
                                      why_not);
  }

  sdk::CreatedVolume create(const sdk::CreateVolume& request) override {
    sdk::only_file_name(request.volume, "volume");
    const Shape shape = shape_of(request.options, request.capacity_bytes);
    sdk::CreatedVolume created;
    created.handle = handle();
    created.capacity_bytes = shape.capacity_bytes;
    if (const std::optional<Record> present = folders_->read(request.volume)) {
      if (present->options == request.options &&
          present->capacity_bytes == request.capacity_bytes) {
        return created;
      }
      throw Failure(SKEP_E_EXISTS, "volume " + request.volume + " exists with other options");
    }
    uint32_t project = 0;
    try {
      folders_->make(request.volume, {request.options, request.capacity_bytes},
                     [&](const std::string& data, Record& record) {
                       if (!shape.limit_bytes) return;
                       project = quota_->limit(data, *shape.limit_bytes);
                       record.project = project;
                     });
    } catch (...) {
      if (project != 0) quota_->release(project);
      throw;
    }
    return created;
  }

  void remove(const sdk::RemoveVolume& request) override {
    sdk::only_file_name(request.volume, "volume");
    uint32_t project = 0;
    try {
      if (const std::optional<Record> present = folders_->read(request.volume)) {
        project = present->project;
      }
    } catch (const Failure&) {
      if (!request.force) throw;
    }
    // Never through a mount: what is bound here is somebody else's.
    unmount_below(folders_->folder(request.volume), request.force);
    if (std::optional<std::string> old = folders_->take_away(request.volume)) {
      sweeper_.sweep(std::move(*old));
    }
    if (project != 0) quota_->release(project);
  }

  std::vector<sdk::Volume> list() override {
    std::vector<sdk::Volume> volumes;
    for (const std::string& name : folders_->names()) volumes.push_back(describe(name));
    return volumes;
  }

  sdk::Volume get(const std::string& volume) override {
    needed(volume);
    return describe(volume);
  }

  std::string publish(const sdk::PublishVolume& request) override {
    const Shape shape = shape_of_volume(request.volume);
    const std::string data = folders_->data(request.volume);
    if (shape.mount) mount_on(*shape.mount, data);
    return data;
  }

  void unpublish(const sdk::UnpublishVolume& request) override {
    needed(request.volume);
    if (request.holders.empty()) unmount_below(folders_->data(request.volume), false);
  }

  sdk::VolumeUsage usage(const std::string& volume) override {
    const Shape shape = shape_of_volume(volume);
    const std::string data = folders_->data(volume);
    if (!shape.mount || !mounts_below(data).empty()) return sdk::folder_usage(data);
    if (shape.mount->type == "tmpfs") return {};  // it is empty while nobody holds it
    throw Failure(SKEP_E_UNAVAILABLE, "volume " + volume + " is not mounted: nobody holds it");
  }

  std::vector<sdk::VolumeMount> mounts() override {
    std::vector<sdk::VolumeMount> all;
    const size_t prefix = folders_->root().size() + 1;
    for (const std::string& path : mounts_below(folders_->root())) {
      const std::string below = path.size() > prefix ? path.substr(prefix) : "";
      const std::string name = below.substr(0, below.find('/'));
      if (below == name + "/_data" && folders_->has(name)) all.push_back({name, path});
    }
    return all;
  }

  void restore(const sdk::RestoreVolume& request) override { needed(request.volume); }

  // Data that nobody named stays: to delete it is somebody's decision. Mounts without a holder and
  // what a crash left half done go.
  void restore_done(const std::vector<std::string>&) override {
    for (const sdk::VolumeMount& mount : mounts()) {
      if (!holders_of(mount.volume).empty()) continue;
      log(SKEP_LOG_INFO, "volume " + mount.volume + " is held by nobody and is unmounted");
      try {
        unmount_below(mount.path, false);
      } catch (const Failure& failure) {  // somebody's shell stands in it; the rest goes on
        log(SKEP_LOG_WARNING, "volume " + mount.volume + " stays mounted: " + failure.what());
      }
    }
    for (std::string& path : folders_->unfinished()) {
      log(SKEP_LOG_INFO, path + " was left half done and is removed");
      sweeper_.sweep(std::move(path));
    }
  }

  json dump() override {
    if (!folders_) return json::object();
    return {{"root", folders_->root()}, {"mounts", mounts_below(folders_->root())}};
  }

 private:
  static json handle() { return {{"version", 1}}; }

  void needed(const std::string& volume) const {
    sdk::only_file_name(volume, "volume");
    if (!folders_->has(volume)) {
      throw Failure(SKEP_E_NOTFOUND, "there is no volume " + volume);
    }
  }
  Shape shape_of_volume(const std::string& volume) const {
    needed(volume);
    const std::optional<Record> record = folders_->read(volume);
    if (!record) throw Failure(SKEP_E_NOTFOUND, "there is no volume " + volume);
    return shape_of(record->options, record->capacity_bytes);
  }
  // A volume whose record can't be read is listed all the same, with the reason.
  sdk::Volume describe(const std::string& name) const {
    sdk::Volume volume;
    volume.volume = name;
    volume.handle = handle();
    volume.path = folders_->data(name);
    try {
      const Record record = folders_->read(name).value_or(Record());
      volume.options = record.options;
      const Shape shape = shape_of(record.options, record.capacity_bytes);
      volume.capacity_bytes = shape.capacity_bytes;
      if (shape.mount) volume.status["mounted"] = !mounts_below(volume.path).empty();
    } catch (const Failure& failure) {
      volume.status["error"] = failure.what();
    }
    return volume;
  }

  std::optional<Folders> folders_;  // since configure
  std::optional<ProjectQuota> quota_;
  Sweeper sweeper_{[this](int32_t level, const std::string& line) { log(level, line); }};
};

}  // namespace
}  // namespace skep::volume_local

SKEP_PLUGIN(skep::volume_local::LocalVolumes, "volume-local", "0.1.0", .vendor = "skep",
            .config_schema = skep::volume_local::config_schema,
            .options_schema = skep::volume_local::options_schema);
