// Volumes as objects: removed, listed, validated, refused, and made on a full disk.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "sdk/conformance/volume/volume_use.hpp"

namespace skep::conformance {
namespace {

constexpr Rule remove_rule{"volume.h remove",
                           "a held volume is BUSY and its holder named; an unknown one is success"};
constexpr Rule list_rule{"volume.h list",
                         "at most max volumes a page, and one that exists throughout a walk is "
                         "listed once"};
constexpr Rule create_rule{
    "volume.h create",
    "an option it does not know or a bad value is INVALID and named; no space is EXHAUSTED; on an "
    "error nothing is left"};
constexpr Rule detach_rule{"volume.h detach", "force without fenced is PRECONDITION"};
constexpr Rule usage_rule{"volume.h usage", "used_bytes counts what is in the volume"};

constexpr std::string_view unknown_option = "kit-no-such-option";

Status held_is_busy(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome published = use.publish("holder-of-it", {});
  SKEP_TRY(use.check_folder(published));
  SKEP_TRY(use.write(published.text("path"), "a"));
  SKEP_TRY(run.fails_naming(use.remove(), {SKEP_E_BUSY}, "holder-of-it"));
  SKEP_TRY(use.check_data(published.text("path"), "a"));
  SKEP_TRY(run.ok(use.unpublish("holder-of-it", {})));
  return run.ok(use.remove());
}

Status unknown_is_success(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const std::string name = "kit-" + run.unique() + "-none";
  SKEP_TRY(run.ok(driver->call(volume("remove"), {{"volume", name}, {"handle", nullptr}})));
  return run.fails(driver->call(volume("get"), {{"volume", name}}), {SKEP_E_NOTFOUND});
}

Status get_and_list_agree(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome got = use.driver().call(volume("get"), {{"volume", use.name()}});
  SKEP_TRY(run.ok(got));
  SKEP_TRY(
      run.that(got.text("volume") == use.name(), "the volume's own name", described(got), got));
  SKEP_TRY(run.that(got.member("handle") == use.handle(),
                    "the handle that create gave: " + use.handle().dump(), described(got), got));
  const json wanted = volume_create(run, use.name()).value("options", json::object());
  SKEP_TRY(run.that(got.reply.value("options", wanted) == wanted,
                    "the options it was made with: " + wanted.dump(), described(got), got));
  const Outcome listed = use.driver().call(volume("list"), json::object());
  SKEP_TRY(run.ok(listed));
  const json volumes = listed.member("volumes");
  const auto found = std::ranges::find_if(
      volumes, [&](const json& one) { return one.value("volume", "") == use.name(); });
  SKEP_TRY(run.that(found != volumes.end(), "the volume in the list", described(listed), listed));
  return run.that(found->at("handle") == got.member("handle"), "the same handle as get's",
                  found->dump(), listed);
}

// A walk in pages of three, during which volumes come and go.
Status pages(Run& run) {
  constexpr int stay = 7;
  constexpr int most = 3;
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const auto name = [&](std::string_view kind, int i) {
    return fmt::format("kit-{}-{}{}", run.unique(), kind, i);
  };
  const auto make = [&](const std::string& volume_name) {
    return run.ok(driver->call(volume("create"), volume_create(run, volume_name)));
  };
  for (int i = 0; i < stay; ++i) SKEP_TRY(make(name("stay", i)));
  for (int i = 0; i < most; ++i) SKEP_TRY(make(name("leave", i)));
  std::map<std::string, int> seen;
  json request{{"max", most}};
  for (int page = 0; page < 10 * stay; ++page) {
    const Outcome listed = driver->call(volume("list"), request);
    SKEP_TRY(run.ok(listed));
    const json volumes = listed.member("volumes");
    SKEP_TRY(run.that(volumes.size() <= most, fmt::format("at most {} volumes", most),
                      fmt::format("{}", volumes.size()), listed));
    for (const json& one : volumes) ++seen[one.at("volume").get<std::string>()];
    if (listed.text("next").empty()) break;
    request["token"] = listed.text("next");
    // Names come before and behind where the walk stands, and then more go than came.
    if (page % 2 == 0) {
      SKEP_TRY(make(name("a-come", page)));
      SKEP_TRY(make(name("z-come", page)));
      continue;
    }
    for (int i = 0; i < most; ++i) {
      SKEP_TRY(run.ok(
          driver->call(volume("remove"), {{"volume", name("leave", i)}, {"handle", nullptr}})));
    }
  }
  for (int i = 0; i < stay; ++i) {
    SKEP_TRY(run.that(seen[name("stay", i)] == 1,
                      fmt::format("{} listed once in the walk", name("stay", i)),
                      fmt::format("it was listed {} times", seen[name("stay", i)])));
  }
  const Outcome whole = driver->call(volume("list"), json::object());
  SKEP_TRY(run.ok(whole));
  return run.that(whole.text("next").empty(), "all volumes without max", described(whole), whole);
}

Status unknown_option_is_named(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const std::string name = "kit-" + run.unique() + "-0";
  json request = volume_create(run, name);
  request["options"][std::string(unknown_option)] = "x";
  SKEP_TRY(
      run.fails_naming(driver->call(volume("create"), request), {SKEP_E_INVALID}, unknown_option));
  SKEP_TRY(run.fails(driver->call(volume("get"), {{"volume", name}}), {SKEP_E_NOTFOUND}));
  json asked = request;
  asked.erase("volume");
  SKEP_TRY(
      run.fails_naming(driver->call(volume("validate"), asked), {SKEP_E_INVALID}, unknown_option));
  const std::vector<std::string> left = run.kind().left_over(run, *driver);
  return run.that(left.empty(), "nothing is left of a refused volume",
                  left.empty() ? "" : left.front());
}

// The profile's "volume": {"bad_option": {"name": .., "value": ..}}.
Status bad_value_is_named(Run& run) {
  const json bad = run.fact("volume", json::object()).value("bad_option", json());
  if (!bad.is_object()) return run.skip("the profile has no \"volume\".\"bad_option\"");
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const std::string name = "kit-" + run.unique() + "-0";
  json request = volume_create(run, name);
  request["options"][bad.at("name").get<std::string>()] = bad.at("value");
  SKEP_TRY(run.fails_naming(driver->call(volume("create"), request), {SKEP_E_INVALID},
                            bad.at("name").get<std::string>()));
  return run.fails(driver->call(volume("get"), {{"volume", name}}), {SKEP_E_NOTFOUND});
}

Status validate_changes_nothing(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  json request = volume_create(run, "x");
  request.erase("volume");
  const Outcome before = driver->call(volume("list"), json::object());
  for (int i = 0; i < 2; ++i) SKEP_TRY(run.ok(driver->call(volume("validate"), request)));
  return run.same(before, driver->call(volume("list"), json::object()));
}

bool holds(const std::filesystem::path& file, const std::string& word) {
  std::ifstream stream(file);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  return text.find(word) != std::string::npos;
}

// Good calls and refused ones, with the log wide open; then every place a secret may have gone to.
Status secrets_are_kept(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const std::string secret = "kit-secret-" + run.unique() + run.unique();
  const std::string name = "kit-" + run.unique() + "-0";
  json create = volume_create(run, name);
  create["secrets"] = {{"password", secret}};
  json refused = create;
  refused["volume"] = name + "-refused";
  refused["options"][std::string(unknown_option)] = "x";
  const json held{{"volume", name},
                  {"handle", nullptr},
                  {"holder", "c1"},
                  {"holders", json::array()},
                  {"secrets", {{"password", secret}}}};
  std::vector<Outcome> outcomes{driver->call(volume("create"), create),
                                driver->call(volume("create"), refused),
                                driver->call(volume("publish"), held)};
  SKEP_TRY(run.ok(outcomes[0]));
  SKEP_TRY(run.ok(outcomes[2]));
  for (const std::string_view read : {"get", "list", "mounts", "usage"}) {
    outcomes.push_back(driver->call(volume(read), {{"volume", name}}));
  }
  outcomes.push_back(driver->call(base("dump"), json::object()));
  for (const Outcome& outcome : outcomes) {
    const bool told = outcome.error.find(secret) != std::string::npos ||
                      outcome.reply_text.find(secret) != std::string::npos;
    SKEP_TRY(run.that(!told, "an answer without the secret",
                      fmt::format("{} tells it", outcome.operation->name)));
  }
  driver->listen(50);
  for (const LogLine& line : driver->log()) {
    SKEP_TRY(run.that(line.text.find(secret) == std::string::npos, "no secret in the log",
                      "a line of level " + std::to_string(line.level) + " has it"));
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(driver->folder())) {
    if (!entry.is_regular_file()) continue;
    SKEP_TRY(run.that(!holds(entry.path(), secret), "no secret on disk",
                      entry.path().string() + " has it"));
  }
  return {};
}

// A name is the user's: it never leads out of the driver's folders.
Status names_stay_inside(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const std::string word = "kit-" + run.unique() + "-out";
  for (const std::string& name : {"../" + word, "../../" + word, "a/" + word, "/" + word,
                                  std::string(".."), std::string("."), std::string("")}) {
    const Outcome made = driver->call(volume("create"), volume_create(run, name));
    SKEP_TRY(run.that(made.ok() || made.status == SKEP_E_INVALID, "success or INVALID",
                      described(made), made));
    if (made.ok()) {
      const Outcome published = driver->call(volume("publish"), {{"volume", name},
                                                                 {"handle", made.member("handle")},
                                                                 {"holder", "c1"},
                                                                 {"holders", json::array()}});
      SKEP_TRY(run.ok(published));
    }
    for (const auto& place : {run.scratch(), driver->folder()}) {
      SKEP_TRY(run.that(!std::filesystem::exists(place + "/" + word),
                        "nothing outside run_dir and data_dir",
                        fmt::format("{}/{} was made", place, word), made));
    }
  }
  return {};
}

Status used_bytes_count(Run& run) {
  constexpr size_t bytes = size_t{1} << 20;
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  const Outcome published = use.publish("c1", {});
  SKEP_TRY(use.check_folder(published));
  const Outcome before = use.driver().call(volume("usage"), {{"volume", use.name()}});
  SKEP_TRY(run.ok(before));
  SKEP_TRY(use.write(published.text("path"), std::string(bytes, 'x')));
  const Outcome after = use.driver().call(volume("usage"), {{"volume", use.name()}});
  SKEP_TRY(run.ok(after));
  const auto used = [](const Outcome& outcome) {
    return outcome.reply.value("used_bytes", int64_t{0});
  };
  return run.that(used(after) - used(before) >= static_cast<int64_t>(bytes),
                  fmt::format("{} bytes more than before ({})", bytes, used(before)),
                  described(after), after);
}

Status detach_wants_fencing(Run& run) {
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run));
  if (!use.driver().has(volume("detach"))) return run.skip("the driver has no detach");
  const json request{
      {"volume", use.name()}, {"handle", use.handle()}, {"node", "n1"}, {"force", true}};
  return run.fails(use.driver().call(volume("detach"), request), {SKEP_E_PRECONDITION});
}

// In a mount namespace of this process: a small file system that holds the driver's folders.
Status small_disk(Run& run, const Driver& driver) {
  const std::string& folder = driver.folder();
  if (geteuid() != 0) return run.skip("a small file system can be mounted by root alone");
  const bool mounted = unshare(CLONE_NEWNS) == 0 &&
                       mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                       mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m,nr_inodes=64") == 0;
  if (mounted) {
    std::filesystem::create_directories(driver.run_dir());
    std::filesystem::create_directories(driver.data_dir());
    return {};
  }
  return run.skip(
      fmt::format("no small file system can be mounted here ({})", std::strerror(errno)));
}

// All its bytes and all its names are used up.
std::vector<std::string> fill(const std::string& folder) {
  std::vector<std::string> files;
  for (int i = 0;; ++i) {
    const std::string file = fmt::format("{}/kit-fill-{}", folder, i);
    std::ofstream stream(file);
    if (!stream) return files;
    files.push_back(file);
    const std::string block(64 << 10, 'x');
    while (stream.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
}

Status full_disk(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(small_disk(run, driver));
  SKEP_TRY_ASSIGN(VolumeUse before, VolumeUse::create(run, "before"));
  const std::vector<std::string> files = fill(driver.folder());
  run.when("the driver's disk is full");
  const std::string name = "kit-" + run.unique() + "-full";
  const Outcome made = driver.call(volume("create"), volume_create(run, name));
  SKEP_TRY(run.that(made.ok() || made.status == SKEP_E_EXHAUSTED, "EXHAUSTED, or success",
                    described(made), made));
  SKEP_TRY_ASSIGN(const std::vector<std::string> ids, run.kind().existing(run, driver));
  const bool listed = std::ranges::find(ids, name) != ids.end();
  SKEP_TRY(run.that(
      listed == made.ok(), "in the list what was made, and nothing else",
      listed ? "a volume whose create failed is listed" : "a volume that was made is not listed",
      made));
  for (const std::string& file : files) std::filesystem::remove(file);
  run.when("there is room again");
  SKEP_TRY_ASSIGN(VolumeUse use, VolumeUse::create(run, "full"));
  SKEP_TRY(use.restart(false, {}));
  const Outcome published = use.publish("c1", {});
  SKEP_TRY(use.check_folder(published));
  SKEP_TRY(run.ok(use.unpublish("c1", {})));
  SKEP_TRY(run.ok(use.remove()));
  SKEP_TRY(run.ok(before.remove()));
  const std::vector<std::string> left = run.kind().left_over(run, driver);
  const bool only_the_disk = std::ranges::all_of(
      left, [&](const std::string& line) { return line == "mounted: " + driver.folder(); });
  return run.that(only_the_disk, "nothing is left", left.empty() ? "" : left.back());
}

}  // namespace

std::vector<Case> volume_object_cases() {
  return {
      {"volume.remove.held", "a held volume is not removed", {remove_rule, rule(36)}, held_is_busy},
      {"volume.remove.unknown",
       "an unknown volume is removed and not found",
       {remove_rule},
       unknown_is_success},
      {"volume.get.agrees", "get, list and create tell the same", {list_rule}, get_and_list_agree},
      {"volume.list.pages",
       "a walk in pages under change lists each volume once",
       {list_rule},
       pages},
      {"volume.create.unknown-option",
       "an unknown option is refused by name, and nothing is left",
       {create_rule},
       unknown_option_is_named},
      {"volume.create.bad-option",
       "a bad value of an option is refused by name",
       {create_rule},
       bad_value_is_named},
      {"volume.create.names",
       "no name leads out of the driver's folders",
       {create_rule},
       names_stay_inside},
      {"volume.create.full-disk",
       "a full disk is told, and leaves nothing half-made",
       {create_rule},
       full_disk},
      {"volume.validate.nothing",
       "validate changes nothing",
       {create_rule},
       validate_changes_nothing},
      {"volume.secrets", "secrets are not told, logged or kept", {rule(20)}, secrets_are_kept},
      {"volume.usage", "what is written is counted", {usage_rule}, used_bytes_count},
      {"volume.detach.fencing",
       "a forced detach wants fencing",
       {detach_rule},
       detach_wants_fencing},
  };
}

}  // namespace skep::conformance
