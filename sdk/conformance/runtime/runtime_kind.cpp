// A container's life: create, start, look, stop, remove; and the tools of the runtime's cases.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/runtime/runtime_kind.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "sdk/conformance/engine.hpp"
#include "sdk/conformance/namespaces.hpp"

namespace skep::conformance {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int64_t mark_patience_ms = 15'000;
constexpr auto look_interval = 10ms;
constexpr int64_t cgroup_patience_ms =
    5'000;  // the kernel takes a dead process out of it in its own time
constexpr int killed = 137;
constexpr int objects_max = 64;  // of one case of the generic ones
constexpr int64_t log_bytes = int64_t{1} << 20;

const host::Operation& operation(std::string_view interface, std::string_view name) {
  const host::Operation* const found = host::find_operation(interface, name);
  SKEP_ASSERT(found != nullptr, "an operation of the runtime's interfaces");
  return *found;
}

json profile(const Run& run) {
  return run.fact("runtime", json::object());
}

std::string cgroup_parent(const Run& run) {
  return profile(run).value("cgroup_parent", std::string("/skep-conformance"));
}

std::string netns_path(const Run& run, int number) {
  return fmt::format("{}/netns-{}", run.scratch(), number);
}

class RuntimeKind : public Kind {
 public:
  std::string_view name() const override { return "runtime"; }
  Status prepare(Run& run) const override { return runtime_possible(run); }

  Result<Object> object(Run& run, int number) const override {
    Object made;
    made.id = container_id(run, number);
    SKEP_TRY_ASSIGN(made.memory["create"], container_request(run, number, "exec sleep 1000"));
    made.memory["number"] = number;
    return made;
  }

  void clean_up(Run& run, const Object& object) const override {
    remove_netns(netns_path(run, object.memory.value("number", 0)));
  }

  std::vector<Step> life(const Driver&) const override {
    const auto only = [](const Object& object) { return json{{"id", object.id}}; };
    using Place = Step::Place;
    return {
        {Place::up, &runtime("create"), [](const Object& o) { return o.memory.at("create"); }, {}},
        {Place::up, &runtime("start"), only, {"pid", "started_at"}},
        {Place::read, &runtime("inspect"), only, {"pid", "started_at", "created_at"}},
        {Place::read,
         &runtime("list"),
         [](const Object&) { return json::object(); },
         {"containers"}},
        {Place::read,
         &runtime("stats"),
         [](const Object& o) {
           return json{{"ids", {o.id}}};
         },
         {"stats"}},
        {Place::down,
         &runtime("stop"),
         [](const Object& o) {
           return json{{"id", o.id}, {"grace_ms", 0}};
         },
         {}},
        {Place::down,
         &runtime("remove"),
         [](const Object& o) {
           return json{{"id", o.id}, {"force", true}};
         },
         {}},
    };
  }

  json altered(const Object& object) const override {
    json other = object.memory.at("create");
    other["hostname"] = "another";
    return other;
  }

  Result<std::vector<std::string>> existing(Run& run, Driver& driver) const override {
    const Outcome listed = driver.call(runtime("list"), json::object());
    SKEP_TRY(run.ok(listed));
    std::vector<std::string> ids;
    for (const json& one : listed.member("containers")) ids.push_back(one.at("id"));
    return ids;
  }

  std::vector<std::string> left_over(Run& run, Driver&) const override {
    std::vector<std::string> found;
    for (int number = 0; number < objects_max; ++number) {
      for (const std::string& folder : cgroups_of(run, container_id(run, number))) {
        found.push_back("the cgroup " + folder);
      }
    }
    return found;
  }

  // A container that a failed case left keeps its cgroup and its processes, and is in the next
  // cases' lists.
  Status take_leavings_away(Run& run) const override {
    SKEP_TRY(runtime_possible(run));
    SKEP_TRY_ASSIGN(Driver* const driver, run.started("leavings"));
    const Outcome listed = driver->call(runtime("list"), json::object());
    SKEP_TRY(run.ok(listed));
    for (const json& one : listed.member("containers")) {
      const json spec = one.value("spec", json::object());
      if (!spec.value("netns", std::string()).starts_with(run.scratch() + "/")) continue;
      SKEP_TRY(remove_container(run, *driver, one.at("id")));
    }
    return {};
  }

  // One that was started and not stopped has its one process, which inspect names. A stop that was
  // cut off may have come through.
  std::vector<std::string> wrong_with(Run& run, Driver& driver, const Object& object,
                                      const std::vector<std::string>& done) const override {
    if (std::ranges::find(done, "start") == done.end()) return {};
    const std::vector<pid_t> running = processes_of(run, object.id);
    const Outcome seen = driver.call(runtime("inspect"), {{"id", object.id}});
    if (!seen.ok()) return {"inspect comes to " + described(seen)};
    const bool cut_off = run.circumstance().ends_with("into stop");
    if (running.empty() && cut_off && seen.reply.value("exit_code", 0) == killed) return {};
    const pid_t told = seen.reply.value("pid", 0);
    const pid_t started = object.replies.at("start").value("pid", 0);
    if (running == std::vector{started} && told == started) return {};
    return {fmt::format("its processes are [{}], inspect says {}, start had said {}",
                        fmt::join(running, " "), told, started)};
  }

  bool separate(Run&, Driver&) const override { return false; }

  std::vector<Case> cases() const override {
    std::vector<Case> all;
    for (std::vector<Case> part :
         {runtime_run_cases(), runtime_stop_cases(), runtime_watch_cases(), runtime_exec_cases(),
          runtime_image_cases(), runtime_restart_cases(), runtime_crash_cases()}) {
      std::ranges::move(part, std::back_inserter(all));
    }
    return all;
  }
};

}  // namespace

const host::Operation& runtime(std::string_view name) {
  return operation(SKEP_RUNTIME_1, name);
}
const host::Operation& runtime_exec(std::string_view name) {
  return operation(SKEP_RUNTIME_EXEC_1, name);
}
const host::Operation& runtime_images(std::string_view name) {
  return operation(SKEP_RUNTIME_IMAGES_1, name);
}

Status runtime_possible(Run& run) {
  if (geteuid() != 0) return run.skip("containers need root");
  if (!profile(run).contains("image")) {
    return run.skip("the profile names no image: {\"runtime\": {\"image\": ..}}");
  }
  return {};
}

std::string container_id(const Run& run, int number) {
  std::string id;
  for (const char letter : run.unique()) id += fmt::format("{:02x}", letter);
  return fmt::format("{}{:0{}x}", id, number, 64 - id.size());
}

std::string marks(const Run& run, int number) {
  return fmt::format("{}/marks-{}", run.scratch(), number);
}

Result<json> container_request(Run& run, int number, const std::string& script) {
  const std::string netns = netns_path(run, number);
  SKEP_TRY(make_netns(netns));
  fs::create_directories(marks(run, number));
  fs::permissions(marks(run, number), fs::perms::all);
  return json{
      {"id", container_id(run, number)},
      {"image", profile(run).at("image")},
      {"command", {"sh", "-c", script}},
      {"netns", netns},
      {"hostname", "conformance"},
      {"cgroup_parent", cgroup_parent(run)},
      {"mounts", {{{"type", "bind"}, {"source", marks(run, number)}, {"target", "/marks"}}}},
      {"log",
       {{"dir", fmt::format("{}/log-{}", run.scratch(), number)},
        {"max_bytes", log_bytes},
        {"max_files", 2}}}};
}

Status await_mark(Run& run, int number, const std::string& name) {
  const std::string file = marks(run, number) + "/" + name;
  const auto until = Clock::now() + at_most(run.plugin(), mark_patience_ms);
  while (!fs::exists(file)) {
    SKEP_TRY(run.that(Clock::now() < until, "the container's program comes to " + name,
                      "it did not in its time"));
    std::this_thread::sleep_for(look_interval);
  }
  return {};
}

Result<std::string> run_container(Run& run, Driver& driver, int number, const std::string& script) {
  SKEP_TRY_ASSIGN(const json request, container_request(run, number, script));
  SKEP_TRY(run.ok(driver.call(runtime("create"), request)));
  SKEP_TRY(run.ok(driver.call(runtime("start"), {{"id", request.at("id")}})));
  return request.at("id").get<std::string>();
}

Result<json> inspected(Run& run, Driver& driver, const std::string& id) {
  const Outcome seen = driver.call(runtime("inspect"), {{"id", id}});
  SKEP_TRY(run.ok(seen));
  return seen.reply;
}

Outcome waited(Driver& driver, const std::string& id, int64_t patience_ms) {
  CallOptions options;
  options.patience_ms = patience_ms;
  return driver.call(runtime("wait"), {{"id", id}}, options);
}

Status remove_container(Run& run, Driver& driver, const std::string& id) {
  SKEP_TRY(run.ok(driver.call(runtime("remove"), {{"id", id}, {"force", true}})));
  return nothing_left(run, driver, id);
}

Status nothing_left(Run& run, Driver& driver, const std::string& id) {
  const Outcome listed = driver.call(runtime("list"), json::object());
  SKEP_TRY(run.ok(listed));
  for (const json& one : listed.member("containers")) {
    SKEP_TRY(run.that(one.at("id") != id, "a removed container is in no list", "it is", listed));
  }
  const auto until = Clock::now() + at_most(run.plugin(), cgroup_patience_ms);
  while (!cgroups_of(run, id).empty()) {
    SKEP_TRY(run.that(Clock::now() < until, "no cgroup of a removed container",
                      fmt::format("{} with {} processes", cgroups_of(run, id).front(),
                                  processes_of(run, id).size())));
    std::this_thread::sleep_for(look_interval);
  }
  return {};
}

std::vector<std::string> cgroups_of(const Run& run, const std::string& id) {
  const fs::path root = "/sys/fs/cgroup";
  const std::string below = cgroup_parent(run) + "/" + id;
  std::vector<std::string> found;
  std::error_code error;
  std::vector<fs::path> roots{root};
  if (!fs::exists(root / "cgroup.controllers", error)) {
    for (const auto& entry : fs::directory_iterator(root, error)) {
      if (entry.is_directory(error) && !entry.is_symlink(error)) roots.push_back(entry.path());
    }
  }
  for (const fs::path& hierarchy : roots) {
    const std::string folder = hierarchy.string() + below;
    if (fs::exists(folder, error)) found.push_back(folder);
  }
  return found;
}

std::vector<pid_t> processes_of(const Run& run, const std::string& id) {
  std::set<pid_t> found;
  for (const std::string& folder : cgroups_of(run, id)) {
    std::ifstream list(folder + "/cgroup.procs");
    for (pid_t pid = 0; list >> pid;) found.insert(pid);
  }
  return {found.begin(), found.end()};
}

const Kind& runtime_kind() {
  static const RuntimeKind kind;
  return kind;
}

}  // namespace skep::conformance
