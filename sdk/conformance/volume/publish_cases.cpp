// Publish and unpublish, every cell of the table: same holder, another holder, an unknown volume,
// the last one gone, and what the volume's sharing forbids.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sdk/conformance/child.hpp"
#include "sdk/conformance/volume/volume_use.hpp"

namespace skep::conformance {
namespace {

constexpr Rule publish_rule{
    "volume.h publish",
    "publish answers a folder in the host's mount namespace; the same again is the same path, an "
    "unknown volume is NOTFOUND, and a holder that the sharing forbids is PRECONDITION"};
constexpr Rule unpublish_rule{
    "volume.h unpublish",
    "with nobody left what publish mounted is unmounted; an unknown holder or volume is success"};
constexpr Rule mounts_rule{"volume.h mounts",
                           "mounts tells what the driver has mounted at this moment"};

Status same_again(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome first = use.publish("c1", {});
  const Outcome again = use.publish("c1", {});
  SKEP_TRY(run.same(first, again));
  SKEP_TRY(use.check_folder(first));
  const auto count = std::ranges::count(mounts_below(first.text("path")), first.text("path"));
  return run.that(count <= 1, "the path mounted at most once",
                  fmt::format("it is mounted {} times", count), again);
}

// The host's, and writable: where the kit writes, the container will.
Status a_folder_of_the_host(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome published = use.publish("c1", {});
  SKEP_TRY(use.check_folder(published));
  SKEP_TRY(use.write(published.text("path"), "a"));
  SKEP_TRY(use.check_data(published.text("path"), "a"));
  const Outcome got = use.driver().call(volume("get"), {{"volume", use.name()}});
  SKEP_TRY(run.ok(got));
  const std::string path = got.text("path");
  return run.that(path.empty() || path == published.text("path"),
                  "get's path is the published one: " + published.text("path"), path, got);
}

Status handle_may_be_absent(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome published = use.driver().call(
      volume("publish"),
      {{"volume", use.name()}, {"handle", nullptr}, {"holder", "c1"}, {"holders", json::array()}});
  SKEP_TRY(use.check_folder(published));
  return run.ok(use.driver().call(
      volume("unpublish"), {{"volume", use.name()}, {"holder", "c1"}, {"holders", json::array()}}));
}

Status second_holder(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome first = use.publish("c1", {});
  SKEP_TRY(use.check_folder(first));
  SKEP_TRY(use.write(first.text("path"), "of c1"));
  const Outcome second = use.publish("c2", {"c1"});
  SKEP_TRY(use.check_folder(second));
  SKEP_TRY(use.check_data(second.text("path"), "of c1"));
  SKEP_TRY(use.write(second.text("path"), "of c2"));
  return use.check_data(first.text("path"), "of c2");
}

// The copy-command case: somebody holds it for a moment beside the one who works with it.
Status short_second_holder(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome first = use.publish("c1", {});
  SKEP_TRY(use.check_folder(first));
  const size_t mounted = mounts_below(first.text("path")).size();
  SKEP_TRY(use.write(first.text("path"), "a"));
  SKEP_TRY(run.ok(use.publish("copy", {"c1"})));
  SKEP_TRY(run.ok(use.unpublish("copy", {"c1"})));
  SKEP_TRY(use.check_data(first.text("path"), "a"));
  SKEP_TRY(run.that(mounts_below(first.text("path")).size() == mounted,
                    "what the first holder uses stays mounted", "it is not as before"));
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  return use.check_unmounted();
}

// The list is the truth, whatever a driver may have counted.
Status holders_are_the_hosts(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  SKEP_TRY(use.check_folder(use.publish("c1", {})));
  SKEP_TRY(run.ok(use.publish("c2", {"c1"})));
  run.when("c2 is gone without an unpublish of its own, and c1 is the last");
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  SKEP_TRY(use.check_unmounted());
  SKEP_TRY(run.ok(use.remove()));
  return {};
}

Status unknown_volume(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const json request{{"volume", "kit-" + run.unique() + "-none"},
                     {"handle", nullptr},
                     {"holder", "c1"},
                     {"holders", json::array()}};
  SKEP_TRY(run.fails(driver->call(volume("publish"), request), {SKEP_E_NOTFOUND}));
  SKEP_TRY(run.ok(driver->call(volume("unpublish"), request)));
  return run.that(run.kind().left_over(run, *driver).empty(), "nothing is left", "something is");
}

Status unknown_holder(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome published = use.publish("c1", {});
  SKEP_TRY(use.check_folder(published));
  SKEP_TRY(use.write(published.text("path"), "a"));
  SKEP_TRY(run.ok(use.unpublish("never", {"c1"})));
  return use.check_data(published.text("path"), "a");
}

Status last_one_unmounts(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome published = use.publish("c1", {});
  SKEP_TRY(use.check_folder(published));
  const std::string path = published.text("path");
  const std::vector<std::string> mounted = mounts_below(path);
  const bool is_mount = std::ranges::find(mounted, path) != mounted.end();
  SKEP_TRY(use.check_told_mounted(path, is_mount));
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  SKEP_TRY(use.check_unmounted());
  return use.check_told_mounted(path, false);
}

Status read_only_and_writer(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  SKEP_TRY(use.check_folder(use.publish("reader", {}, {{"read_only", true}})));
  const Outcome writer = use.publish("writer", {"reader"});
  SKEP_TRY(use.check_folder(writer));
  return use.write(writer.text("path"), "a");
}

// What the capabilities promise is kept, and what they don't is refused.
Status sharing(Run& run, const std::string& word) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const Outcome told = driver->call(base("capabilities"), json::object());
  SKEP_TRY(run.ok(told));
  const json words = told.reply.value("sharing", json::array({"all"}));
  const bool has = std::find(words.begin(), words.end(), word) != words.end();
  json request = volume_create(run, "kit-" + run.unique() + "-shared");
  request["sharing"] = word;
  const Outcome made = driver->call(volume("create"), request);
  if (!has) return run.fails(made, {SKEP_E_UNIMPLEMENTED});
  SKEP_TRY(run.ok(made));
  VolumeUse use(run, *driver, request.at("volume"), made.member("handle"));
  const bool readers_only = word == "readonly";
  SKEP_TRY(run.ok(use.publish("c1", {}, {{"read_only", readers_only}})));
  SKEP_TRY(run.ok(use.publish("c1", {}, {{"read_only", readers_only}})));  // the same again
  const Outcome writer = use.publish("c2", {"c1"});
  SKEP_TRY(run.fails(writer, {SKEP_E_PRECONDITION}));
  if (!readers_only) SKEP_TRY(run.fails_naming(writer, {SKEP_E_PRECONDITION}, "c1"));
  const Outcome reader = use.publish("c2", {"c1"}, {{"read_only", true}});
  return word == "none" ? run.fails(reader, {SKEP_E_PRECONDITION}) : run.ok(reader);
}

}  // namespace

std::vector<Case> volume_publish_cases() {
  std::vector<Case> all{
      {"volume.publish.same-again",
       "the same publish again is the same path",
       {publish_rule, rule(34)},
       same_again},
      {"volume.publish.folder",
       "the path is a folder of the host that can be written",
       {publish_rule},
       a_folder_of_the_host},
      {"volume.publish.no-handle",
       "publish and unpublish do without the handle",
       {publish_rule},
       handle_may_be_absent},
      {"volume.publish.second-holder",
       "a second holder sees the same data",
       {publish_rule},
       second_holder},
      {"volume.publish.short-holder",
       "a holder that comes and goes disturbs nobody",
       {rule(36), unpublish_rule},
       short_second_holder},
      {"volume.publish.hosts-count",
       "the list of holders is the host's",
       {rule(36)},
       holders_are_the_hosts},
      {"volume.publish.unknown",
       "an unknown volume is not found, and unpublished at once",
       {publish_rule, unpublish_rule},
       unknown_volume},
      {"volume.publish.read-only",
       "readers and writers share a volume",
       {publish_rule},
       read_only_and_writer},
      {"volume.unpublish.unknown-holder",
       "an unknown holder's unpublish takes nothing away",
       {unpublish_rule},
       unknown_holder},
      {"volume.unpublish.last",
       "the last unpublish unmounts, and mounts tells so",
       {unpublish_rule, mounts_rule},
       last_one_unmounts},
  };
  for (const std::string_view word : {"none", "onewriter", "readonly"}) {
    all.push_back({fmt::format("volume.sharing.{}", word),
                   fmt::format("sharing {} is kept, or refused by who has it not", word),
                   {publish_rule},
                   [word](Run& run) { return sharing(run, std::string(word)); }});
  }
  return all;
}

}  // namespace skep::conformance
