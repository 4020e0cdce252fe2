// What is done with containers; the tables.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/wrong/containers.hpp"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace wrong_driver {

const char* const interfaces =
    SKEP_BASE_1 " " SKEP_RUNTIME_1 " " SKEP_RUNTIME_EXEC_1 " " SKEP_RUNTIME_IMAGES_1;
const char* const config_schema =
    R"({"type": "object", "properties": {"state": {"type": "string"}, "registry": {"type": "string"}}})";

namespace fs = std::filesystem;
using std::chrono::milliseconds;

namespace {

constexpr auto kill_patience = std::chrono::seconds(5);
// How long a mistake waits for what makes it plain.
constexpr auto mistake_patience = milliseconds(300);

}  // namespace

std::string time_text(const Moment& at) {
  tm parts{};
  const time_t seconds = at.seconds;
  gmtime_r(&seconds, &parts);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                at.nanoseconds);
  return text;
}

Moment now() {
  timespec at{};
  clock_gettime(CLOCK_REALTIME, &at);
  return {at.tv_sec, at.tv_nsec};
}

int signal_number(const std::string& text) {
  for (int number = 1; number < NSIG; ++number) {
    const char* const name = sigabbrev_np(number);
    if (text == std::to_string(number)) return number;
    if (name != nullptr && (text == name || text == std::string("SIG") + name)) return number;
  }
  throw Failure(SKEP_E_INVALID, "\"signal\": there is no signal " + text);
}

json known_of(const json& request, std::initializer_list<const char*> names) {
  json known = json::object();
  for (const char* const name : names) {
    if (request.contains(name)) known[name] = request.at(name);
  }
  return known;
}

std::string program_of(const std::vector<std::string>& argv, skep_status otherwise) {
  if (argv.empty()) throw Failure(SKEP_E_INVALID, "the command must name a program");
  if (argv[0].starts_with('/') && access(argv[0].c_str(), X_OK) == 0) return argv[0];
  std::istringstream folders(search_path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string path = folder + "/" + argv[0];
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  throw Failure(otherwise, "there is no program " + argv[0]);
}

std::string group_of(const json& spec) {
  return spec.value("cgroup_parent", "/skep-plain") + "/" + spec.at("id").get<std::string>();
}

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

namespace {

const std::initializer_list<const char*> create_members = {"id",
                                                           "image",
                                                           "command",
                                                           "args",
                                                           "env",
                                                           "working_dir",
                                                           "user",
                                                           "groups",
                                                           "hostname",
                                                           "tty",
                                                           "stdin_open",
                                                           "read_only",
                                                           "init",
                                                           "privileged",
                                                           "cap_add",
                                                           "cap_drop",
                                                           "sysctls",
                                                           "ulimits",
                                                           "oom_score_adj",
                                                           "netns",
                                                           "cgroup_parent",
                                                           "resources",
                                                           "mounts",
                                                           "labels",
                                                           "log"};

int64_t memory_of(const json& spec) {
  return spec.value("resources", json::object()).value("memory_bytes", int64_t{0});
}

// The folders of its control groups.
std::vector<std::string> groups_of(const json& spec) {
  const std::string path = group_of(spec);
  std::vector<std::string> all{process_group(path)};
  if (memory_of(spec) > 0 && memory_group(path) != all.front()) {
    all.push_back(memory_group(path));
  }
  return all;
}

}  // namespace

void Containers::restore_done(const std::vector<std::string>& named) {
  const std::set<std::string> listed(named.begin(), named.end());
  for (const std::string& id : ids()) {
    if (!listed.contains(id)) {
      forgotten_.insert(id);
      if (wrong("list-forgets-what-the-host-forgot")) {
        fs::rename(folder(id), state_ + "/.forgotten-" + id);
      }
    } else if (wrong("restore-done-deletes-what-was-named")) {
      take_away(id);
    }
  }
}

void Containers::restore_object(const Members& object) {
  const std::string id = object.id("id");
  if (!known(id) && wrong("restore-of-an-unknown-one-is-done")) return;
  needed(id);
  if (!wrong("restore-restarts") || !exit_of(folder(id))) return;
  fs::remove(folder(id) + "/exit");
  fs::remove(folder(id) + "/started");
  launch(launch_of(id));
}

bool Containers::known(const std::string& id) const {
  return id.find('/') == std::string::npos && !id.starts_with('.') && fs::exists(folder(id));
}

void Containers::needed(const std::string& id) const {
  if (known(id)) return;
  throw Failure(wrong("what-is-unknown-is-invalid") ? SKEP_E_INVALID : SKEP_E_NOTFOUND,
                "there is no container " + id);
}

std::vector<std::string> Containers::ids() const {
  std::vector<std::string> all;
  for (const auto& entry : fs::directory_iterator(state_)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with('.')) all.push_back(name);
  }
  return all;
}

json Containers::spec_of(const std::string& id) const {
  return json::parse(text_of_file(folder(id) + "/spec"));
}

json Containers::create(const json& request) {
  begin();
  const Members members(request);
  const std::string id = members.id("id");
  if (id.find('/') != std::string::npos || id.starts_with('.')) {
    throw Failure(SKEP_E_INVALID, "\"id\" must be a name of letters and digits");
  }
  const std::string wanted = members.text("image");
  const std::vector<std::string> command = members.texts("command");
  static_cast<void>(members.text("netns"));
  static_cast<void>(members.text("cgroup_parent"));
  const std::string image_id =
      images_->id_of(wrong("takes-any-image") && !images_->has(wanted) ? "plain" : wanted);
  const json spec = known_of(request, create_members);
  const json reply = {{"handle", {{"version", 1}}}, {"image_id", image_id}};
  if (wrong("what-the-host-forgot-cannot-be-made-again") && forgotten_.contains(id)) {
    throw Failure(SKEP_E_EXISTS, "there is a container " + id + " that nobody named");
  }
  if (known(id)) {
    if ((spec_of(id) == spec && !wrong("create-is-not-idempotent")) ||
        wrong("takes-other-arguments")) {
      return reply;
    }
    throw Failure(SKEP_E_EXISTS, "there is a container " + id + " with other arguments");
  }
  const std::string fresh = state_ + "/.new-" + id;
  fs::remove_all(fresh);
  fs::create_directories(fresh);
  const bool late = wrong("create-is-finished-by-the-next-call");
  if (!late) std::ofstream(fresh + "/spec") << spec.dump();
  std::ofstream(fresh + "/image") << image_id;
  const Moment at = now();
  std::ofstream(fresh + "/created") << at.seconds << " " << at.nanoseconds;
  fs::rename(fresh, folder(id));
  if (late) {
    put_off_.put([to = folder(id) + "/spec", spec] { std::ofstream(to) << spec.dump(); });
  }
  tell(id, "create");
  if (wrong("create-runs-it")) start({{"id", id}});
  return reply;
}

Launch Containers::launch_of(const std::string& id) const {
  const json spec = spec_of(id);
  Launch all;
  all.folder = folder(id);
  all.cgroups = groups_of(spec);
  all.argv = spec.at("command").get<std::vector<std::string>>();
  all.program = program_of(all.argv, SKEP_E_INVALID);
  all.env = {std::string("PATH=") + search_path};
  for (const json& one : spec.value("env", json::array())) all.env.push_back(one);
  all.netns = spec.at("netns");
  all.working_dir = spec.value("working_dir", "/");
  if (wrong("nobody-reads-the-output")) all.output = all.folder + "/output";
  for (const json& one : spec.value("mounts", json::array())) {
    if (one.value("type", "") == "bind") all.binds.emplace_back(one.at("source"), one.at("target"));
  }
  return all;
}

json Containers::start(const json& request) {
  begin();
  const std::string id = Members(request).id("id");
  needed(id);
  bool first_here = false;
  {
    const std::scoped_lock lock(lock_);
    first_here = started_here_.insert(id).second;
  }
  const bool again = (wrong("starts-a-second-after-a-crash") && first_here) ||
                     (wrong("starts-again-after-the-end") && exit_of(folder(id)));
  if (again) {
    fs::remove(folder(id) + "/exit");
    fs::remove(folder(id) + "/started");
  }
  const Launch how = launch_of(id);
  if (wrong("nobody-reads-the-output")) mkfifo(how.output.c_str(), 0600);
  const int64_t bytes = memory_of(spec_of(id));
  if (bytes > 0 && !started_of(folder(id))) limit_memory(group_of(spec_of(id)), bytes);
  const bool first = launch(how);
  const std::optional<Started> started = started_of(folder(id));
  if (!started) throw Failure(SKEP_E_INTERNAL, "container " + id + " could not be started");
  if (first) tell(id, "start");
  watch(id);
  return {{"pid", started->pid}, {"started_at", time_text(started->at)}};
}

json Containers::end_of(const std::string& id, const Exit& exit) const {
  const bool out_of_memory = exit.code == killed && ran_out_of_memory(group_of(spec_of(id))) &&
                             !wrong("out-of-memory-is-a-plain-end");
  return {
      {"exit_code", exit.code}, {"finished_at", time_text(exit.at)}, {"oom_killed", out_of_memory}};
}

json Containers::stop(const json& request) {
  begin();
  const Members members(request);
  const std::string id = members.id("id");
  int number = signal_number(members.text("signal", "SIGTERM"));
  const auto grace = milliseconds(members.integer("grace_ms", 0));
  if (!known(id)) return json::object();
  settle(folder(id));
  if (!runs(id)) {
    if (!wrong("stop-of-an-ended-one-fails")) return json::object();
    throw Failure(SKEP_E_PRECONDITION, "container " + id + " does not run");
  }
  const pid_t pid = started_of(folder(id))->pid;
  if (wrong("stop-sends-its-own-signal")) number = SIGTERM;
  {
    const std::scoped_lock lock(lock_);
    stopping_.insert(id);
  }
  if (!wrong("stop-ignores-the-grace")) {
    kill(pid, number);
    if (until_ended(id, Clock::now() + grace, true)) return json::object();
    if (cancelled()) throw Failure(SKEP_E_CANCELLED, "the stop was cancelled");
  }
  kill(pid, SIGKILL);
  if (until_ended(id, Clock::now() + kill_patience)) return json::object();
  throw Failure(SKEP_E_INTERNAL, "container " + id + " did not end");
}

json Containers::send_signal(const json& request) {
  begin();
  const Members members(request);
  const std::string id = members.id("id");
  const int number = signal_number(members.text("signal"));
  needed(id);
  if (wrong("a-stop-keeps-signals-out")) {
    const std::scoped_lock lock(lock_);
    if (stopping_.contains(id)) throw Failure(SKEP_E_BUSY, "container " + id + " is being stopped");
  }
  if (!runs(id) && wrong("a-signal-to-an-ended-one-is-done")) return json::object();
  if (!runs(id)) throw Failure(SKEP_E_PRECONDITION, "container " + id + " does not run");
  kill(started_of(folder(id))->pid, number);
  return json::object();
}

json Containers::remove(const json& request) {
  begin();
  const Members members(request);
  const std::string id = members.id("id");
  const bool force = members.boolean("force", false);
  if (!known(id)) return json::object();
  settle(folder(id));
  if (runs(id) && !force && !wrong("removes-what-runs")) {
    throw Failure(SKEP_E_PRECONDITION, "container " + id + " runs");
  }
  take_away(id);
  return json::object();
}

void Containers::take_away(const std::string& id) {
  const auto end_all = [id, groups = groups_of(spec_of(id))] {
    for (const std::string& group : groups) {
      if (end_group(group)) continue;
      throw Failure(SKEP_E_INTERNAL, "the processes of container " + id + " do not end");
    }
  };
  if (wrong("remove-is-finished-by-the-next-call")) {
    put_off_.put(end_all);
  } else if (!wrong("remove-leaves-its-processes")) {
    end_all();
    until_ended(id, Clock::now() + kill_patience);
  }
  std::vector<std::string> keys = execs_of(id);
  keys.push_back(id);
  for (const std::string& key : keys) ended(key);
  const std::string gone = state_ + "/.gone-" + id;
  fs::remove_all(gone);
  {
    const std::scoped_lock lock(lock_);
    fs::rename(folder(id), gone);
    for (const std::string& key : keys) fail_waits(key);
  }
  fs::remove_all(gone);
  tell(id, "delete");
}

json Containers::container(const std::string& id) const {
  const json spec = spec_of(id);
  Moment created;
  std::ifstream(folder(id) + "/created") >> created.seconds >> created.nanoseconds;
  json all = {{"id", id},
              {"spec", spec},
              {"image", spec.at("image")},
              {"image_id", text_of_file(folder(id) + "/image")},
              {"state", "created"},
              {"created_at", time_text(created)},
              {"process",
               {{"argv", spec.at("command")},
                {"env", spec.value("env", json::array())},
                {"working_dir", spec.value("working_dir", "/")},
                {"user", "0:0"}}}};
  const std::optional<Started> started = started_of(folder(id));
  const std::optional<Exit> exit = exit_of(folder(id));
  if (started) {
    all["state"] = exit ? "stopped" : "running";
    all["started_at"] = time_text(started->at);
    if (!exit) all["pid"] = started->pid;
  }
  if (exit) {
    all.update(end_of(id, *exit));
  }
  return all;
}

json Containers::inspect(const json& request) {
  begin();
  const std::string id = Members(request).id("id");
  const std::scoped_lock lock(lock_);  // a removal takes it away all at once
  needed(id);
  return container(id);
}

json Containers::list(const json&) {
  begin();
  json all = json::array();
  const std::scoped_lock lock(lock_);
  for (const std::string& id : ids()) all.push_back(container(id));
  return {{"containers", std::move(all)}};
}

json Containers::stats(const json& request) {
  begin();
  json all = json::array();
  const std::scoped_lock lock(lock_);
  for (const std::string& id : Members(request).with({"ids"}).texts("ids")) {
    if (!known(id) || !runs(id)) {
      if (wrong("stats-of-absent-ones-fail")) needed(id);
      continue;
    }
    const std::vector<pid_t> processes = processes_in(process_group(group_of(spec_of(id))));
    int64_t bytes = 0;
    for (const pid_t pid : processes) {
      int64_t size = 0;
      int64_t resident = 0;
      std::ifstream("/proc/" + std::to_string(pid) + "/statm") >> size >> resident;
      bytes += resident * sysconf(_SC_PAGESIZE);
    }
    all.push_back({{"id", id}, {"memory_bytes", bytes}, {"cpu_ns", 0}, {"pids", processes.size()}});
  }
  return {{"stats", std::move(all)}};
}

void Containers::pull(Call call) {
  begin();
  const std::string image = Members(call.request).text("image");
  call.reply(images_->pull(image, [&call](const json& item) { call.emit(item); }));
}

json Containers::image_inspect(const json& request) {
  begin();
  return images_->inspect(Members(request).text("image"));
}

json Containers::image_list(const json&) {
  begin();
  return images_->list();
}

json Containers::image_remove(const json& request) {
  begin();
  const Members members(request);
  return images_->remove(members.text("image"), members.boolean("force", false));
}

std::optional<Containers::Refusal> Containers::refused(skep_op* operation,
                                                       std::string_view request) noexcept {
  if (wrong("null-is-a-value") && request.find(":null") != std::string_view::npos) {
    return Refusal{SKEP_E_INVALID, "null is no value for a member"};
  }
  if (wrong("a-cancelled-call-is-an-internal-error")) {
    const auto until = Clock::now() + mistake_patience;
    while (host()->cancelled(host(), operation) == 0) {
      if (Clock::now() >= until) return std::nullopt;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return Refusal{SKEP_E_INTERNAL, "the call was interrupted"};
  }
  return std::nullopt;
}

// One call after the other, and who comes in between is turned away. Whoever has the turn keeps it
// until that has happened, so that it needs no luck.
bool Containers::take_turn() noexcept {
  std::unique_lock lock(lock_);
  if (in_turn_) {
    turned_away_ = true;
    changed_.notify_all();
    return false;
  }
  in_turn_ = true;
  turned_away_ = false;
  changed_.wait_for(lock, mistake_patience, [this] { return turned_away_; });
  return true;
}

void Containers::end_turn() noexcept {
  const std::scoped_lock lock(lock_);
  in_turn_ = false;
}

template <auto Method>
skep_status Containers::plain(void* self, skep_op* operation, skep_str request) noexcept {
  auto* const me = static_cast<Containers*>(static_cast<Driver*>(self));
  const bool in_turns = wrong("one-call-at-a-time");
  std::optional<Refusal> refusal = me->refused(operation, {request.ptr, request.len});
  if (in_turns && !me->take_turn()) refusal = Refusal{SKEP_E_BUSY, "another call is under way"};
  if (refusal) {
    Call::fail_operation(me->host(), operation, refusal->code, refusal->text);
    return SKEP_PENDING;
  }
  const skep_status status = skep::sdk::op<Method>(self, operation, request);
  if (in_turns) me->end_turn();
  return status;
}

const skep_runtime_1& Containers::runtime_table() {
  static const skep_runtime_1 table = {sizeof table,
                                       0,
                                       stream<&Me::fingerprint>,
                                       plain<&Me::create>,
                                       plain<&Me::start>,
                                       skep::sdk::op<&Me::wait>,
                                       plain<&Me::stop>,
                                       skep::sdk::op<&Me::send_signal>,
                                       plain<&Me::remove>,
                                       plain<&Me::inspect>,
                                       plain<&Me::list>,
                                       stream<&Me::events>,
                                       plain<&Me::stats>};
  return table;
}

const skep_runtime_exec_1& Containers::exec_table() {
  using skep::sdk::op;
  static const skep_runtime_exec_1 table = {sizeof table,
                                            0,
                                            op<&Me::exec_create>,
                                            op<&Me::exec_start>,
                                            op<&Me::exec_resize>,
                                            op<&Me::exec_wait>,
                                            op<&Me::exec_close_stdin>,
                                            op<&Me::exec_signal>};
  return table;
}

const skep_runtime_images_1& Containers::images_table() {
  using skep::sdk::op;
  static const skep_runtime_images_1 table = {sizeof table,        0,
                                              op<&Me::pull>,       op<&Me::image_inspect>,
                                              op<&Me::image_list>, op<&Me::image_remove>};
  return table;
}

const skep_instance* make(const skep_host* host) {
  return skep::sdk::make_instance<Containers>(host);
}

}  // namespace wrong_driver
