// A volume driver that is right, and the mistakes one can make in it: what its two files share.
//
// A volume is a folder data_dir/NAME with what it was made of (args.json) and its data; it appears
// and goes by a rename, so that a crash leaves whole volumes alone. publish binds the data to
// run_dir/NAME (where mounting is allowed), once, which /proc/self/mountinfo tells and no memory.
// volumes.cpp has what every driver has, volumes_kept.cpp the volumes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "skep/abi.h"
#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {

using json = nlohmann::json;
namespace fs = std::filesystem;

struct Failure {
  skep_status code;
  std::string text;
};

inline skep_str view(std::string_view text) {
  return {text.data(), text.size()};
}

// For mistakes that need a moment to be seen in; nothing waits for it.
void pause_ms(int milliseconds);
// Returns when `seen` is true, and after some seconds at any rate: mistakes that are made while
// something else goes on wait for it.
void wait_for(const std::atomic<bool>& seen);

// How often something is mounted there.
int mounts_at(const std::string& path);

// What the mistakes with memory between instances keep.
struct Shared {
  std::map<std::string, json> volumes;
  const skep_host* host = nullptr;
};
Shared& shared();

class Volumes {
 public:
  explicit Volumes(const skep_host* host) : host_(host) {
    instance_.struct_size = sizeof instance_;
    instance_.self = this;
    instance_.get_interface = &get_interface;
    instance_.destroy = [](void* self) { delete static_cast<Volumes*>(self); };
    shared().host = host;
  }
  ~Volumes();
  Volumes(const Volumes&) = delete;
  Volumes& operator=(const Volumes&) = delete;
  const skep_instance* instance() const { return &instance_; }

  json capabilities(const json&);
  json configure(const json& request);
  json probe(const json&);
  json restore(const json& request);
  json restore_done(const json& request);
  json drain(const json&) {
    draining_ = !wrong("works-while-drained");
    return json::object();
  }
  json shutdown(const json&);
  json dump(const json&) { return {{"volumes", volumes_.size()}}; }
  json reconfigure(const json& request);

  json create(const json& request);
  json remove(const json& request);
  json get(const json& request);
  json list(const json& request);
  json validate(const json& request);
  json publish(const json& request);
  json unpublish(const json& request);
  json usage(const json& request);
  json mounts(const json&);
  json attach(const json&) { return json::object(); }
  json detach(const json& request);

  const skep_host* host() const { return wrong("host-in-a-static") ? shared().host : host_; }
  skep_status fail(skep_op* op, const Failure& failure);
  // For the mistake of completing it once more.
  void remember(skep_op* op) { last_ = op; }

  template <json (Volumes::*method)(const json&)>
  static skep_status call(void* self, skep_op* op, skep_str text) {
    auto& driver = *static_cast<Volumes*>(self);
    if (driver.answers_strangely(op, text)) return SKEP_PENDING;
    if (wrong("exceptions-cross")) {
      const json request = json::parse(text.ptr, text.ptr + text.len);
      return driver.end(op, (driver.*method)(request));
    }
    const json request = json::parse(text.ptr, text.ptr + text.len, nullptr, false);
    if (!request.is_object()) {
      return driver.fail(op, {SKEP_E_INVALID, "the request is no JSON object"});
    }
    // No text of this file's own throws; what the JSON library and the file system throw ends here.
    try {
      const std::lock_guard lock(driver.mutex_);
      driver.write_what_waits();
      if (wrong("refuses-unknown-members") && request.contains("kit_unknown")) {
        throw Failure{SKEP_E_INVALID, "kit_unknown is not known"};
      }
      return driver.end(op, (driver.*method)(request));
    } catch (const Failure& failure) {
      return driver.fail(op, failure);
    } catch (const fs::filesystem_error& error) {
      const bool full = error.code() == std::errc::no_space_on_device;
      const bool told = full && !wrong("full-disk-is-internal");
      return driver.fail(op, {told ? SKEP_E_EXHAUSTED : SKEP_E_INTERNAL, error.what()});
    } catch (const std::exception& error) {
      return driver.fail(op, {SKEP_E_INVALID, error.what()});
    }
  }

 private:
  struct Volume {
    std::string name;
    json args;
    std::vector<std::string> holders;
    std::set<std::string> readers = {};  // of the holders, as far as they came since the start
    bool forgotten = false;              // found on disk, and not restored
  };

  static const void* get_interface(void* self, const char* id);

  // ---- ends of operations
  skep_status end(skep_op* op, const json& reply);
  bool answers_strangely(skep_op* op, skep_str text);
  void log(const std::string& line) const { host_->log(host_, nullptr, SKEP_LOG_INFO, view(line)); }

  // ---- requests
  static std::string text_of(const json& request, const char* member);
  std::string name_of(const json& request) const;
  static void check_options(const json& request);
  void take_config(const json& request, bool checked);
  static json args_of(const json& request);
  void check_in_service() const {
    if (draining_) throw Failure{SKEP_E_UNAVAILABLE, "the driver is drained"};
  }

  // ---- volumes
  std::string folder(const std::string& name) const { return data_dir_ + "/" + name; }
  std::string target(const std::string& name) const {
    return mounts_ ? run_dir_ + "/" + name : folder(name) + "/data";
  }
  Volume& find(const std::string& name);
  json told(const Volume& volume);
  void make(const std::string& name, const json& args, const json& request);
  void check_sharing(const Volume& volume, const json& others, bool reads) const;
  void write_what_waits();
  void take(const std::string& name);
  void mount_once(const std::string& name);
  void unmount(const std::string& name);
  void read_all();

  const skep_host* host_;
  skep_instance instance_{};
  std::recursive_mutex mutex_;
  std::string run_dir_;
  std::string data_dir_;
  std::string store_;  // must be there; empty: nothing must
  bool mounts_ = false;
  bool draining_ = false;
  int probes_ = 0;
  int asked_ = 0;
  std::map<std::string, Volume> volumes_;
  // What mistakes remember.
  std::set<std::string> published_here_;
  std::set<std::string> waiting_;
  std::atomic<bool> changing_ = false;
  std::atomic<bool> met_ = false;
  skep_op* last_ = nullptr;
};

}  // namespace wrong_driver
