// What holders do, as calls and files.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/volume/volume_use.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sdk/conformance/child.hpp"

namespace skep::conformance {
namespace {

constexpr std::string_view data_file = "/kit-data";

}  // namespace

Result<VolumeUse> VolumeUse::create(Run& run, const std::string& suffix) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const std::string name = fmt::format("kit-{}-{}", run.unique(), suffix);
  const Outcome made = driver->call(volume("create"), volume_create(run, name));
  SKEP_TRY(run.ok(made));
  return VolumeUse(run, *driver, name, made.member("handle"));
}

Outcome VolumeUse::publish(const std::string& holder, const std::vector<std::string>& others,
                           const json& more) {
  json request{{"volume", name_}, {"handle", handle_}, {"holder", holder}, {"holders", others}};
  request.update(more);
  return driver_->call(volume("publish"), request);
}

Outcome VolumeUse::unpublish(const std::string& holder, const std::vector<std::string>& remaining) {
  return driver_->call(
      volume("unpublish"),
      {{"volume", name_}, {"handle", handle_}, {"holder", holder}, {"holders", remaining}});
}

Outcome VolumeUse::remove(const json& more) {
  json request{{"volume", name_}, {"handle", handle_}};
  request.update(more);
  return driver_->call(volume("remove"), request);
}

Status VolumeUse::restart(bool kill, const std::vector<std::string>& holders) {
  if (kill) {
    driver_->kill();
  } else {
    driver_->drop();
  }
  SKEP_TRY(driver_->load());
  SKEP_TRY(run_->ok(driver_->configure()));
  SKEP_TRY(run_->ok(driver_->restore({{"id", name_}, {"handle", handle_}, {"holders", holders}})));
  SKEP_TRY(run_->ok(driver_->restore_done({name_})));
  return driver_->until_ready();
}

Status VolumeUse::check_folder(const Outcome& published) {
  SKEP_TRY(run_->ok(published));
  const std::string path = published.text("path");
  std::error_code error;
  return run_->that(path.starts_with('/') && std::filesystem::is_directory(path, error),
                    "an absolute path of a folder that is there", described(published), published);
}

Status VolumeUse::write(const std::string& path, const std::string& text) {
  std::ofstream file(path + std::string(data_file));
  file << text;
  file.close();
  return run_->that(file.good(), "a file can be written into the published folder",
                    path + " does not take it");
}

Status VolumeUse::check_data(const std::string& path, const std::string& text) {
  std::ifstream file(path + std::string(data_file));
  const std::string found{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return run_->that(
      file.is_open() && found == text, fmt::format("\"{}\" in {}{}", text, path, data_file),
      file.is_open() ? fmt::format("it has \"{}\"", found) : std::string("there is no such file"));
}

Status VolumeUse::check_unmounted() {
  const std::vector<std::string> mounts = mounts_below(driver_->folder());
  return run_->that(mounts.empty(), "nothing mounted with nobody left",
                    mounts.empty() ? "" : mounts.front() + " is");
}

Status VolumeUse::check_told_mounted(const std::string& path, bool mounted) {
  const Outcome told = driver_->call(volume("mounts"), json::object());
  SKEP_TRY(run_->ok(told));
  int count = 0;
  for (const json& one : told.member("mounts")) {
    if (one.value("volume", "") == name_ && one.value("path", "") == path) ++count;
  }
  return run_->that(count == (mounted ? 1 : 0),
                    fmt::format("{} {} in mounts", path, mounted ? "once" : "not"),
                    fmt::format("it is there {} times: {}", count, described(told)), told);
}

}  // namespace skep::conformance
