// What every driver has, of the volume driver: requests, ends, configuration, restore, tables.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/wrong/volumes.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "skep/volume.h"

namespace wrong_driver {

const char* const interfaces = "skep.base/1 skep.volume/1";
const char* const config_schema =
    R"({"type": "object", "required": ["color"],
        "properties": {"color": {"type": "string", "default": "red"}, "store": {"type": "string"}}})";

void pause_ms(int milliseconds) {
  for (const auto until =
           std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
       std::chrono::steady_clock::now() < until;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void wait_for(const std::atomic<bool>& seen) {
  for (int i = 0; i < 4'000 && !seen; ++i) pause_ms(1);
}

Shared& shared() {
  static Shared one;
  return one;
}

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

namespace {

int depth_of(const char* at, const char* end) {
  volatile char room[512] = {};  // a deep request uses up the stack
  room[0] = 1;
  if (at == end || (*at != '[' && *at != '{' && *at != '"' && *at != ':')) return room[0];
  return depth_of(at + 1, end) + room[0];
}

}  // namespace

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

void Volumes::check_options(const json& request) {
  if (wrong("takes-unknown-options")) return;
  const json options = request.value("options", json::object());
  for (const auto& [name, value] : options.items()) {
    if (name != "mode") throw Failure{SKEP_E_INVALID, "option " + name + " is not known"};
    if (value != "0700" && value != "0755" && !wrong("takes-bad-values")) {
      throw Failure{SKEP_E_INVALID, "option mode can't be " + value.dump()};
    }
  }
}

json Volumes::args_of(const json& request) {
  json args = json::object();
  for (const char* const member : {"options", "capacity_bytes", "sharing", "secrets"}) {
    const bool kept = std::strcmp(member, "secrets") != 0 || wrong("keeps-secrets");
    if (kept && request.contains(member)) args[member] = request[member];
  }
  return args;
}

// Takes nothing of what it refuses.
void Volumes::take_config(const json& request, bool checked) {
  const json& config = request.at("config");
  if (!config.is_object()) throw Failure{SKEP_E_INVALID, "config is no object"};
  for (const char* const member : {"color", "store"}) {
    if (checked && config.contains(member) && !config[member].is_string()) {
      throw Failure{SKEP_E_INVALID, std::string("config: ") + member + " is no text"};
    }
  }
  if (!config.contains("color") && !wrong("takes-an-incomplete-configuration")) {
    throw Failure{SKEP_E_INVALID, "config: color is missing"};
  }
  if (wrong("refuses-a-good-configuration")) {
    throw Failure{SKEP_E_INVALID, "config: color can't be " + config["color"].dump()};
  }
  if (wrong("too-much-is-not-named") && config.contains("kit_unknown_member")) {
    throw Failure{SKEP_E_INVALID, "config has a member too much"};
  }
  const json store = config.value("store", json(""));
  store_ = store.is_string() ? store.get<std::string>() : "";
}

json Volumes::reconfigure(const json& request) {
  take_config(request, !wrong("reconfigure-takes-anything"));
  return json::object();
}

json Volumes::capabilities(const json&) {
  json all{{"scope", "local"}, {"sharing", {"all", "readonly", "onewriter", "none"}}};
  if (wrong("sharing-is-not-told")) all.erase("sharing");
  if (wrong("capabilities-change") && ++asked_ % 2 == 0) all["sharing"] = {"all"};
  return all;
}

json Volumes::configure(const json& request) {
  if (wrong("needs-its-own-host") && host_->struct_size != sizeof *host_) {
    throw Failure{SKEP_E_PRECONDITION, "the host is not the one this was built with"};
  }
  if (wrong("needs-a-newer-host-than-it-says") && host_->abi_minor == 0) {
    throw Failure{SKEP_E_PRECONDITION, "the host is older than 1.1"};
  }
  take_config(request, !wrong("takes-any-configuration"));
  if (wrong("does-not-start-after-shutdown") &&
      fs::exists(text_of(request, "run_dir") + "/stopped")) {
    throw Failure{SKEP_E_PRECONDITION, "it was stopped"};
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
  std::set<std::string> saved;
  std::ifstream list(data_dir_ + "/.saved");
  for (std::string name; list >> name;) saved.insert(name);
  list.close();
  for (const auto& entry : fs::directory_iterator(data_dir_)) {
    const std::string name = entry.path().filename();
    if (wrong("saves-only-in-good-order") && !saved.contains(name)) continue;
    if (name.front() == '.') {  // a volume that was being made, or taken away
      if (!wrong("half-made-after-a-crash")) fs::remove_all(entry.path());
      continue;
    }
    std::ifstream file(entry.path() / "args.json");
    // The volumes of one that lets names lead out have no such file.
    const json args = wrong("names-lead-out") ? json::object() : json::parse(file, nullptr, false);
    if (args.is_discarded() && wrong("half-made-after-a-crash")) continue;
    if (!wrong("remembers-nothing")) volumes_[name] = {name, args, {}, {}, true};
  }
}

Volumes::~Volumes() {
  if (wrong("saves-only-in-good-order") && !data_dir_.empty()) {
    std::ofstream list(data_dir_ + "/.saved");
    for (const auto& [name, volume] : volumes_) list << name << "\n";
  }
  if (wrong("completes-in-its-end") && last_ != nullptr) {
    host_->complete(host_, last_, SKEP_OK, view("{\"used_bytes\":1}"), view(""));
  }
}

json Volumes::shutdown(const json&) {
  if (wrong("does-not-start-after-shutdown")) std::ofstream(run_dir_ + "/stopped") << "yes";
  return json::object();
}

json Volumes::probe(const json&) {
  if (wrong("probe-crashes-unconfigured") && run_dir_.empty()) abort();
  if (wrong("slow-probe") && ++probes_ > 5) pause_ms(2'200);
  if (wrong("probe-changes-its-mind") && ++probes_ > 9) {
    return {{"state", "broken"}, {"reason", "just so"}};
  }
  if (wrong("logs-for-an-operation-that-never-was")) {
    auto* const nobody = reinterpret_cast<skep_op*>(uintptr_t{1} << 40);
    host_->log(host_, nobody, SKEP_LOG_INFO, view("who asked?"));
  }
  if (!store_.empty() && !fs::exists(store_)) {
    const std::string what = wrong("dependency-is-not-named") ? "something" : store_;
    return {{"state", "not_ready"}, {"reason", what + " is not there"}};
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
  volume.forgotten = false;
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

// ---- mistakes with the end of an operation, of `usage` alone

namespace {

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

template <json (Volumes::*method)(const json&)>
skep_status remembered(void* self, skep_op* op, skep_str request) {
  static_cast<Volumes*>(self)->remember(op);
  return Volumes::call<method>(self, op, request);
}

// Takes the wish of not being wanted any more for a failure of its own.
skep_status disturbed(void* self, skep_op* op, skep_str) {
  auto& driver = *static_cast<Volumes*>(self);
  for (int i = 0; i < 4'000 && driver.host()->cancelled(driver.host(), op) == 0; ++i) pause_ms(1);
  return driver.fail(op, {SKEP_E_INTERNAL, "it was disturbed"});
}

skep_call usage_function() {
  using Me = Volumes;
  if (wrong("completes-in-its-end")) return remembered<&Me::usage>;
  if (wrong("forgets-to-complete")) return never;
  if (wrong("completes-twice")) return twice<&Me::usage>;
  if (wrong("completes-late")) return late<&Me::usage>;
  if (wrong("throws-in-one-operation")) return throws;
  return Volumes::call<&Me::usage>;
}

}  // namespace

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
                                   call<&Me::reconfigure>};
  static const skep_volume_1 volume = {sizeof volume,
                                       0,
                                       wrong("cancel-is-a-failure") ? disturbed : call<&Me::create>,
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
                                       call<&Me::attach>,
                                       call<&Me::detach>,
                                       nullptr,
                                       nullptr};
  if (std::strcmp(id, SKEP_BASE_1) == 0) return &base;
  if (std::strcmp(id, SKEP_VOLUME_1) == 0) return &volume;
  return nullptr;
}

const skep_instance* make(const skep_host* host) {
  return (new Volumes(host))->instance();
}

}  // namespace wrong_driver
