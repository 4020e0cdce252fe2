// A volume driver that is right, and the mistakes one can make in it.
//
// A volume is a folder data_dir/NAME with what it was made of (args.json) and its data; it appears
// and goes by a rename, so that a crash leaves whole volumes alone. publish binds the data to
// run_dir/NAME (where mounting is allowed), once, which /proc/self/mountinfo tells and no memory.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "skep/abi.h"
#include "skep/volume.h"
#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {

const char* const interfaces = "skep.base/1 skep.volume/1";
const char* const config_schema =
    R"({"type": "object", "properties": {"color": {"type": "string", "default": "red"}}})";

namespace {

using json = nlohmann::json;
namespace fs = std::filesystem;

struct Failure {
  skep_status code;
  std::string text;
};

skep_str view(std::string_view text) {
  return {text.data(), text.size()};
}

void pause_ms(int milliseconds) {
  // For mistakes that need a moment to be seen in; nothing waits for it.
  for (const auto until =
           std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
       std::chrono::steady_clock::now() < until;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int mounts_at(const std::string& path) {
  int count = 0;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    if (word == path) ++count;
  }
  return count;
}

// What the mistakes with memory between instances keep.
struct Shared {
  std::map<std::string, json> volumes;
  const skep_host* host = nullptr;
};
Shared& shared() {
  static Shared one;
  return one;
}

class Volumes {
 public:
  explicit Volumes(const skep_host* host) : host_(host) {
    instance_.struct_size = sizeof instance_;
    instance_.self = this;
    instance_.get_interface = &get_interface;
    instance_.destroy = [](void* self) { delete static_cast<Volumes*>(self); };
    shared().host = host;
  }
  const skep_instance* instance() const { return &instance_; }

  json capabilities(const json&) { return {{"scope", "local"}}; }
  json configure(const json& request);
  json probe(const json&);
  json restore(const json& request);
  json restore_done(const json& request);
  json drain(const json&) {
    draining_ = !wrong("works-while-drained");
    return json::object();
  }
  json shutdown(const json&) { return json::object(); }
  json dump(const json&) { return {{"volumes", volumes_.size()}}; }

  json create(const json& request);
  json remove(const json& request);
  json get(const json& request) { return told(find(name_of(request))); }
  json list(const json& request);
  json validate(const json& request);
  json publish(const json& request);
  json unpublish(const json& request);
  json usage(const json& request);
  json mounts(const json&);

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
  };

  static const void* get_interface(void* self, const char* id);

  // ---- ends of operations
  const skep_host* host() const { return wrong("host-in-a-static") ? shared().host : host_; }
  skep_status end(skep_op* op, const json& reply);
  skep_status fail(skep_op* op, const Failure& failure);
  bool answers_strangely(skep_op* op, skep_str text);
  void log(const std::string& line) const { host_->log(host_, nullptr, SKEP_LOG_INFO, view(line)); }

  // ---- requests
  static std::string text_of(const json& request, const char* member);
  std::string name_of(const json& request) const;
  void check_options(const json& request) const;
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
  void take(const std::string& name);
  void mount_once(const std::string& name);
  void unmount(const std::string& name);
  void read_all();

  const skep_host* host_;
  skep_instance instance_{};
  std::recursive_mutex mutex_;
  std::string run_dir_;
  std::string data_dir_;
  bool mounts_ = false;
  bool draining_ = false;
  int probes_ = 0;
  std::map<std::string, Volume> volumes_;
  std::set<std::string> published_here_;  // a mistake's memory
};

skep_status Volumes::end(skep_op* op, const json& reply) {
  const std::string text = reply.dump(-1, ' ', false, json::error_handler_t::replace);
  host()->complete(host(), op, SKEP_OK, view(text), view(""));
  return SKEP_OK;
}

skep_status Volumes::fail(skep_op* op, const Failure& failure) {
  std::string text = failure.text;
  if (wrong("error-without-a-sentence")) text.clear();
  host()->complete(host(), op, failure.code, view(""), view(text));
  return SKEP_OK;
}

int depth_of(const char* at, const char* end) {
  volatile char room[512] = {};  // a deep request uses up the stack
  room[0] = 1;
  if (at == end || (*at != '[' && *at != '{' && *at != '"' && *at != ':')) return room[0];
  return depth_of(at + 1, end) + room[0];
}

// Mistakes with whatever request.
bool Volumes::answers_strangely(skep_op* op, skep_str text) {
  const std::string_view request(text.ptr == nullptr ? "" : text.ptr, text.len);
  if (wrong("crashes-on-bad-utf8")) {
    const json parsed = json::parse(request, nullptr, false);
    if (parsed.is_discarded() && request.find('\xff') != std::string_view::npos) abort();
  }
  if (wrong("crashes-on-deep-requests")) {
    const size_t bracket = request.find("[[[");
    if (bracket != std::string_view::npos) {
      volatile const int depth =
          depth_of(request.data() + bracket, request.data() + request.size());
      static_cast<void>(depth);
    }
  }
  if (wrong("crashes-on-large-requests") && request.size() > (1u << 19)) abort();
  if (wrong("hangs-on-empty-requests") && request.empty()) return true;
  static_cast<void>(op);
  return false;
}

std::string Volumes::text_of(const json& request, const char* member) {
  const auto found = request.find(member);
  if (found == request.end() || !found->is_string()) {
    if (wrong("error-without-the-member")) throw Failure{SKEP_E_INVALID, "bad request"};
    throw Failure{SKEP_E_INVALID, std::string(member) + " is no text"};
  }
  return found->get<std::string>();
}

std::string Volumes::name_of(const json& request) const {
  std::string name = text_of(request, "volume");
  if (name.size() > SKEP_ID_MAX && !wrong("takes-long-ids")) {
    throw Failure{SKEP_E_INVALID, "volume has a name over 128 bytes"};
  }
  const bool leads_out = name.empty() || name.front() == '.' || name.find('/') != std::string::npos;
  if (leads_out && !wrong("names-lead-out")) {
    throw Failure{SKEP_E_INVALID, "volume can't have the name \"" + name + "\""};
  }
  return name;
}

void Volumes::check_options(const json& request) const {
  if (wrong("takes-unknown-options")) return;
  const json options = request.value("options", json::object());
  if (options.empty()) return;
  throw Failure{SKEP_E_INVALID, "option " + options.begin().key() + " is not known"};
}

json Volumes::args_of(const json& request) {
  json args = json::object();
  for (const char* const member : {"options", "capacity_bytes", "sharing", "secrets"}) {
    const bool kept = std::strcmp(member, "secrets") != 0 || wrong("keeps-secrets");
    if (kept && request.contains(member)) args[member] = request[member];
  }
  return args;
}

json Volumes::configure(const json& request) {
  if (wrong("needs-its-own-host") && host_->struct_size != sizeof *host_) {
    throw Failure{SKEP_E_PRECONDITION, "the host is not the one this was built with"};
  }
  const json& config = request.at("config");
  if (!config.is_object()) throw Failure{SKEP_E_INVALID, "config is no object"};
  const json color = config.value("color", json("red"));
  if (!color.is_string() && !wrong("takes-any-configuration")) {
    throw Failure{SKEP_E_INVALID, "config: color is no text"};
  }
  run_dir_ = text_of(request, "run_dir");
  data_dir_ = text_of(request, "data_dir");
  mounts_ = geteuid() == 0;
  if (wrong("file-per-configure")) static_cast<void>(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (wrong("bad-metric-name")) {
    const auto* const metric =
        static_cast<const skep_host_metric_1*>(host_->get_extension(host_, SKEP_HOST_METRIC_1));
    if (SKEP_HAS(metric, skep_host_metric_1, add)) metric->add(host_, view("Not Good"), 1);
  }
  read_all();
  return json::object();
}

void Volumes::read_all() {
  for (const auto& entry : fs::directory_iterator(data_dir_)) {
    const std::string name = entry.path().filename();
    if (name.front() == '.') {  // a volume that was being made, or taken away
      if (!wrong("half-made-after-a-crash")) fs::remove_all(entry.path());
      continue;
    }
    std::ifstream file(entry.path() / "args.json");
    const json args = json::parse(file, nullptr, false);
    if (args.is_discarded() && wrong("half-made-after-a-crash")) continue;
    if (!wrong("remembers-nothing")) volumes_[name] = {name, args, {}};
  }
}

json Volumes::probe(const json&) {
  if (wrong("probe-crashes-unconfigured") && run_dir_.empty()) abort();
  if (wrong("slow-probe") && ++probes_ > 5) pause_ms(2'200);
  if (wrong("probe-changes-its-mind") && ++probes_ > 9) {
    return {{"state", "broken"}, {"reason", "just so"}};
  }
  return {{"state", "ready"}};
}

json Volumes::restore(const json& request) {
  const std::string name = text_of(request, "id");
  if (wrong("restore-makes") && !volumes_.contains(name)) make(name, json::object(), request);
  if (wrong("deletes-before-restore-done")) {
    for (const auto& [other, volume] : std::map(volumes_)) {
      if (other != name) take(other);
    }
  }
  Volume& volume = find(name);
  if (!wrong("forgets-restored-holders")) {
    volume.holders = request.value("holders", std::vector<std::string>());
  }
  if (wrong("remembers-holders-itself") && mounts_at(target(name)) > 0) {
    volume.holders = {"somebody"};
  }
  if (volume.holders.empty()) unmount(name);
  return json::object();
}

json Volumes::restore_done(const json& request) {
  const json ids = request.value("ids", json());
  if (!ids.is_array()) throw Failure{SKEP_E_INVALID, "ids is no list"};
  if (wrong("deletes-what-was-named")) {
    for (const auto& [name, volume] : std::map(volumes_)) take(name);
  }
  return json::object();
}

Volumes::Volume& Volumes::find(const std::string& name) {
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) throw Failure{SKEP_E_NOTFOUND, "there is no volume " + name};
  return found->second;
}

json Volumes::told(const Volume& volume) {
  json document{{"volume", volume.name}, {"handle", {{"v", 1}}}};
  if (volume.args.contains("options")) document["options"] = volume.args["options"];
  if (wrong("reply-of-another-shape")) document["path"] = 17;
  return document;
}

void Volumes::make(const std::string& name, const json& args, const json& request) {
  const std::string fresh =
      wrong("half-made-after-a-crash") ? folder(name) : data_dir_ + "/.new-" + name;
  if (wrong("half-made-after-a-crash") && fs::exists(fresh)) {
    throw Failure{SKEP_E_INTERNAL, fresh + " is in the way"};
  }
  const auto leave_nothing = [&] {
    if (!wrong("leaves-half-made")) fs::remove_all(fresh);
  };
  try {
    fs::create_directories(wrong("names-lead-out") ? folder(name) + "/data" : fresh + "/data");
    if (wrong("half-made-after-a-crash")) pause_ms(20);
    const std::string gone = data_dir_ + "/.gone-" + name;
    if (wrong("data-outlives-remove") && fs::exists(gone)) {
      fs::remove_all(fresh);
      fs::rename(gone, fresh);
    }
    check_options(request);
    if (wrong("names-lead-out")) return void(volumes_[name] = {name, args, {}});
    std::ofstream file(fresh + "/args.json");
    file << args.dump();
    file.close();
    if (!file) {
      throw fs::filesystem_error("args.json", std::make_error_code(std::errc::no_space_on_device));
    }
    if (fresh != folder(name)) fs::rename(fresh, folder(name));
  } catch (const Failure&) {
    leave_nothing();
    throw;
  } catch (const fs::filesystem_error&) {
    leave_nothing();
    throw;
  }
  volumes_[name] = {name, args, {}};
}

json Volumes::create(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  if (wrong("logs-secrets")) log("create " + request.dump());
  if (wrong("objects-in-a-static")) volumes_.clear();
  if (wrong("objects-in-a-static")) {
    for (const auto& [other, args] : shared().volumes) volumes_[other] = {other, args, {}};
  }
  if (request.value("sharing", "all") != "all") {
    throw Failure{SKEP_E_UNIMPLEMENTED, "sharing all alone is there"};
  }
  const json args = args_of(request);
  if (const auto there = volumes_.find(name); there != volumes_.end()) {
    if (wrong("create-is-not-idempotent")) throw Failure{SKEP_E_EXISTS, name + " is there"};
    if (there->second.args != args && !wrong("takes-other-arguments")) {
      throw Failure{SKEP_E_EXISTS, name + " was made otherwise"};
    }
  } else if (wrong("loses-objects-when-many-come")) {
    // Reads, changes and writes its list without holding it.
    auto copy = volumes_;
    mutex_.unlock();
    pause_ms(3);
    mutex_.lock();
    make(name, args, request);
    copy[name] = volumes_[name];
    volumes_ = copy;
  } else {
    make(name, args, request);
  }
  if (wrong("objects-in-a-static")) shared().volumes[name] = args;
  json reply{{"handle", {{"v", 1}}}};
  if (wrong("differs-in-process") &&
      fs::read_symlink("/proc/self/exe").filename() == "skep-plugin-host") {
    reply["capacity_bytes"] = 1;
  }
  if (wrong("another-reply-each-time")) {
    reply["handle"]["v"] = std::chrono::steady_clock::now().time_since_epoch().count();
  }
  return reply;
}

void Volumes::take(const std::string& name) {
  unmount(name);
  volumes_.erase(name);
  shared().volumes.erase(name);
  const std::string going = data_dir_ + "/.gone-" + name;
  std::error_code absent;  // after a crash there may be nothing any more
  fs::rename(folder(name), going, absent);
  if (!wrong("data-outlives-remove")) fs::remove_all(going);
}

json Volumes::remove(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) {
    if (wrong("remove-of-unknown-fails")) throw Failure{SKEP_E_NOTFOUND, name + " is not there"};
    return json::object();
  }
  const std::vector<std::string>& holders = found->second.holders;
  if (!holders.empty() && !wrong("removes-what-is-held")) {
    throw Failure{SKEP_E_BUSY, wrong("busy-without-a-name") ? name + " is held"
                                                            : name + " is held by " + holders[0]};
  }
  take(name);
  return json::object();
}

json Volumes::list(const json& request) {
  const size_t max = request.value("max", volumes_.size() + 1);
  const std::string token = request.value("token", "");
  json reply{{"volumes", json::array()}};
  size_t position = 0;
  for (const auto& [name, volume] : volumes_) {
    // By position, names that came or went move the others.
    const bool before = wrong("pages-by-position")
                            ? position++ < static_cast<size_t>(token.empty() ? 0 : std::stoi(token))
                            : !token.empty() && name <= token;
    if (before) continue;
    if (reply["volumes"].size() == max && !wrong("ignores-max")) {
      reply["next"] = wrong("pages-by-position")
                          ? std::to_string(position - 1)
                          : reply["volumes"].back().at("volume").get<std::string>();
      break;
    }
    reply["volumes"].push_back(told(volume));
    if (wrong("lists-twice")) reply["volumes"].push_back(told(volume));
  }
  return reply;
}

json Volumes::validate(const json& request) {
  check_options(request);
  if (wrong("validate-makes") && !volumes_.contains("validated")) {
    make("validated", json::object(), json::object());
  }
  return json::object();
}

void Volumes::mount_once(const std::string& name) {
  if (!mounts_) return;
  const std::string place = target(name);
  fs::create_directories(place);
  const bool again = wrong("mounts-again") && published_here_.insert(name).second;
  if (mounts_at(place) > 0 && !again) return;
  if (::mount((folder(name) + "/data").c_str(), place.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw Failure{SKEP_E_INTERNAL, place + " can't be mounted: " + std::strerror(errno)};
  }
}

void Volumes::unmount(const std::string& name) {
  if (!mounts_) return;
  const std::string place = target(name);
  while (mounts_at(place) > 0) {
    if (umount2(place.c_str(), MNT_DETACH) != 0) break;
  }
  std::error_code ignored;  // it may never have been published
  fs::remove(place, ignored);
}

json Volumes::publish(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  if (wrong("publish-makes") && !volumes_.contains(name)) make(name, json::object(), request);
  if (wrong("publish-wants-a-handle") && request.value("handle", json()).is_null()) {
    throw Failure{SKEP_E_INVALID, "handle is absent"};
  }
  Volume& volume = find(name);
  const std::string holder = text_of(request, "holder");
  if (wrong("one-holder-alone") && !request.value("holders", json::array()).empty()) {
    throw Failure{SKEP_E_PRECONDITION, name + " is held by another"};
  }
  mount_once(name);
  if (wrong("counts-holders-itself")) {
    volume.holders.push_back(holder);
  } else {
    volume.holders = request.value("holders", std::vector<std::string>());
    volume.holders.push_back(holder);
  }
  if (wrong("path-is-not-there")) return {{"path", target(name) + "/nowhere"}};
  return {{"path", target(name)}};
}

json Volumes::unpublish(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  const std::string holder = text_of(request, "holder");
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) return json::object();
  std::vector<std::string>& holders = found->second.holders;
  if (wrong("counts-holders-itself")) {
    if (const auto one = std::ranges::find(holders, holder); one != holders.end()) {
      holders.erase(one);
    }
  } else {
    holders = request.value("holders", std::vector<std::string>());
  }
  if (wrong("unmounts-under-the-others") || (holders.empty() && !wrong("never-unmounts"))) {
    unmount(name);
  }
  return json::object();
}

json Volumes::usage(const json& request) {
  Volume& volume = find(name_of(request));
  uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder(volume.name) + "/data")) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return {{"used_bytes", wrong("usage-is-made-up") ? 4096 : bytes}};
}

json Volumes::mounts(const json&) {
  json all = json::array();
  for (const auto& [name, volume] : volumes_) {
    if (mounts_ && mounts_at(target(name)) > 0 && !wrong("mounts-tells-nothing")) {
      all.push_back({{"volume", name}, {"path", target(name)}});
    }
  }
  return {{"mounts", all}};
}

// ---- mistakes with the end of an operation, of `usage` alone

skep_status never(void*, skep_op*, skep_str) {
  return SKEP_PENDING;
}

struct Late {
  const skep_host* host;
  skep_op* op;
};

template <json (Volumes::*method)(const json&)>
skep_status twice(void* self, skep_op* op, skep_str request) {
  const skep_host* const host = shared().host;
  const skep_status status = Volumes::call<method>(self, op, request);
  host->complete(host, op, SKEP_OK, view("{\"used_bytes\":1}"), view(""));
  return status;
}

// Completes a second time, from a thread, when the instance may be gone.
template <json (Volumes::*method)(const json&)>
skep_status late(void* self, skep_op* op, skep_str request) {
  auto* const work = new Late{shared().host, op};
  const skep_status status = Volumes::call<method>(self, op, request);
  pthread_t thread;
  const auto body = [](void* argument) -> void* {
    const Late work = *static_cast<Late*>(argument);
    delete static_cast<Late*>(argument);
    pause_ms(60);
    work.host->complete(work.host, work.op, SKEP_OK, view("{\"used_bytes\":1}"), view(""));
    return nullptr;
  };
  if (pthread_create(&thread, nullptr, body, work) == 0) pthread_detach(thread);
  return status;
}

skep_status throws(void*, skep_op*, skep_str) {
  throw std::runtime_error("over the wall");
}

skep_call usage_function() {
  using Me = Volumes;
  if (wrong("forgets-to-complete")) return never;
  if (wrong("completes-twice")) return twice<&Me::usage>;
  if (wrong("completes-late")) return late<&Me::usage>;
  if (wrong("throws-in-one-operation")) return throws;
  return Volumes::call<&Me::usage>;
}

const void* Volumes::get_interface(void*, const char* id) {
  using Me = Volumes;
  static const skep_base_1 base = {sizeof base,
                                   0,
                                   call<&Me::capabilities>,
                                   call<&Me::configure>,
                                   call<&Me::probe>,
                                   call<&Me::restore>,
                                   call<&Me::restore_done>,
                                   call<&Me::drain>,
                                   call<&Me::shutdown>,
                                   wrong("lacks-a-function") ? nullptr : call<&Me::dump>,
                                   nullptr};
  static const skep_volume_1 volume = {sizeof volume,
                                       0,
                                       call<&Me::create>,
                                       call<&Me::remove>,
                                       call<&Me::get>,
                                       call<&Me::list>,
                                       call<&Me::validate>,
                                       call<&Me::publish>,
                                       call<&Me::unpublish>,
                                       usage_function(),
                                       call<&Me::mounts>,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr};
  if (std::strcmp(id, SKEP_BASE_1) == 0) return &base;
  if (std::strcmp(id, SKEP_VOLUME_1) == 0) return &volume;
  return nullptr;
}

}  // namespace

const skep_instance* make(const skep_host* host) {
  return (new Volumes(host))->instance();
}

}  // namespace wrong_driver
