// Volumes in use while the driver's process ends and starts again.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/child.hpp"
#include "sdk/conformance/volume/volume_use.hpp"

namespace skep::conformance {
namespace {

constexpr Rule outlives{
    "volume.h restore",
    "a driver's mounts and data outlive it; after a restart it finds them again and never mounts "
    "twice"};

// Data is read where it was written, and the path is mounted once however often it is published.
Status data_outlives(Run& run, bool kill) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome before = use.publish("c1", {});
  SKEP_TRY(use.check_folder(before));
  const std::string path = before.text("path");
  SKEP_TRY(use.write(path, "written before"));
  const std::vector<std::string> mounted = mounts_below(path);
  for (const std::string_view which : {"first", "second"}) {
    run.when(fmt::format("after the {} restart", which));
    SKEP_TRY(use.restart(kill, {"c1"}));
    SKEP_TRY(use.check_data(path, "written before"));
    const Outcome again = use.publish("c1", {});
    SKEP_TRY(run.same(before, again));
    SKEP_TRY(use.check_data(path, "written before"));
    SKEP_TRY(run.that(mounts_below(path) == mounted,
                      fmt::format("{} mounts below the path", mounted.size()),
                      fmt::format("there are {}", mounts_below(path).size()), again));
  }
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  SKEP_TRY(use.check_unmounted());
  return run.ok(use.remove());
}

// Unmounted, mounted again, read; and gone with the volume.
Status data_stays_until_removed(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome first = use.publish("c1", {});
  SKEP_TRY(use.check_folder(first));
  SKEP_TRY(use.write(first.text("path"), "a"));
  const bool kept = run.fact("volume", json::object()).value("keeps_data", true);
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  const Outcome again = use.publish("c2", {});
  SKEP_TRY(use.check_folder(again));
  if (kept) SKEP_TRY(use.check_data(again.text("path"), "a"));
  SKEP_TRY(run.ok(use.unpublish("c2", {})));
  SKEP_TRY(run.ok(use.remove()));
  run.when("removed and made again under its name");
  SKEP_TRY_ASSIGN(VolumeUse anew, VolumeUse::create(run));
  const Outcome empty = anew.publish("c1", {});
  SKEP_TRY(anew.check_folder(empty));
  return run.that(!anew.check_data(empty.text("path"), "a").has_value(), "an empty volume",
                  "it has the data of the one that was removed", empty);
}

// A held volume is not removed, also when only restore told that it is held.
Status restored_holders(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  SKEP_TRY(use.check_folder(use.publish("c1", {})));
  SKEP_TRY(use.restart(false, {"c1"}));
  run.when("restore told of holder c1");
  SKEP_TRY(run.fails_naming(use.remove(), {SKEP_E_BUSY}, "c1"));
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  return run.ok(use.remove());
}

// And a volume that nobody holds any more is free, whatever the driver remembers.
Status restored_without_holders(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  SKEP_TRY(use.check_folder(use.publish("c1", {})));
  SKEP_TRY(use.restart(false, {}));
  run.when("restore told of no holder");
  SKEP_TRY(run.ok(use.remove()));
  SKEP_TRY(use.check_unmounted());
  return {};
}

}  // namespace

std::vector<Case> volume_restart_cases() {
  constexpr bool kills = true;
  return {
      {"volume.restart.data",
       "data and mounts outlive a restart in good order",
       {outlives, rule(35)},
       [](Run& run) { return data_outlives(run, !kills); }},
      {"volume.restart.data-killed",
       "data and mounts outlive a kill",
       {outlives, rule(35)},
       [](Run& run) { return data_outlives(run, kills); },
       kills},
      {"volume.restart.data-kept",
       "data stays until the volume is removed, and not longer",
       {outlives},
       data_stays_until_removed},
      {"volume.restart.holders",
       "holders that restore tells of hold",
       {rule(36)},
       restored_holders},
      {"volume.restart.no-holders",
       "a volume restored without holders is free",
       {rule(36)},
       restored_without_holders},
  };
}

}  // namespace skep::conformance
