// A runtime driver that is right, with plain processes for containers, and the mistakes one can
// make in it.
//
// Everything it knows is in the folder that its configuration names, as with a runtime whose own
// daemon keeps it: so a driver that was killed finds all again, and two see the same. In memory are
// only the waits and streams under way. One thread watches the keepers' ends, and whether a call
// was cancelled. There is one image, "plain": the machine's own files.
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "skep/cpp/base.hpp"
#include "skep/runtime.h"
#include "tests/fakes/wrong/keeper.hpp"
#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {

const char* const interfaces = SKEP_BASE_1 " " SKEP_RUNTIME_1;
const char* const config_schema =
    R"({"type": "object", "properties": {"state": {"type": "string"}}})";

namespace {

namespace fs = std::filesystem;
using namespace skep::sdk;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* image = "plain";
constexpr const char* image_id =
    "sha256:0000000000000000000000000000000000000000000000000000000000000001";
constexpr const char* search_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int look_ms = 20;
constexpr auto kill_patience = std::chrono::seconds(5);
constexpr int killed = 137;

thread_local skep_op* stream_under_way = nullptr;

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

// The request without what this driver does not know: a newer host's members are ignored.
json known_of(const json& request) {
  json known = json::object();
  for (const char* const name : {"id",
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
                                 "log"}) {
    if (request.contains(name)) known[name] = request.at(name);
  }
  return known;
}

// Where the program is, for a process that sees the machine's files.
std::string program_of(const std::vector<std::string>& argv) {
  if (argv.empty()) throw Failure(SKEP_E_INVALID, "\"command\" must name a program");
  if (argv[0].starts_with('/') && access(argv[0].c_str(), X_OK) == 0) return argv[0];
  std::istringstream folders(search_path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string path = folder + "/" + argv[0];
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  throw Failure(SKEP_E_INVALID, "there is no program " + argv[0]);
}

std::string cgroup_of(const json& spec) {
  const std::string root = "/sys/fs/cgroup";
  const bool unified = fs::exists(root + "/cgroup.controllers");
  return root + (unified ? "" : "/pids") + spec.value("cgroup_parent", "/skep-plain") + "/" +
         spec.at("id").get<std::string>();
}

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A stream under way; `op` for the mistake that needs it.
struct Stream {
  Call call;
  skep_op* op;
};

class Containers final : public BaseDriver {
 public:
  ~Containers() override {
    ending_ = true;
    wake();
    if (watcher_.joinable()) watcher_.join();
    for (const auto& [id, descriptor] : watched_) close(descriptor);
    if (wake_ >= 0) close(wake_);
  }

  void configure(const Members& config, const Place& place) override {
    state_ = config.text("state", place.data_dir + "/containers");
    fs::create_directories(state_);
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (const std::string& id : ids()) watch(id);
    watcher_ = std::thread([this] { look(); });
  }

  void restore_done(const std::vector<std::string>& named) override {
    const std::set<std::string> known(named.begin(), named.end());
    if (wrong("list-forgets-what-the-host-forgot")) {
      for (const std::string& id : ids()) {
        if (!known.contains(id)) fs::rename(folder(id), state_ + "/.forgotten-" + id);
      }
    }
    if (!wrong("restore-done-deletes-what-was-named")) return;
    for (const std::string& id : ids()) {
      if (known.contains(id)) take_away(id);
    }
  }

  template <class D>
  static const void* table_of(std::string_view id) {
    if (id == SKEP_BASE_1) return base_table<D>();
    return id == SKEP_RUNTIME_1 ? &runtime_table() : nullptr;
  }

 private:
  using Me = Containers;
  static const skep_runtime_1& runtime_table();

  json capabilities_document() override { return {{"stats", true}}; }
  void restore_object(const Members& object) override {
    const std::string id = object.id("id");
    needed(id);
    if (!wrong("restore-restarts") || !exit_of(folder(id))) return;
    fs::remove(folder(id) + "/exit");
    fs::remove(folder(id) + "/started");
    launch(launch_of(id));
  }

  // ---- operations
  void fingerprint(Call call) {
    check_in_service();
    if (!wrong("fingerprint-tells-nothing-at-first")) {
      call.emit({{"healthy", true}, {"name", "plain"}, {"version", "1"}});
    }
    keep(std::move(call));
  }
  void events(Call call) {
    check_in_service();
    const std::scoped_lock lock(lock_);
    if (!wrong("events-begin-without-a-gap")) {
      call.emit({{"seq", ++seq_}, {"type", "gap"}, {"time", time_text(now())}});
    }
    subscribers_.push_back({std::move(call), stream_under_way});
    wake();
  }
  void wait(Call call);
  json create(const json& request);
  json start(const json& request);
  json stop(const json& request);
  json send_signal(const json& request);
  json remove(const json& request);
  json inspect(const json& request) {
    check_in_service();
    const std::string id = Members(request).id("id");
    needed(id);
    return container(id);
  }
  json list(const json&) {
    check_in_service();
    json all = json::array();
    for (const std::string& id : ids()) all.push_back(container(id));
    return {{"containers", std::move(all)}};
  }
  json stats(const json& request);

  // ---- what is on disk
  std::string folder(const std::string& id) const { return state_ + "/" + id; }
  bool known(const std::string& id) const {
    return id.find('/') == std::string::npos && !id.starts_with('.') && fs::exists(folder(id));
  }
  void needed(const std::string& id) const {
    if (!known(id)) throw Failure(SKEP_E_NOTFOUND, "there is no container " + id);
  }
  std::vector<std::string> ids() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(state_)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with('.')) all.push_back(name);
    }
    return all;
  }
  json spec_of(const std::string& id) const {
    return json::parse(text_of_file(folder(id) + "/spec"));
  }
  bool runs(const std::string& id) const { return started_of(folder(id)) && !exit_of(folder(id)); }
  json container(const std::string& id) const;
  Launch launch_of(const std::string& id) const;
  void take_away(const std::string& id);

  // ---- what is under way
  void keep(Call call) {
    const std::scoped_lock lock(lock_);
    streams_.push_back({std::move(call), stream_under_way});
    wake();
  }
  void wake() const {
    const uint64_t one = 1;
    if (wake_ >= 0 && write(wake_, &one, sizeof one) < 0) return;  // full: it is awake
  }
  void tell(const std::string& id, const char* type) {
    const std::scoped_lock lock(lock_);
    tell_locked(id, type, json::object());
  }
  void tell_locked(const std::string& id, std::string_view type, json more);
  void watch(const std::string& id);
  void ended(const std::string& id);
  // False: its time is over, or the host wants no more of it, where that counts.
  bool until_ended(const std::string& id, Clock::time_point until, bool cancellable = false) {
    std::unique_lock lock(lock_);
    while (runs(id)) {
      if (Clock::now() >= until || (cancellable && cancelled())) return false;
      changed_.wait_for(lock, milliseconds(look_ms));
    }
    return true;
  }
  void look();
  void drop_cancelled();

  std::string state_;
  int wake_ = -1;
  std::atomic<bool> ending_ = false;
  std::thread watcher_;
  std::mutex lock_;
  std::condition_variable changed_;
  int64_t seq_ = 0;
  std::list<Stream> streams_;      // fingerprint's
  std::list<Stream> subscribers_;  // of events
  std::multimap<std::string, Call> waits_;
  std::map<std::string, int> watched_;    // container -> pidfd of its keeper
  std::map<std::string, json> withheld_;  // the mistake of events out of order
  std::set<std::string> started_here_;    // the mistake of starting again
};

json Containers::create(const json& request) {
  check_in_service();
  const Members members(request);
  const std::string id = members.id("id");
  if (id.find('/') != std::string::npos || id.starts_with('.')) {
    throw Failure(SKEP_E_INVALID, "\"id\" must be a name of letters and digits");
  }
  const std::string wanted = members.text("image");
  const std::vector<std::string> command = members.texts("command");
  static_cast<void>(members.text("netns"));
  static_cast<void>(members.text("cgroup_parent"));
  if (wanted != image && !wrong("takes-any-image")) {
    throw Failure(SKEP_E_NOTFOUND, "No such image: " + wanted);
  }
  const json spec = known_of(request);
  const json reply = {{"handle", {{"version", 1}}}, {"image_id", image_id}};
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
  std::ofstream(fresh + "/spec") << spec.dump();
  const Moment at = now();
  std::ofstream(fresh + "/created") << at.seconds << " " << at.nanoseconds;
  fs::rename(fresh, folder(id));
  tell(id, "create");
  if (wrong("create-runs-it")) start({{"id", id}});
  return reply;
}

Launch Containers::launch_of(const std::string& id) const {
  const json spec = spec_of(id);
  Launch all;
  all.folder = folder(id);
  all.cgroup = cgroup_of(spec);
  all.argv = spec.at("command").get<std::vector<std::string>>();
  all.program = program_of(all.argv);
  all.env = {std::string("PATH=") + search_path};
  for (const json& one : spec.value("env", json::array())) all.env.push_back(one);
  all.netns = spec.at("netns");
  all.working_dir = spec.value("working_dir", "/");
  for (const json& one : spec.value("mounts", json::array())) {
    if (one.value("type", "") == "bind") all.binds.emplace_back(one.at("source"), one.at("target"));
  }
  return all;
}

json Containers::start(const json& request) {
  check_in_service();
  const std::string id = Members(request).id("id");
  needed(id);
  const bool again = (wrong("starts-a-second-after-a-crash") && !started_here_.contains(id)) ||
                     (wrong("starts-again-after-the-end") && exit_of(folder(id)));
  if (again) {
    fs::remove(folder(id) + "/exit");
    fs::remove(folder(id) + "/started");
  }
  const bool first = launch(launch_of(id));
  const std::optional<Started> started = started_of(folder(id));
  if (!started) throw Failure(SKEP_E_INTERNAL, "container " + id + " could not be started");
  if (wrong("starts-a-second-after-a-crash")) {
    const std::scoped_lock lock(lock_);
    started_here_.insert(id);
  }
  if (first) tell(id, "start");
  watch(id);
  return {{"pid", started->pid}, {"started_at", time_text(started->at)}};
}

json end_of(const Exit& exit) {
  return {{"exit_code", exit.code}, {"finished_at", time_text(exit.at)}, {"oom_killed", false}};
}

void Containers::wait(Call call) {
  check_in_service();
  const std::string id = Members(call.request).id("id");
  needed(id);
  if (wrong("wait-holds-its-thread")) {
    while (!exit_of(folder(id)) && !call.cancelled()) {
      std::this_thread::sleep_for(milliseconds(look_ms));
    }
  }
  const std::scoped_lock lock(lock_);
  const std::optional<Exit> exit = exit_of(folder(id));
  if (exit && wrong("an-end-before-the-wait-is-lost")) {
    return call.reply({{"exit_code", 0},
                       {"finished_at", time_text(now())},
                       {"oom_killed", false},
                       {"lost", "nobody waited for it"}});
  }
  if (exit) return call.reply(end_of(*exit));
  waits_.emplace(id, std::move(call));
  wake();
}

json Containers::stop(const json& request) {
  check_in_service();
  const Members members(request);
  const std::string id = members.id("id");
  int number = signal_number(members.text("signal", "SIGTERM"));
  const auto grace = milliseconds(members.integer("grace_ms", 0));
  if (!known(id)) return json::object();
  settle(folder(id));
  if (!runs(id)) return json::object();
  const pid_t pid = started_of(folder(id))->pid;
  if (wrong("stop-sends-its-own-signal")) number = SIGTERM;
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
  check_in_service();
  const Members members(request);
  const std::string id = members.id("id");
  const int number = signal_number(members.text("signal"));
  needed(id);
  if (!runs(id)) throw Failure(SKEP_E_PRECONDITION, "container " + id + " does not run");
  kill(started_of(folder(id))->pid, number);
  return json::object();
}

json Containers::remove(const json& request) {
  check_in_service();
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
  if (!wrong("remove-leaves-its-processes") && !end_group(cgroup_of(spec_of(id)))) {
    throw Failure(SKEP_E_INTERNAL, "the processes of container " + id + " do not end");
  }
  if (!wrong("remove-leaves-its-processes")) until_ended(id, Clock::now() + kill_patience);
  ended(id);
  {
    const std::scoped_lock lock(lock_);
    const auto [from, to] = waits_.equal_range(id);
    for (auto one = from; one != to; ++one) {
      one->second.fail(SKEP_E_NOTFOUND, "container " + id + " was removed");
    }
    waits_.erase(from, to);
  }
  const std::string gone = state_ + "/.gone-" + id;
  fs::remove_all(gone);
  fs::rename(folder(id), gone);
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
              {"image_id", image_id},
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
    all["exit_code"] = exit->code;
    all["finished_at"] = time_text(exit->at);
    all["oom_killed"] = false;
  }
  return all;
}

json Containers::stats(const json& request) {
  check_in_service();
  json all = json::array();
  for (const std::string& id : Members(request).with({"ids"}).texts("ids")) {
    if (!known(id) || !runs(id)) {
      if (wrong("stats-of-absent-ones-fail")) needed(id);
      continue;
    }
    const std::vector<pid_t> processes = processes_in(cgroup_of(spec_of(id)));
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

void Containers::tell_locked(const std::string& id, std::string_view type, json more) {
  more.update({{"type", type}, {"id", id}, {"time", time_text(now())}});
  const auto send = [this](json item) {
    item["seq"] = wrong("seq-stands-still") ? seq_ : ++seq_;
    for (Stream& each : subscribers_) each.call.emit(item);
  };
  if (wrong("start-event-after-the-exit") && type == "start") {
    withheld_[id] = std::move(more);
    return;
  }
  if (wrong("no-event-of-a-delete") && type == "delete") return;
  send(std::move(more));
  if (type != "exit") return;
  if (const auto late = withheld_.extract(id)) send(late.mapped());
}

// From now on its end is heard of.
void Containers::watch(const std::string& id) {
  const std::optional<Started> started = started_of(folder(id));
  const std::scoped_lock lock(lock_);
  if (!started || watched_.contains(id)) return;
  const auto keeper = static_cast<int>(
      syscall(SYS_pidfd_open, started->keeper, 0));  // glibc 2.36 has it in a header
  if (keeper < 0) {
    if (exit_of(folder(id))) return;  // told by whoever saw it
    std::ofstream(folder(id) + "/exit") << killed << " 0 " << now().seconds << " 0";
    return;
  }
  watched_[id] = keeper;
  wake();
}

// Its keeper is gone, or it is taken away: who waits is told, once.
void Containers::ended(const std::string& id) {
  const std::scoped_lock lock(lock_);
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  close(found->second);
  watched_.erase(found);
  json more = json::object();
  if (const std::optional<Exit> exit = exit_of(folder(id))) {
    if (!wrong("exit-event-without-the-code")) more["exit_code"] = exit->code;
    const auto [from, to] = waits_.equal_range(id);
    for (auto one = from; one != to; ++one) one->second.reply(end_of(*exit));
    waits_.erase(from, to);
  }
  tell_locked(id, "exit", std::move(more));
  changed_.notify_all();
}

void Containers::drop_cancelled() {
  const std::scoped_lock lock(lock_);
  for (std::list<Stream>* const list : {&streams_, &subscribers_}) {
    for (auto one = list->begin(); one != list->end();) {
      if (!one->call.cancelled() || wrong("streams-ignore-cancel")) {
        ++one;
        continue;
      }
      one->call.fail(SKEP_E_CANCELLED, "the stream was cancelled");
      if (wrong("emits-after-the-end")) {
        const std::string_view item =
            R"({"seq": 9, "type": "gap", "time": "2000-01-01T00:00:00.0Z"})";
        static_cast<void>(host()->emit(host(), one->op, view(item)));
      }
      one = list->erase(one);
    }
  }
  for (auto one = waits_.begin(); one != waits_.end();) {
    if (one->second.cancelled() && !wrong("waits-ignore-cancel")) {
      one->second.fail(SKEP_E_CANCELLED, "the wait was cancelled");
      one = waits_.erase(one);
    } else {
      ++one;
    }
  }
}

// The watcher's thread.
void Containers::look() {
  while (!ending_) {
    std::vector<pollfd> all{{wake_, POLLIN, 0}};
    std::vector<std::string> whose{""};
    bool calls = false;
    {
      const std::scoped_lock lock(lock_);
      calls = !streams_.empty() || !subscribers_.empty() || !waits_.empty();
      for (const auto& [id, keeper] : watched_) {
        all.push_back({keeper, POLLIN, 0});
        whose.push_back(id);
      }
    }
    poll(all.data(), all.size(), calls ? look_ms : -1);
    uint64_t unused = 0;
    if (all[0].revents != 0 && read(wake_, &unused, sizeof unused) < 0) continue;
    for (size_t i = 1; i < all.size(); ++i) {
      if (all[i].revents != 0) ended(whose[i]);
    }
    drop_cancelled();
  }
}

// Remembers the operation beside its Call.
template <auto Method>
skep_status stream(void* self, skep_op* operation, skep_str request) noexcept {
  stream_under_way = operation;
  return op<Method>(self, operation, request);
}

const skep_runtime_1& Containers::runtime_table() {
  static const skep_runtime_1 table = {sizeof table,
                                       0,
                                       stream<&Me::fingerprint>,
                                       op<&Me::create>,
                                       op<&Me::start>,
                                       op<&Me::wait>,
                                       op<&Me::stop>,
                                       op<&Me::send_signal>,
                                       op<&Me::remove>,
                                       op<&Me::inspect>,
                                       op<&Me::list>,
                                       stream<&Me::events>,
                                       op<&Me::stats>};
  return table;
}

}  // namespace

const skep_instance* make(const skep_host* host) {
  return skep::sdk::make_instance<Containers>(host);
}

}  // namespace wrong_driver
