// A volume driver in C++: derive from VolumeDriver, override what the driver does, close with
// SKEP_PLUGIN.
//
// skep/volume.h says what each operation must do; the structs here carry the same members. What a
// driver can't get wrong here, because it is done for it: the holders the host last told (a volume
// that is held is not removed: SKEP_E_BUSY, by name), a sharing it has not (SKEP_E_UNIMPLEMENTED),
// paging of the list, and that taking away what isn't there has done its work. What remains its
// own: that create with the same arguments gives the same answer and with others SKEP_E_EXISTS, and
// that an error leaves nothing behind.
//
// Methods return the reply or throw Failure with a code; see driver.hpp for other exceptions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/cpp/base.hpp"
#include "skep/volume.h"

namespace skep::sdk {

struct VolumeCapabilities {
  std::string scope = "local";                 // or "global"
  std::vector<std::string> sharing = {"all"};  // "all" always; "readonly", "onewriter", "none"
};

struct ValidateVolume {
  TextMap options = {};
  std::optional<int64_t> capacity_bytes = std::nullopt;
  std::string sharing = "all";
};

struct CreateVolume {
  std::string volume = {};
  TextMap options = {};
  std::optional<int64_t> capacity_bytes = std::nullopt;
  std::string sharing = "all";
  Secrets secrets = {};
};

struct CreatedVolume {
  json handle = json::object();  // what the host keeps and gives back; put a version number into it
  std::optional<int64_t> capacity_bytes = std::nullopt;
};

struct RemoveVolume {
  std::string volume = {};
  json handle = {};
  bool force = false;
};

struct Volume {
  std::string volume = {};
  json handle = json::object();  // as create answered it
  TextMap options = {};
  std::optional<int64_t> capacity_bytes = std::nullopt;
  std::string path = {};  // as publish answers it; empty when it differs from holder to holder
  json status = json::object();  // anything for a person
};

struct PublishVolume {
  std::string volume = {};
  json handle = {};
  std::string holder = {};
  std::vector<std::string> holders = {};  // all the others
  bool read_only = false;
  Secrets secrets = {};
};

struct UnpublishVolume {
  std::string volume = {};
  json handle = {};
  std::string holder = {};
  std::vector<std::string> holders = {};  // who remains
};

struct VolumeUsage {
  int64_t used_bytes = 0;
  std::optional<int64_t> available_bytes = std::nullopt;
};

struct VolumeMount {
  std::string volume = {};
  std::string path = {};
};

struct RestoreVolume {
  std::string volume = {};
  json handle = {};
  std::vector<std::string> holders = {};
};

struct StageVolume {
  std::string volume = {};
  json handle = {};
};

struct VolumeNode {
  std::string node = {};
  TextMap topology = {};
};

struct AttachVolume {
  std::string volume = {};
  json handle = {};
  std::string node = {};
};

struct DetachVolume {
  std::string volume = {};
  json handle = {};
  std::string node = {};
  bool force = false;
  bool fenced = false;
};

struct ExpandVolume {
  std::string volume = {};
  json handle = {};
  int64_t capacity_bytes = 0;
};

struct VolumeSpace {
  std::optional<int64_t> total_bytes = std::nullopt;
  int64_t available_bytes = 0;
};

// What the files below `path` occupy, and what their file system still has for them. Each file
// counts once, however many names it has; what vanishes meanwhile does not count. Throws
// std::system_error for what can't be looked at, instead of a number that is too small, and ends as
// end_if_unwanted() does when it is called by a driver's method that nobody waits for any more.
inline VolumeUsage folder_usage(const std::string& path) {
  VolumeUsage usage;
  std::set<std::pair<dev_t, ino_t>> seen;
  const auto vanished = [](int number) { return number == ENOENT || number == ENOTDIR; };
  std::vector<std::string> folders;  // to come; one is open at a time, however deep they lie
  const auto count = [&](const std::string& file) {
    end_if_unwanted();
    struct stat entry = {};
    if (lstat(file.c_str(), &entry) != 0) {
      if (vanished(errno)) return;
      throw std::system_error(errno, std::generic_category(), file);
    }
    if (S_ISDIR(entry.st_mode)) folders.push_back(file);
    if (entry.st_nlink > 1 && !seen.emplace(entry.st_dev, entry.st_ino).second) return;
    usage.used_bytes += int64_t{entry.st_blocks} * 512;
  };
  count(path);
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    std::error_code error;
    std::filesystem::directory_iterator entry(folder, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      count(entry->path());
    }
    if (error && !vanished(error.value())) throw std::system_error(error, folder);
  }
  struct statvfs space = {};
  if (statvfs(path.c_str(), &space) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  usage.available_bytes = static_cast<int64_t>(space.f_bavail * space.f_frsize);
  return usage;
}

class VolumeDriver : public BaseDriver {
 public:
  static constexpr const char* plugin_interfaces = SKEP_BASE_1 " " SKEP_VOLUME_1;

  virtual VolumeCapabilities capabilities() { return {}; }
  // Whether create would take these; changes nothing. Runs before every create too, so it is the
  // one place that refuses an option. The default knows no option and no capacity.
  virtual void validate(const ValidateVolume& request) {
    only_known_options(request.options, {});
    if (request.capacity_bytes) {
      throw Failure(SKEP_E_INVALID, "\"capacity_bytes\": this driver can't limit a volume's size");
    }
  }
  virtual CreatedVolume create(const CreateVolume& request) = 0;
  // Nobody holds it. SKEP_E_NOTFOUND counts as done, here and in unpublish.
  virtual void remove(const RemoveVolume& request) = 0;
  // Every volume of this driver, in any order.
  virtual std::vector<Volume> list() = 0;
  // SKEP_E_NOTFOUND when there is none. The default looks for it in the list.
  virtual Volume get(const std::string& volume) {
    for (Volume& entry : list()) {
      if (entry.volume == volume) return std::move(entry);
    }
    throw Failure(SKEP_E_NOTFOUND, "there is no volume " + volume);
  }
  // The folder where the volume's data is, for one more holder.
  virtual std::string publish(const PublishVolume& request) = 0;
  // One holder less. With request.holders empty it was the last.
  virtual void unpublish(const UnpublishVolume& request) { (void)request; }
  // The default counts the files below the path that get() gives, for as long as it is waited for.
  virtual VolumeUsage usage(const std::string& volume) {
    const std::string path = get(volume).path;
    if (path.empty()) throw Failure(SKEP_E_UNIMPLEMENTED, "this driver does not count usage");
    return folder_usage(path);
  }
  // What this driver has mounted at this moment. The default is a driver that mounts nothing.
  virtual std::vector<VolumeMount> mounts() { return {}; }
  // After a start, for each volume the host knows. The default asks get() whether it is there.
  virtual void restore(const RestoreVolume& request) { (void)get(request.volume); }

  // Optional: without an override the driver does not have them.
  virtual void stage(const StageVolume&) { unimplemented(); }
  virtual void unstage(const StageVolume&) { unimplemented(); }
  virtual VolumeNode node_info() { unimplemented(); }
  virtual json attach(const AttachVolume&) { unimplemented(); }  // the context, or null
  // force comes with fenced: without it the operation is refused before it gets here.
  virtual void detach(const DetachVolume&) { unimplemented(); }
  virtual int64_t expand(const ExpandVolume&) { unimplemented(); }  // the capacity from now on
  virtual VolumeSpace capacity() { unimplemented(); }

  template <class D>
  static const void* table_of(std::string_view id) {
    if (id == SKEP_BASE_1) return base_table<D>();
    return id == SKEP_VOLUME_1 ? volume_table<D>() : nullptr;
  }

 protected:
  // Who holds a volume, as the host last said it. [any-thread]
  std::vector<std::string> holders_of(const std::string& volume) const {
    const std::scoped_lock lock(holders_lock_);
    const auto found = holders_.find(volume);
    return found == holders_.end() ? std::vector<std::string>() : found->second;
  }

 private:
  using Me = VolumeDriver;

  template <class D>
  static const skep_volume_1* volume_table() {
    static const skep_volume_1 table = {
        sizeof table,
        0,
        op<&Me::call_create>,
        op<&Me::call_remove>,
        op<&Me::call_get>,
        op<&Me::call_list>,
        op<&Me::call_validate>,
        op<&Me::call_publish>,
        op<&Me::call_unpublish>,
        op<&Me::call_usage>,
        op<&Me::call_mounts>,
        if_overridden<&D::stage, &Me::stage, &Me::call_stage>(),
        if_overridden<&D::unstage, &Me::unstage, &Me::call_unstage>(),
        if_overridden<&D::node_info, &Me::node_info, &Me::call_node_info>(),
        if_overridden<&D::attach, &Me::attach, &Me::call_attach>(),
        if_overridden<&D::detach, &Me::detach, &Me::call_detach>(),
        if_overridden<&D::expand, &Me::expand, &Me::call_expand>(),
        if_overridden<&D::capacity, &Me::capacity, &Me::call_capacity>()};
    return &table;
  }

  [[noreturn]] static void unimplemented() {
    throw Failure(SKEP_E_UNIMPLEMENTED, "this driver does not do that");
  }
  void set_holders(const std::string& volume, std::vector<std::string> holders) {
    const std::scoped_lock lock(holders_lock_);
    if (holders.empty()) {
      holders_.erase(volume);
    } else {
      holders_[volume] = std::move(holders);
    }
  }

  json capabilities_document() override {
    const VolumeCapabilities has = capabilities();
    return {{"scope", has.scope}, {"sharing", has.sharing}};
  }
  void restore_object(const Members& object) override {
    const RestoreVolume request = {object.id("id"), object.any("handle"), object.ids("holders")};
    restore(request);
    set_holders(request.volume, request.holders);
  }

  ValidateVolume checked(const Members& members) {
    ValidateVolume request = {members.text_map("options"), members.maybe_size("capacity_bytes"),
                              members.text("sharing", "all")};
    const std::vector<std::string> has = capabilities().sharing;
    if (std::find(has.begin(), has.end(), request.sharing) == has.end()) {
      throw Failure(SKEP_E_UNIMPLEMENTED,
                    "this driver has no volumes with the sharing \"" + request.sharing + "\"");
    }
    validate(request);
    return request;
  }
  json call_validate(const json& document) {
    check_in_service();
    checked(Members(document));
    return json::object();
  }
  json call_create(const json& document) {
    check_in_service();
    const Members members(document);
    std::string name = members.id("volume");
    ValidateVolume asked = checked(members);
    const CreateVolume request = {std::move(name), std::move(asked.options), asked.capacity_bytes,
                                  std::move(asked.sharing), members.secrets()};
    const CreatedVolume created = create(request);
    json reply = {{"handle", created.handle}};
    if (created.capacity_bytes) reply["capacity_bytes"] = *created.capacity_bytes;
    return reply;
  }
  json call_remove(const json& document) {
    check_in_service();
    const Members members(document);
    const RemoveVolume request = {members.id("volume"), members.any("handle"),
                                  members.boolean("force", false)};
    const std::vector<std::string> holders = holders_of(request.volume);
    if (!holders.empty()) {
      throw Failure(SKEP_E_BUSY, "volume " + request.volume + " is held by " + holders.front());
    }
    absent_is_done([&] { remove(request); });
    return json::object();
  }

  static json document_of(const Volume& volume) {
    json document = {{"volume", volume.volume}, {"handle", volume.handle}};
    if (!volume.options.empty()) document["options"] = volume.options;
    if (volume.capacity_bytes) document["capacity_bytes"] = *volume.capacity_bytes;
    if (!volume.path.empty()) document["path"] = volume.path;
    if (volume.status.is_object() && !volume.status.empty()) document["status"] = volume.status;
    return document;
  }
  json call_get(const json& document) {
    check_in_service();
    return document_of(get(Members(document).id("volume")));
  }
  // By name, and the token is the last name that was told: so a volume that exists all the time is
  // told once, whatever comes and goes around it.
  json call_list(const json& document) {
    check_in_service();
    const Members members(document);
    const int64_t most = members.integer_within("max", std::numeric_limits<int64_t>::max(), 1,
                                                std::numeric_limits<int64_t>::max());
    const std::string after = members.text("token", "");
    std::vector<Volume> volumes = list();
    std::sort(volumes.begin(), volumes.end(),
              [](const Volume& a, const Volume& b) { return a.volume < b.volume; });
    json reply = {{"volumes", json::array()}};
    std::string last;
    for (const Volume& volume : volumes) {
      if (volume.volume <= after) continue;
      if (static_cast<int64_t>(reply["volumes"].size()) == most) {
        reply["next"] = last;
        break;
      }
      reply["volumes"].push_back(document_of(volume));
      last = volume.volume;
    }
    return reply;
  }

  json call_publish(const json& document) {
    check_in_service();
    const Members members(document);
    members.with({"holders"});
    const PublishVolume request = {members.id("volume"),
                                   members.any("handle"),
                                   members.id("holder"),
                                   members.ids("holders"),
                                   members.boolean("read_only", false),
                                   members.secrets()};
    const std::string path = publish(request);
    std::vector<std::string> holders = request.holders;
    if (std::find(holders.begin(), holders.end(), request.holder) == holders.end()) {
      holders.push_back(request.holder);
    }
    set_holders(request.volume, std::move(holders));
    return {{"path", path}};
  }
  json call_unpublish(const json& document) {
    check_in_service();
    const Members members(document);
    members.with({"holders"});
    const UnpublishVolume request = {members.id("volume"), members.any("handle"),
                                     members.id("holder"), members.ids("holders")};
    absent_is_done([&] { unpublish(request); });
    set_holders(request.volume, request.holders);
    return json::object();
  }
  json call_usage(const json& document) {
    check_in_service();
    const VolumeUsage counted = usage(Members(document).id("volume"));
    json reply = {{"used_bytes", counted.used_bytes}};
    if (counted.available_bytes) reply["available_bytes"] = *counted.available_bytes;
    return reply;
  }
  json call_mounts(const json&) {
    check_in_service();
    json list = json::array();
    for (const VolumeMount& mount : mounts()) {
      list.push_back({{"volume", mount.volume}, {"path", mount.path}});
    }
    return {{"mounts", std::move(list)}};
  }

  static StageVolume stage_request(const json& document) {
    const Members members(document);
    return {members.id("volume"), members.any("handle")};
  }
  json call_stage(const json& document) {
    check_in_service();
    stage(stage_request(document));
    return json::object();
  }
  json call_unstage(const json& document) {
    check_in_service();
    unstage(stage_request(document));
    return json::object();
  }
  json call_node_info(const json&) {
    check_in_service();
    const VolumeNode info = node_info();
    json reply = {{"node", info.node}};
    if (!info.topology.empty()) reply["topology"] = info.topology;
    return reply;
  }
  json call_attach(const json& document) {
    check_in_service();
    const Members members(document);
    json context = attach({members.id("volume"), members.any("handle"), members.id("node")});
    return context.is_null() ? json::object() : json{{"context", std::move(context)}};
  }
  json call_detach(const json& document) {
    check_in_service();
    const Members members(document);
    const DetachVolume request = {members.id("volume"), members.any("handle"), members.id("node"),
                                  members.boolean("force", false),
                                  members.boolean("fenced", false)};
    if (request.force && !request.fenced) {
      throw Failure(SKEP_E_PRECONDITION, "\"force\" without \"fenced\": node " + request.node +
                                             " may still write to volume " + request.volume);
    }
    detach(request);
    return json::object();
  }
  json call_expand(const json& document) {
    check_in_service();
    const Members members(document);
    return {
        {"capacity_bytes", expand({members.id("volume"), members.any("handle"),
                                   members.integer_within("capacity_bytes", 1,
                                                          std::numeric_limits<int64_t>::max())})}};
  }
  json call_capacity(const json&) {
    check_in_service();
    const VolumeSpace space = capacity();
    json reply = {{"available_bytes", space.available_bytes}};
    if (space.total_bytes) reply["total_bytes"] = *space.total_bytes;
    return reply;
  }

  mutable std::mutex holders_lock_;
  std::map<std::string, std::vector<std::string>> holders_;
};

}  // namespace skep::sdk
