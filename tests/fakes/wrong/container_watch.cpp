// Streams and waits of the plain runtime, and the one thread that looks after them.
//
// It is woken by a keeper's end, and looks from time to time whether a call under way was
// cancelled; so no wait and no stream holds a thread of the host.
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/fakes/wrong/containers.hpp"

namespace wrong_driver {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int look_ms = 20;
constexpr int signalled = 128;

// Who a key is about, in an event.
json named(const std::string& key) {
  const size_t slash = key.find("/exec-");
  if (slash == std::string::npos) return {{"id", key}};
  return {{"id", key.substr(0, slash)}, {"exec_id", key.substr(slash + 6)}};
}

}  // namespace

Containers::~Containers() {
  ending_ = true;
  wake();
  if (watcher_.joinable()) watcher_.join();
  for (const auto& [key, descriptor] : watched_) close(descriptor);
  if (wake_ >= 0) close(wake_);
}

void Containers::configure(const Members& config, const skep::sdk::Place& place) {
  state_ = config.text("state", place.data_dir + "/containers");
  fs::create_directories(state_);
  const auto user_of = [this](const std::string& image) -> std::optional<std::string> {
    const std::scoped_lock lock(lock_);
    for (const std::string& id : ids()) {
      if (spec_of(id).at("image") == image) return id;
    }
    return std::nullopt;
  };
  images_.emplace(state_ + "/.images", config.text("registry", ""), user_of, put_off_);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  for (const std::string& id : ids()) {
    watch(id);
    for (const std::string& key : execs_of(id)) watch(key);
  }
  watcher_ = std::thread([this] { look(); });
}

void Containers::fingerprint(Call call) {
  begin();
  if (!wrong("fingerprint-tells-nothing-at-first")) {
    call.emit({{"healthy", true}, {"name", "plain"}, {"version", "1"}});
  }
  keep(std::move(call));
}

void Containers::events(Call call) {
  begin();
  const std::scoped_lock lock(lock_);
  if (!wrong("events-begin-without-a-gap")) {
    call.emit({{"seq", ++seq_}, {"type", "gap"}, {"time", time_text(now())}});
  }
  subscribers_.push_back({std::move(call), stream_under_way});
  wake();
}

void Containers::wait(Call call) {
  begin();
  const std::string id = Members(call.request).id("id");
  needed(id);
  if (wrong("wait-holds-its-thread")) {
    while (!exit_of(folder(id)) && !call.cancelled()) {
      std::this_thread::sleep_for(milliseconds(look_ms));
    }
  }
  const std::scoped_lock lock(lock_);
  needed(id);
  const std::optional<Exit> exit = exit_of(folder(id));
  const bool lost =
      wrong("an-end-before-the-wait-is-lost") ||
      (wrong("knows-the-ends-of-its-own-children-alone") && !started_here_.contains(id));
  if (exit && lost) {
    return call.reply({{"exit_code", 0},
                       {"finished_at", time_text(now())},
                       {"oom_killed", false},
                       {"lost", "nobody waited for it"}});
  }
  if (exit) return call.reply(end_of(id, *exit));
  waits_.emplace(id, std::move(call));
  wake();
}

void Containers::keep(Call call) {
  const std::scoped_lock lock(lock_);
  streams_.push_back({std::move(call), stream_under_way});
  wake();
}

void Containers::wake() const {
  const uint64_t one = 1;
  if (wake_ >= 0 && write(wake_, &one, sizeof one) < 0) return;  // full: it is awake
}

void Containers::tell(const std::string& key, const char* type) {
  const std::scoped_lock lock(lock_);
  tell_locked(key, type, json::object());
}

bool Containers::until_ended(const std::string& id, Clock::time_point until, bool cancellable) {
  std::unique_lock lock(lock_);
  while (runs(id)) {
    if (Clock::now() >= until || (cancellable && cancelled())) return false;
    changed_.wait_for(lock, milliseconds(look_ms));
  }
  return true;
}

void Containers::tell_locked(const std::string& key, std::string_view type, json more) {
  more.update(named(key));
  more.update({{"type", type}, {"time", time_text(now())}});
  const auto send = [this](json item) {
    item["seq"] = wrong("seq-stands-still") ? seq_ : ++seq_;
    for (Stream& each : subscribers_) each.call.emit(item);
  };
  if (wrong("start-event-after-the-exit") && type == "start") {
    withheld_[key] = std::move(more);
    return;
  }
  if (wrong("no-event-of-a-delete") && type == "delete") return;
  send(std::move(more));
  if (type != "exit") return;
  if (const auto late = withheld_.extract(key)) send(late.mapped());
}

// From now on its end is heard of.
void Containers::watch(const std::string& key) {
  const std::optional<Started> started = started_of(folder(key));
  const std::scoped_lock lock(lock_);
  if (!started || watched_.contains(key)) return;
  const auto keeper = static_cast<int>(
      syscall(SYS_pidfd_open, started->keeper, 0));  // glibc 2.36 has it in a header
  if (keeper < 0) {
    if (exit_of(folder(key))) return;  // told by whoever saw it
    std::ofstream(folder(key) + "/exit") << killed << " 0 " << now().seconds << " 0";
    return;
  }
  watched_[key] = keeper;
  wake();
}

// With the lock held, as the next.
void Containers::answer_waits(const std::string& key, const Exit& exit) {
  const auto [from, to] = waits_.equal_range(key);
  const bool exec = key.find('/') != std::string::npos;
  const bool bare = wrong("exec-killed-by-a-signal-tells-its-number") && exit.code > signalled;
  for (auto one = from; one != to; ++one) {
    one->second.reply(exec ? json{{"exit_code", bare ? exit.code - signalled : exit.code}}
                           : end_of(key, exit));
  }
  // A further process is forgotten with the first answer.
  if (exec && from != to) fs::remove_all(folder(key));
  waits_.erase(from, to);
}

void Containers::fail_waits(const std::string& key) {
  const auto [from, to] = waits_.equal_range(key);
  for (auto one = from; one != to; ++one) {
    one->second.fail(SKEP_E_NOTFOUND, "container " + key + " was removed");
  }
  waits_.erase(from, to);
}

// Its keeper is gone, or it is taken away: who waits is told, once.
void Containers::ended(const std::string& key) {
  const std::scoped_lock lock(lock_);
  const auto found = watched_.find(key);
  if (found == watched_.end()) return;
  close(found->second);
  watched_.erase(found);
  json more = json::object();
  if (const std::optional<Exit> exit = exit_of(folder(key))) {
    if (!wrong("exit-event-without-the-code")) more["exit_code"] = exit->code;
    answer_waits(key, *exit);
  }
  tell_locked(key, "exit", std::move(more));
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
        static_cast<void>(host()->emit(host(), one->op, skep::sdk::view(item)));
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
      for (const auto& [key, keeper] : watched_) {
        all.push_back({keeper, POLLIN, 0});
        whose.push_back(key);
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

}  // namespace wrong_driver
