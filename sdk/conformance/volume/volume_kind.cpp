// A volume's life: create, publish to one holder, look, unpublish, remove.
//
// The profile's "volume" member tells what create needs: {"create": {"options": {..}, ..}} and, for
// the cases that want a refusal, {"other_create": {..}, "bad_option": {"name": .., "value": ..}}.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/volume/volume_kind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "sdk/conformance/child.hpp"

namespace skep::conformance {
namespace {

constexpr int64_t other_capacity_bytes = int64_t{7} << 20;
constexpr std::chrono::milliseconds deletion_interval{10};
constexpr std::chrono::seconds deletion_patience{5};  // a few files of the kit's own

std::string record_of(const Run& run, const Object& object) {
  return run.scratch() + "/written-" + object.id;
}

// What bears a name with `ours` in it. What vanishes while it is looked at makes the list one that
// must be made again.
std::vector<std::string> on_disk(const std::string& folder, const std::string& ours) {
  std::vector<std::string> found;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::recursive_directory_iterator();
       entry.increment(error)) {
    if (entry->path().filename().string().find(ours) != std::string::npos) {
      found.push_back("on disk: " + entry->path().string());
    }
  }
  if (error) found.push_back("on disk: " + folder + " can't be listed: " + error.message());
  return found;
}

class VolumeKind : public Kind {
 public:
  std::string_view name() const override { return "volume"; }
  Status prepare(Run&) const override { return {}; }

  Result<Object> object(Run& run, int number) const override {
    Object made;
    made.id = fmt::format("kit-{}-{}", run.unique(), number);
    made.memory["create"] = volume_create(run, made.id);
    return made;
  }

  std::vector<Step> life(const Driver& driver) const override {
    const auto named = [](const Object& object) {
      return json{{"volume", object.id}, {"handle", object.handle}};
    };
    const auto held = [named](const Object& object) {
      json request = named(object);
      request["holder"] = object.id + "-holder";
      request["holders"] = json::array();
      return request;
    };
    const auto only = [](const Object& object) { return json{{"volume", object.id}}; };
    const auto nothing = [](const Object&) { return json::object(); };
    using Place = Step::Place;
    const std::vector<Step> all{
        {Place::up, &volume("create"), [](const Object& o) { return o.memory.at("create"); }, {}},
        {Place::up, &volume("stage"), named, {}},
        {Place::up, &volume("publish"), held, {}},
        {Place::read, &volume("get"), only, {}},
        {Place::read, &volume("list"), nothing, {}},
        {Place::read, &volume("validate"), nothing, {}},
        {Place::read, &volume("usage"), only, {"available_bytes", "used_bytes"}},
        {Place::read, &volume("mounts"), nothing, {}},
        {Place::down, &volume("unpublish"), held, {}},
        {Place::down, &volume("unstage"), named, {}},
        {Place::down, &volume("remove"), named, {}},
    };
    std::vector<Step> present;
    std::ranges::copy_if(all, std::back_inserter(present),
                         [&](const Step& step) { return driver.has(*step.operation); });
    return present;
  }

  json restore_request(const Object& object, const std::vector<std::string>& done) const override {
    const bool held = std::ranges::find(done, "publish") != done.end();
    return {{"id", object.id},
            {"handle", object.handle},
            {"holders", held ? json::array({object.id + "-holder"}) : json::array()}};
  }

  json altered(const Object& object) const override {
    json other = object.memory.at("create");
    if (other.contains("capacity_bytes")) {
      other["capacity_bytes"] = other["capacity_bytes"].get<int64_t>() + other_capacity_bytes;
    } else {
      other["capacity_bytes"] = other_capacity_bytes;
    }
    return other;
  }

  Result<std::vector<std::string>> existing(Run& run, Driver& driver) const override {
    const Outcome listed = driver.call(volume("list"), json::object());
    SKEP_TRY(run.ok(listed));
    std::vector<std::string> ids;
    for (const json& one : listed.member("volumes")) {
      const std::string id = one.at("volume").get<std::string>();
      if (id.starts_with("kit-" + run.unique())) ids.push_back(id);
    }
    return ids;
  }

  std::vector<std::string> left_over(Run& run, Driver& driver) const override {
    std::vector<std::string> found;
    const std::string ours = "kit-" + run.unique();
    const Outcome mounts = driver.call(volume("mounts"), json::object());
    for (const json& one : mounts.member("mounts")) {
      if (one.at("volume").get<std::string>().starts_with(ours)) {
        found.push_back("mounts tells of " + one.dump());
      }
    }
    for (const std::string& mount : mounts_below(driver.folder())) {
      found.push_back("mounted: " + mount);
    }
    // A driver may delete in the background what it has removed, but it must get there.
    const auto until = std::chrono::steady_clock::now() + deletion_patience;
    std::vector<std::string> files = on_disk(driver.folder(), ours);
    while (!files.empty() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(deletion_interval);
      files = on_disk(driver.folder(), ours);
    }
    found.insert(found.end(), files.begin(), files.end());
    return found;
  }

  // A volume that is published has its folder, mounted at most once, with what was written into it.
  std::vector<std::string> wrong_with(Run& run, Driver&, const Object& object,
                                      const std::vector<std::string>& done) const override {
    if (std::ranges::find(done, "publish") == done.end()) return {};
    const std::string path = object.replies.at("publish").value("path", "");
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      return {fmt::format("the published path {} is no folder", path)};
    }
    const std::vector<std::string> mounts = mounts_below(path);
    if (std::ranges::count(mounts, path) > 1) return {fmt::format("{} is mounted twice", path)};
    const std::string marker = path + "/kit-marker";
    if (!std::filesystem::exists(record_of(run, object))) {
      std::ofstream(marker) << object.id;
      std::ofstream(record_of(run, object)) << marker;
      return {};
    }
    std::string text;
    std::getline(std::ifstream(marker) >> std::ws, text);
    if (text != object.id) return {fmt::format("what was written to {} is lost", marker)};
    return {};
  }

  std::vector<Case> cases() const override {
    std::vector<Case> all;
    for (const std::vector<Case>& some :
         {volume_publish_cases(), volume_object_cases(), volume_restart_cases()}) {
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
};

}  // namespace

const host::Operation& volume(std::string_view name) {
  const host::Operation* const found = host::find_operation(SKEP_VOLUME_1, name);
  SKEP_ASSERT(found != nullptr, "an operation of skep.volume/1");
  return *found;
}

json volume_create(const Run& run, const std::string& name) {
  json request = run.fact("volume", json::object()).value("create", json::object());
  request["volume"] = name;
  return request;
}

const Kind& volume_kind() {
  static const VolumeKind kind;
  return kind;
}

}  // namespace skep::conformance
