// Loading a library, calling it, and the functions it calls back into.
//
// Everything a driver hands over passes here once, in both modes: sizes, UTF-8, status codes and
// log lines are brought within the contract before the Listener sees them. A driver that breaks it
// is told of in its own log, as "plugin misbehaving: ...".
//
// dlopen's own words are taken apart into the two cases an operator can act on (a missing library,
// a missing symbol); Boost.DLL wraps them in an unrelated errno, so its text is not used.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/instance.hpp"

#define BOOST_DLL_USE_STD_FS
#include <dlfcn.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cstddef>
#include <cstring>
#include <exception>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "sdk/host/calls_inside.hpp"
#include "sdk/host/utf8.hpp"

namespace skep::host {
namespace {

std::string_view text(skep_str string) {
  return string.ptr == nullptr ? std::string_view() : std::string_view(string.ptr, string.len);
}

std::string_view word(const char* value) {
  return value == nullptr ? std::string_view() : std::string_view(value);
}

uint64_t number_of(skep_op* op) {
  return reinterpret_cast<uintptr_t>(op);
}

skep_op* op_of(uint64_t number) {
  return reinterpret_cast<skep_op*>(static_cast<uintptr_t>(number));
}

// What `function` threw, as the end of a sentence about the driver; empty when it threw nothing.
template <class Function>
std::string thrown_by(const Function& function) {
  try {
    function();
    return {};
  } catch (const std::exception& thrown) {
    return std::string("threw an exception: ") + thrown.what();
  } catch (...) {
    return "threw something that is no exception";
  }
}

// The library and the file it came from, kept mapped and open for ever: leaked on purpose, because
// neither Boost.DLL nor the C++ run time can promise a safe dlclose.
struct LoadedForEver {
  CheckedFile file;
  boost::dll::shared_library library;
};

// Whatever a driver may still use after its instance was destroyed. Nothing is ever taken out, and
// the list itself outlives the process's own destructors. [any thread]
template <class T>
T& keep_for_ever(std::unique_ptr<T> thing) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<T>>;
  const std::lock_guard lock(mutex);
  return *kept->emplace_back(std::move(thing));
}

// The names of one driver's figures. [any thread]
class MetricNames {
 public:
  // Whether figures of this name are taken.
  bool accept(std::string_view name) {
    const auto good = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    };
    if (name.empty() || name.size() > name_max || !std::all_of(name.begin(), name.end(), good)) {
      return false;
    }
    const std::lock_guard lock(mutex_);
    if (names_.contains(name)) return true;
    if (names_.size() >= names_max) return false;
    names_.emplace(name);
    return true;
  }

 private:
  static constexpr size_t name_max = 64;   // bytes, as in the ABI
  static constexpr size_t names_max = 64;  // of one driver, as in the ABI

  std::mutex mutex_;
  std::set<std::string, std::less<>> names_;
};

// What a driver calls, with all that these functions need. Never freed.
class HostSide {
 public:
  HostSide(std::string plugin_id, Listener& listener, HostShape shape);
  HostSide(const HostSide&) = delete;
  HostSide& operator=(const HostSide&) = delete;

  const skep_host* table() const { return reinterpret_cast<const skep_host*>(table_.data()); }
  void misbehaving(uint64_t number, const std::string& how) const {
    listener.logged(number, SKEP_LOG_ERROR, "plugin misbehaving: " + how);
  }

  const std::string plugin_id;
  Listener& listener;
  CallsInside inside;
  MetricNames metric_names;

 private:
  // In words, so that it is aligned; longer or shorter than skep_host when another host is played.
  std::vector<uint64_t> table_;
};

HostSide& side(const skep_host* host) {
  return *static_cast<HostSide*>(host->ctx);
}

void metric(const skep_host* host, skep_str name, int64_t value, bool set) {
  HostSide& here = side(host);
  if (here.metric_names.accept(text(name))) {
    here.listener.metric(text(name), value, set);
  } else {
    here.misbehaving(0, "a figure is named \"" + readable(text(name), 80) +
                            "\"; names are [a-z0-9_.]{1,64}, and a driver has at most 64");
  }
}

void metric_add(const skep_host* host, skep_str name, int64_t delta) {
  metric(host, name, delta, false);
}
void metric_set(const skep_host* host, skep_str name, int64_t value) {
  metric(host, name, value, true);
}

const void* get_extension(const skep_host*, const char* id) {
  static const skep_host_metric_1 metrics = {sizeof metrics, 0, &metric_add, &metric_set};
  return word(id) == SKEP_HOST_METRIC_1 ? &metrics : nullptr;
}

void log(const skep_host* host, skep_op* op, int32_t level, skep_str message) {
  HostSide& here = side(host);
  const int32_t known = std::clamp(level, SKEP_LOG_DEBUG, SKEP_LOG_ERROR);
  if (known < here.listener.log_level()) return;
  here.listener.logged(number_of(op), known, readable(text(message), log_line_max));
}

int32_t log_level(const skep_host* host) {
  return side(host).listener.log_level();
}

// Why a reply document can't be passed on, or nothing.
std::string fault_of(std::string_view what, std::string_view document, size_t bytes_max) {
  if (document.size() > bytes_max) {
    return std::string(what) + " of " + std::to_string(document.size()) +
           " bytes, over the limit of " + std::to_string(bytes_max);
  }
  if (!is_utf8(document)) return std::string(what) + " that is not UTF-8";
  return {};
}

void end_badly(HostSide& here, uint64_t number, const std::string& how) {
  here.misbehaving(number, how);
  here.listener.completed(number, SKEP_E_INTERNAL, {}, "the driver " + how);
}

void complete(const skep_host* host, skep_op* op, skep_status status, skep_str reply,
              skep_str error) {
  HostSide& here = side(host);
  const uint64_t number = number_of(op);
  here.inside.completed(number);
  const std::string fault = fault_of("gave a reply", text(reply), reply_max);
  if (!fault.empty()) return end_badly(here, number, fault);
  if (status == SKEP_OK) return here.listener.completed(number, status, text(reply), {});
  if (status > SKEP_OK || status <= SKEP_E_PLUGIN_LOST) {
    return end_badly(here, number,
                     "completed with status " + std::to_string(status) + ", which is no end (" +
                         readable(text(error), 200) + ")");
  }
  std::string reason = readable(text(error), SKEP_ERROR_MAX);
  if (reason.empty()) {
    reason = "the driver gave error " + std::to_string(status) + " and no reason";
  }
  here.listener.completed(number, status, text(reply), reason);
}

int32_t emit(const skep_host* host, skep_op* op, skep_str item) {
  HostSide& here = side(host);
  const std::string fault = fault_of("gave an item", text(item), item_max);
  if (fault.empty()) return here.listener.emitted(number_of(op), text(item)) ? 1 : 0;
  here.misbehaving(number_of(op), fault);
  return 0;
}

int32_t cancelled(const skep_host* host, skep_op* op) {
  return side(host).listener.cancelled(number_of(op)) ? 1 : 0;
}

int64_t deadline_ms(const skep_host* host, skep_op* op) {
  return side(host).listener.deadline_ms(number_of(op));
}

HostSide::HostSide(std::string id, Listener& heard_by, HostShape shape)
    : plugin_id(std::move(id)), listener(heard_by) {
  skep_host full = {shape.table_size, SKEP_ABI_MAJOR, shape.abi_minor, 0,         this,
                    &get_extension,   &log,           &log_level,      &complete, &emit,
                    &cancelled,       &deadline_ms};
  // What lies beyond the table is no function of any host: a driver that goes there crashes at
  // once.
  const size_t bytes = std::max<size_t>(shape.table_size, sizeof full);
  table_.assign((bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t), 0x5a5a5a5a5a5a5a5a);
  std::memcpy(table_.data(), &full, std::min<size_t>(shape.table_size, sizeof full));
}

Error link_error(const std::string& path, std::string_view reason) {
  const size_t symbol = reason.find("undefined symbol: ");
  if (symbol != std::string_view::npos) {
    std::string_view name = reason.substr(symbol + 18);
    name = name.substr(0, name.find_first_of(", "));
    return {ErrorKind::precondition,
            "missing_symbol: " + path + " needs " + std::string(name) +
                ", which no library provides; its author links with -Wl,-z,defs"};
  }
  if (reason.find("cannot open shared object file") != std::string_view::npos) {
    return {ErrorKind::precondition, "missing_library: " + path + " needs " +
                                         std::string(reason.substr(0, reason.find(':'))) +
                                         ", which is not installed; install it"};
  }
  return {ErrorKind::precondition, "init_failed: " + path + " can't be loaded (" +
                                       std::string(reason) + "); install it again"};
}

tl::unexpected<Error> init_failed(const std::string& path, const std::string& why) {
  return fail(ErrorKind::internal,
              "init_failed: " + path + " " + why + "; look for its lines in the log");
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) {
    if (!all.empty()) all += ' ';
    all += part;
  }
  return all;
}

std::string version_text(uint32_t major, uint32_t minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

// Descriptor and note must tell the same, or the file is not what was checked.
Status compare(const skep_plugin& descriptor, const PluginIdentity& identity,
               const std::string& path) {
  const auto differs = [&](const std::string& what, std::string_view in_note,
                           std::string_view in_descriptor) {
    return fail(ErrorKind::invalid, "note_differs: " + path + " has " + what + " \"" +
                                        std::string(in_note) + "\" in its note and \"" +
                                        std::string(in_descriptor) +
                                        "\" in its descriptor; its author makes them agree");
  };
  // Fields after `create` came to the struct one by one; a driver may be older than they are.
  constexpr size_t size_min = offsetof(skep_plugin, create) + sizeof(descriptor.create);
  if (descriptor.struct_size < size_min) {
    return differs("size", "at least " + std::to_string(size_min),
                   std::to_string(descriptor.struct_size));
  }
  if (word(descriptor.id) != identity.id) return differs("id", identity.id, word(descriptor.id));
  if (word(descriptor.version) != identity.version) {
    return differs("version", identity.version, word(descriptor.version));
  }
  if (descriptor.abi_major != identity.abi_major || descriptor.abi_minor != identity.abi_minor) {
    return differs("ABI", version_text(identity.abi_major, identity.abi_minor),
                   version_text(descriptor.abi_major, descriptor.abi_minor));
  }
  if (descriptor.host_minor_needed != identity.host_minor_needed) {
    return differs("lowest host", std::to_string(identity.host_minor_needed),
                   std::to_string(descriptor.host_minor_needed));
  }
  if (word(descriptor.interfaces) != joined(identity.interfaces)) {
    return differs("interfaces", joined(identity.interfaces), word(descriptor.interfaces));
  }
  if (descriptor.create == nullptr) return differs("create", "a function", "nothing");
  return {};
}

// Maps the file, and asks it who it is.
Result<const skep_plugin*> query(CheckedFile file) {
  auto loaded = std::make_unique<LoadedForEver>(LoadedForEver{std::move(file), {}});
  const std::string path = loaded->file.path();
  boost::dll::fs::error_code error;
  const std::string thrown = thrown_by([&] {  // by a constructor in the library
    loaded->library.load(loaded->file.load_path(), error,
                         boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  });
  if (!thrown.empty()) return init_failed(path, thrown);
  if (error) {
    const char* reason = dlerror();
    return fail(link_error(path, reason != nullptr ? reason : "no reason given"));
  }
  const LoadedForEver& library = keep_for_ever(std::move(loaded));
  if (!library.library.has("skep_plugin_query")) {
    return fail(ErrorKind::invalid,
                "missing_symbol: " + path +
                    " does not export skep_plugin_query; its author links with the version "
                    "script of the SDK");
  }
  const auto function = library.library.get<const skep_plugin*()>("skep_plugin_query");
  const skep_plugin* descriptor = function();
  if (descriptor == nullptr) {
    return fail(ErrorKind::invalid,
                "init_failed: " + path + " gave no descriptor; install it again");
  }
  return descriptor;
}

bool is_whole(const skep_instance* instance) {
  constexpr size_t size_min = offsetof(skep_instance, destroy) + sizeof(instance->destroy);
  return instance != nullptr && instance->struct_size >= size_min &&
         instance->get_interface != nullptr && instance->destroy != nullptr;
}

}  // namespace

struct Instance::Parts {
  struct Table {
    std::string interface;
    const void* table = nullptr;
  };

  // The driver's table of this interface, or nullptr.
  const void* table(std::string_view interface) const {
    for (const Table& known : tables) {
      if (known.interface == interface) return known.table;
    }
    const void* unnamed = nullptr;
    const std::string thrown = thrown_by(
        [&] { unnamed = instance->get_interface(instance->self, std::string(interface).c_str()); });
    if (!thrown.empty()) host->misbehaving(0, "get_interface " + thrown);
    return unnamed;
  }

  // The driver's function for the operation, or nullptr.
  skep_call find(const Operation& operation) const {
    const auto* bytes = static_cast<const char*>(table(operation.interface));
    uint32_t size = 0;
    skep_call function = nullptr;
    if (bytes == nullptr) return nullptr;
    std::memcpy(&size, bytes, sizeof size);
    if (size < operation.offset + sizeof function) return nullptr;
    std::memcpy(&function, bytes + operation.offset, sizeof function);
    return function;
  }

  PluginIdentity identity;
  const skep_plugin* descriptor = nullptr;
  const skep_instance* instance = nullptr;  // ours until destroy()
  HostSide* host = nullptr;                 // never freed
  std::vector<Table> tables;                // of the base and of all that the note names
};

Instance::Instance(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<Instance>> Instance::load(CheckedFile file, PluginIdentity identity,
                                                 Listener& listener, HostShape shape) {
  const std::string path = file.path();
  if (identity.host_minor_needed > shape.abi_minor) {
    return fail(ErrorKind::precondition,
                "host_too_old: " + path + " needs plugin ABI " +
                    version_text(SKEP_ABI_MAJOR, identity.host_minor_needed) + ", this host has " +
                    version_text(SKEP_ABI_MAJOR, shape.abi_minor) + "; update skep");
  }
  auto parts = std::make_unique<Parts>();
  SKEP_TRY_ASSIGN(parts->descriptor, query(std::move(file)));
  SKEP_TRY(compare(*parts->descriptor, identity, path));
  parts->host = &keep_for_ever(std::make_unique<HostSide>(identity.id, listener, shape));
  parts->identity = std::move(identity);
  const std::string thrown = thrown_by([&] {
    parts->instance = parts->descriptor->create(parts->host->table());
    if (!is_whole(parts->instance)) return;
    parts->tables.push_back({SKEP_BASE_1, nullptr});
    for (const std::string& id : parts->identity.interfaces) parts->tables.push_back({id, nullptr});
    for (Parts::Table& known : parts->tables) {
      known.table = parts->instance->get_interface(parts->instance->self, known.interface.c_str());
    }
  });
  if (!thrown.empty()) return init_failed(path, thrown);
  if (!is_whole(parts->instance)) return init_failed(path, "could not make an instance");
  return std::unique_ptr<Instance>(new Instance(std::move(parts)));
}

Instance::~Instance() {
  const std::string thrown =
      thrown_by([this] { parts_->instance->destroy(parts_->instance->self); });
  if (!thrown.empty()) parts_->host->misbehaving(0, "destroy " + thrown);
}

const PluginIdentity& Instance::identity() const {
  return parts_->identity;
}

const skep_plugin& Instance::descriptor() const {
  return *parts_->descriptor;
}

bool Instance::has(const Operation& operation) const {
  return parts_->find(operation) != nullptr;
}

namespace {

// Why a driver that returned this without having completed the call broke its word; empty: it did
// not.
std::string broken_word(skep_status returned) {
  if (returned == SKEP_OK) return "said that the call is done, but gave no reply";
  if (returned > SKEP_PENDING || returned <= SKEP_E_PLUGIN_LOST) {
    return "returned status " + std::to_string(returned) + ", which is none";
  }
  return {};
}

}  // namespace

void Instance::call(const Operation& operation, uint64_t number, std::string_view request) {
  HostSide& host = *parts_->host;
  const skep_call function = parts_->find(operation);
  if (function == nullptr) {
    return host.listener.completed(
        number, SKEP_E_UNIMPLEMENTED, {},
        "driver " + host.plugin_id + " lacks the operation " + std::string(operation.name));
  }
  if (request.size() > SKEP_REQUEST_MAX) {
    return host.listener.completed(
        number, SKEP_E_INVALID, {},
        "a request to driver " + host.plugin_id + " has " + std::to_string(request.size()) +
            " bytes, over the limit of " + std::to_string(SKEP_REQUEST_MAX));
  }
  host.inside.enter(number);
  skep_status status = SKEP_E_INTERNAL;
  const std::string thrown = thrown_by([&] {
    status = function(parts_->instance->self, op_of(number), {request.data(), request.size()});
  });
  const bool completed = host.inside.leave(number);
  if (completed) {
    if (!thrown.empty()) host.misbehaving(number, thrown);
    return;
  }
  if (thrown.empty() && status == SKEP_PENDING) return;
  const std::string broken = thrown.empty() ? broken_word(status) : thrown;
  if (!broken.empty()) return end_badly(host, number, broken);
  host.listener.completed(number, status, {},
                          "the driver ended the call with an error and no reason");
}

void Instance::cancel(uint64_t number) {
  const skep_instance* instance = parts_->instance;
  if (!SKEP_HAS(instance, skep_instance, cancel)) return;
  const std::string thrown = thrown_by([&] { instance->cancel(instance->self, op_of(number)); });
  if (!thrown.empty()) parts_->host->misbehaving(number, "cancel " + thrown);
}

}  // namespace skep::host
