// A runtime driver that is right, with plain processes for containers, and the mistakes one can
// make in it.
//
// Everything it knows is in the folder that its configuration names, as with a runtime whose own
// daemon keeps it: so a driver that was killed finds all again, and two see the same. In memory are
// only the waits and streams under way. One thread watches the keepers' ends, and whether a call
// was cancelled. A container is a folder there, and a further process in it a folder within; the
// way from the top to such a folder is its key.
//
// What it does not do: a further process outlives the container's first one until the container is
// removed, and there is no terminal.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "skep/cpp/base.hpp"
#include "skep/runtime.h"
#include "tests/fakes/wrong/images.hpp"
#include "tests/fakes/wrong/keeper.hpp"
#include "tests/fakes/wrong/put_off.hpp"
#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {

using skep::sdk::Call;
using skep::sdk::Failure;
using skep::sdk::Members;
using Clock = std::chrono::steady_clock;

constexpr int killed = 137;

class Containers final : public skep::sdk::BaseDriver {
 public:
  ~Containers() override;

  void configure(const Members& config, const skep::sdk::Place& place) override;
  void restore_done(const std::vector<std::string>& named) override;

  template <class D>
  static const void* table_of(std::string_view id) {
    if (id == SKEP_BASE_1) return base_table<D>();
    if (id == SKEP_RUNTIME_1) return &runtime_table();
    if (id == SKEP_RUNTIME_EXEC_1) return &exec_table();
    return id == SKEP_RUNTIME_IMAGES_1 ? &images_table() : nullptr;
  }

 private:
  using Me = Containers;
  static const skep_runtime_1& runtime_table();
  static const skep_runtime_exec_1& exec_table();
  static const skep_runtime_images_1& images_table();

  json capabilities_document() override {
    return {{"stats", true}, {"exec", true}, {"images", true}};
  }
  void restore_object(const Members& object) override;

  // ---- operations; containers.cpp
  json create(const json& request);
  json start(const json& request);
  json stop(const json& request);
  json send_signal(const json& request);
  json remove(const json& request);
  json inspect(const json& request);
  json list(const json& request);
  json stats(const json& request);
  // container_watch.cpp
  void fingerprint(Call call);
  void events(Call call);
  void wait(Call call);
  // execs.cpp
  json exec_create(const json& request);
  json exec_start(const json& request);
  json exec_resize(const json& request);
  void exec_wait(Call call);
  json exec_close_stdin(const json& request);
  json exec_signal(const json& request);
  // containers.cpp; images.hpp does it
  void pull(Call call);
  json image_inspect(const json& request);
  json image_list(const json& request);
  json image_remove(const json& request);

  // What each of them begins with.
  void begin() {
    check_in_service();
    put_off_.catch_up();
  }
  // The mistakes that are made before a call is looked at.
  struct Refusal {
    skep_status code;
    std::string_view text;
  };
  std::optional<Refusal> refused(skep_op* operation, std::string_view request) noexcept;
  bool take_turn() noexcept;
  void end_turn() noexcept;
  template <auto Method>
  static skep_status plain(void* self, skep_op* operation, skep_str request) noexcept;

  // ---- what is on disk
  std::string folder(const std::string& key) const { return state_ + "/" + key; }
  bool known(const std::string& id) const;
  void needed(const std::string& id) const;
  std::vector<std::string> ids() const;
  std::vector<std::string> execs_of(const std::string& id) const;  // their keys
  json spec_of(const std::string& id) const;
  bool runs(const std::string& key) const {
    return started_of(folder(key)) && !exit_of(folder(key));
  }
  json container(const std::string& id) const;
  json end_of(const std::string& id, const Exit& exit) const;
  Launch launch_of(const std::string& id) const;
  Launch exec_launch_of(const std::string& id, const json& asked) const;
  // The key of an exec that is there, of an operation's "id" and "exec_id".
  std::string exec_named(const json& request) const;
  void take_away(const std::string& id);

  // ---- what is under way
  struct Stream {
    Call call;
    skep_op* op;  // for the mistake that needs it
  };
  void keep(Call call);
  void wake() const;
  void tell(const std::string& key, const char* type);
  void tell_locked(const std::string& key, std::string_view type, json more);
  void watch(const std::string& key);
  void ended(const std::string& key);
  void answer_waits(const std::string& key, const Exit& exit);
  void fail_waits(const std::string& key);
  // False: its time is over, or the host wants no more of it, where that counts.
  bool until_ended(const std::string& id, Clock::time_point until, bool cancellable = false);
  void look();
  void drop_cancelled();

  std::string state_;
  PutOff put_off_;
  std::optional<Images> images_;
  int wake_ = -1;
  std::atomic<bool> ending_ = false;
  std::thread watcher_;
  std::mutex lock_;
  std::condition_variable changed_;
  int64_t seq_ = 0;
  std::list<Stream> streams_;      // fingerprint's
  std::list<Stream> subscribers_;  // of events
  std::multimap<std::string, Call> waits_;
  std::map<std::string, int> watched_;  // key -> pidfd of its keeper
  // What mistakes need to know.
  std::map<std::string, json> withheld_;
  std::set<std::string> started_here_;
  std::set<std::string> forgotten_;
  std::set<std::string> stopping_;
  bool in_turn_ = false;
  bool turned_away_ = false;
};

// As it stands in the documents.
std::string time_text(const Moment& at);
Moment now();
std::string text_of_file(const std::string& path);
int signal_number(const std::string& text);
// Where the program is, for a process that sees the machine's files; `otherwise` is the error's
// code.
std::string program_of(const std::vector<std::string>& argv, skep_status otherwise);
// The request without what this driver does not know: a newer host's members are ignored.
json known_of(const json& request, std::initializer_list<const char*> names);
// The path of its control groups.
std::string group_of(const json& spec);

// The operation that runs on this thread, for streams.
inline thread_local skep_op* stream_under_way = nullptr;
// Remembers the operation beside its Call.
template <auto Method>
skep_status stream(void* self, skep_op* operation, skep_str request) noexcept {
  stream_under_way = operation;
  return skep::sdk::op<Method>(self, operation, request);
}

constexpr const char* search_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace wrong_driver
