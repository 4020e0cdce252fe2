// Loading a library, and the functions a driver calls back into.
//
// dlopen's own words are taken apart into the two cases an operator can act on (a missing library,
// a missing symbol); Boost.DLL wraps them in an unrelated errno, so its text is not used.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/plugin_host.hpp"

#define BOOST_DLL_USE_STD_FS
#include <dlfcn.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/dll/shared_library.hpp>
#include <chrono>
#include <cstring>
#include <utility>

namespace skep::drivers {
namespace {

constexpr size_t workers_max = 32;        // threads of one plugin
constexpr size_t items_queued_max = 256;  // of one stream, before the driver is asked to pause
constexpr size_t reply_max = size_t{64} << 20;  // bytes: an image list of a large node is ~10 MiB
constexpr size_t log_line_max = 8u << 10;       // bytes

std::string_view text(skep_str string) {
  return string.ptr == nullptr ? std::string_view() : std::string_view(string.ptr, string.len);
}

uint64_t number_of(skep_op* op) {
  return reinterpret_cast<uintptr_t>(op);
}

HostTable& table_of(const skep_host* host) {
  return *static_cast<HostTable*>(host->ctx);
}

Error link_error(const std::string& path, std::string_view reason) {
  const size_t symbol = reason.find("undefined symbol: ");
  if (symbol != std::string_view::npos) {
    std::string_view name = reason.substr(symbol + 18);
    name = name.substr(0, name.find_first_of(", "));
    return {ErrorKind::precondition,
            fmt::format("missing_symbol: {} needs {}, which no library provides; its author links "
                        "with -Wl,-z,defs",
                        path, name)};
  }
  if (reason.find("cannot open shared object file") != std::string_view::npos) {
    return {ErrorKind::precondition,
            fmt::format("missing_library: {} needs {}, which is not installed; install it", path,
                        reason.substr(0, reason.find(':')))};
  }
  return {ErrorKind::precondition,
          fmt::format("init_failed: {} can't be loaded ({}); install it again", path, reason)};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) {
    if (!all.empty()) all += ' ';
    all += part;
  }
  return all;
}

// Descriptor and note must tell the same, or the file is not what was checked.
Status compare(const skep_plugin& descriptor, const PluginIdentity& identity,
               const std::string& path) {
  const auto differs = [&](std::string_view what, std::string_view in_note,
                           std::string_view in_descriptor) {
    return fail(ErrorKind::invalid,
                fmt::format("note_differs: {} has {} \"{}\" in its note and \"{}\" in its "
                            "descriptor; its author makes them agree",
                            path, what, in_note, in_descriptor));
  };
  const auto word = [](const char* value) { return std::string_view(value ? value : ""); };
  if (descriptor.struct_size < sizeof(skep_plugin)) {
    return differs("size", std::to_string(sizeof(skep_plugin)),
                   std::to_string(descriptor.struct_size));
  }
  if (word(descriptor.id) != identity.id) return differs("id", identity.id, word(descriptor.id));
  if (word(descriptor.version) != identity.version) {
    return differs("version", identity.version, word(descriptor.version));
  }
  if (descriptor.abi_major != identity.abi_major || descriptor.abi_minor != identity.abi_minor) {
    return differs("ABI", fmt::format("{}.{}", identity.abi_major, identity.abi_minor),
                   fmt::format("{}.{}", descriptor.abi_major, descriptor.abi_minor));
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

// The library and the file it came from, kept mapped and open for ever: leaked on purpose, because
// neither Boost.DLL nor the C++ runtime can promise a safe dlclose.
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

}  // namespace

HostTable::HostTable(std::string plugin_id) : plugin_id_(std::move(plugin_id)) {
  host_ = {sizeof(skep_host), SKEP_ABI_MAJOR, SKEP_ABI_MINOR, 0,     this,       &get_extension,
           &host_log,         &log_level,     &complete,      &emit, &cancelled, &deadline_ms};
}

std::shared_ptr<PendingCall> HostTable::begin(boost::asio::any_io_executor executor,
                                              std::string request, CallOptions options) {
  auto operation = std::make_shared<PendingCall>();
  operation->request = std::move(request);
  operation->on_item = std::move(options.on_item);
  operation->executor = std::move(executor);
  if (options.deadline_ms >= 0) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    operation->deadline_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(now).count() + options.deadline_ms;
  }
  const std::lock_guard lock(mutex_);
  operation->number = ++last_number_;
  operations_.emplace(operation->number, operation);
  return operation;
}

std::shared_ptr<PendingCall> HostTable::find(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = operations_.find(number);
  return found == operations_.end() ? nullptr : found->second;
}

namespace {

// Hands the outcome to whoever waits, on their executor; nobody waiting is fine.
void deliver(const std::shared_ptr<PendingCall>& operation, Result<std::string> outcome) {
  const std::lock_guard lock(operation->mutex);
  if (!operation->executor) return;
  boost::asio::post(operation->executor, [operation, outcome = std::move(outcome)]() mutable {
    if (operation->outcome) return;
    operation->outcome = std::move(outcome);
    if (operation->alarm != nullptr) operation->alarm->cancel();
  });
}

}  // namespace

bool HostTable::finish(uint64_t number, Result<std::string> outcome) {
  std::shared_ptr<PendingCall> operation;
  {
    const std::lock_guard lock(mutex_);
    const auto found = operations_.find(number);
    if (found == operations_.end()) return false;
    operation = std::move(found->second);
    operations_.erase(found);
    if (operations_.empty()) idle_.notify_all();
  }
  deliver(operation, std::move(outcome));
  return true;
}

void HostTable::cancel_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, operation] : operations_) {
    operation->cancelled = true;
    deliver(operation, fail(ErrorKind::cancelled, "driver " + plugin_id_ + " is being ended"));
  }
}

bool HostTable::wait_until_idle(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, patience, [this] { return operations_.empty(); });
}

void HostTable::log(int32_t level, std::string_view message) const {
  spdlog::level::level_enum at = spdlog::level::err;
  if (level == SKEP_LOG_DEBUG) at = spdlog::level::debug;
  if (level == SKEP_LOG_INFO) at = spdlog::level::info;
  if (level == SKEP_LOG_WARNING) at = spdlog::level::warn;
  spdlog::log(at, "plugin {}: {}", plugin_id_, message.substr(0, log_line_max));
}

const void* HostTable::get_extension(const skep_host*, const char*) {
  return nullptr;
}

void HostTable::host_log(const skep_host* host, skep_op*, int32_t level, skep_str message) {
  table_of(host).log(level, text(message));
}

int32_t HostTable::log_level(const skep_host*) {
  return SKEP_LOG_DEBUG;
}

void HostTable::complete(const skep_host* host, skep_op* op, skep_status status, skep_str reply,
                         skep_str error) {
  HostTable& table = table_of(host);
  Result<std::string> outcome;
  if (status != SKEP_OK) {
    std::string message(text(error).substr(0, SKEP_ERROR_MAX));
    if (message.empty()) message = fmt::format("the driver gave error {} and no reason", status);
    outcome = fail(error_kind_from_abi(status), std::move(message));
  } else if (reply.len > reply_max) {
    outcome = fail(ErrorKind::internal,
                   fmt::format("driver {} gave a reply of {} bytes, over the limit of {}",
                               table.plugin_id_, reply.len, reply_max));
  } else {
    outcome = std::string(text(reply));
  }
  if (!table.finish(number_of(op), std::move(outcome))) {
    table.log(SKEP_LOG_ERROR,
              fmt::format("plugin misbehaving: operation {} was completed more than "
                          "once, or never given to it",
                          number_of(op)));
  }
}

int32_t HostTable::emit(const skep_host* host, skep_op* op, skep_str item) {
  HostTable& table = table_of(host);
  const std::shared_ptr<PendingCall> operation = table.find(number_of(op));
  if (!operation) {
    table.log(SKEP_LOG_ERROR,
              fmt::format("plugin misbehaving: an item came for operation {}, which has ended",
                          number_of(op)));
    return 1;
  }
  const std::lock_guard lock(operation->mutex);
  if (!operation->executor || !operation->on_item) return 0;
  ++operation->items_queued;
  boost::asio::post(operation->executor, [operation, copy = std::string(text(item))] {
    {
      const std::lock_guard inner(operation->mutex);
      --operation->items_queued;
    }
    // `alarm` is set exactly while the caller waits.
    if (operation->alarm != nullptr && !operation->outcome) operation->on_item(copy);
  });
  return operation->items_queued > items_queued_max ? 1 : 0;
}

int32_t HostTable::cancelled(const skep_host* host, skep_op* op) {
  const std::shared_ptr<PendingCall> operation = table_of(host).find(number_of(op));
  return !operation || operation->cancelled ? 1 : 0;
}

int64_t HostTable::deadline_ms(const skep_host* host, skep_op* op) {
  const std::shared_ptr<PendingCall> operation = table_of(host).find(number_of(op));
  return operation ? operation->deadline_ms : no_deadline;
}

Result<std::unique_ptr<PluginHost>> PluginHost::load(PluginConfig config, PluginIdentity identity,
                                                     CheckedFile file) {
  auto loaded = std::make_unique<LoadedForEver>(LoadedForEver{std::move(file), {}});
  const std::string path = loaded->file.path();
  boost::dll::fs::error_code error;
  loaded->library.load(loaded->file.load_path(), error,
                       boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  if (error) {
    const char* reason = dlerror();
    return fail(link_error(path, reason != nullptr ? reason : "no reason given"));
  }
  LoadedForEver& library = keep_for_ever(std::move(loaded));
  if (!library.library.has("skep_plugin_query")) {
    return fail(
        ErrorKind::invalid,
        fmt::format("missing_symbol: {} does not export skep_plugin_query; its author links "
                    "with the version script of the SDK",
                    path));
  }
  const auto query = library.library.get<const skep_plugin*()>("skep_plugin_query");
  const skep_plugin* descriptor = query();
  if (descriptor == nullptr) {
    return fail(ErrorKind::invalid,
                fmt::format("init_failed: {} gave no descriptor; install it again", path));
  }
  SKEP_TRY(compare(*descriptor, identity, path));

  auto host = std::make_unique<PluginHost>();
  host->config = std::move(config);
  host->identity = std::move(identity);
  host->table = &keep_for_ever(std::make_unique<HostTable>(host->identity.id));
  host->instance = descriptor->create(host->table->host());
  if (host->instance == nullptr || host->instance->struct_size < sizeof(skep_instance) ||
      host->instance->get_interface == nullptr || host->instance->destroy == nullptr) {
    return fail(ErrorKind::internal,
                fmt::format("init_failed: {} could not make an instance; look for its lines in the "
                            "log",
                            path));
  }
  host->workers = std::make_unique<WorkerPool>(workers_max);
  return host;
}

// Every table begins with its size, and a function is a pointer at its offset.
skep_call PluginHost::find(const host::Operation& operation) const {
  const auto* functions =
      static_cast<const char*>(instance->get_interface(instance->self, operation.interface.data()));
  if (functions == nullptr) return nullptr;
  uint32_t size = 0;
  std::memcpy(&size, functions, sizeof(size));
  skep_call function = nullptr;
  if (size < operation.offset + sizeof(function)) return nullptr;
  std::memcpy(&function, functions + operation.offset, sizeof(function));
  return function;
}

}  // namespace skep::drivers
