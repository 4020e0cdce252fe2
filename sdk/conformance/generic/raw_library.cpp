// dlopen, and a host of twelve small functions.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/generic/raw_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace skep::conformance {
namespace {

constexpr std::chrono::milliseconds patience_max = std::chrono::seconds(10);

std::string_view text(skep_str string) {
  return string.ptr == nullptr ? std::string_view() : std::string_view(string.ptr, string.len);
}

uint64_t number_of(skep_op* op) {
  return reinterpret_cast<uintptr_t>(op);
}

}  // namespace

Result<const skep_plugin*> open_raw(const Plugin& plugin) {
  void* const library = dlopen(plugin.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return fail(ErrorKind::invalid, dlerror());
  void* const symbol = dlsym(library, "skep_plugin_query");
  if (symbol == nullptr) return fail(ErrorKind::invalid, "skep_plugin_query is not exported");
  const auto query = reinterpret_cast<const skep_plugin* (*)()>(symbol);
  const skep_plugin* const descriptor = query();
  if (descriptor == nullptr) return fail(ErrorKind::invalid, "skep_plugin_query answers NULL");
  return descriptor;
}

RawHost::RawHost(const Plugin& plugin)
    : patience_(plugin.patience_ms > 0
                    ? std::min(patience_max, std::chrono::milliseconds(plugin.patience_ms))
                    : patience_max) {
  table_.struct_size = sizeof table_;
  table_.abi_major = SKEP_ABI_MAJOR;
  table_.abi_minor = SKEP_ABI_MINOR;
  table_.ctx = this;
  table_.get_extension = [](const skep_host*, const char*) -> const void* { return nullptr; };
  table_.log = [](const skep_host*, skep_op*, int32_t, skep_str) {};
  table_.log_level = [](const skep_host*) -> int32_t { return SKEP_LOG_INFO; };
  table_.complete = [](const skep_host* host, skep_op* op, skep_status status, skep_str reply,
                       skep_str error) {
    RawHost& self = *static_cast<RawHost*>(host->ctx);
    const std::lock_guard lock(self.mutex_);
    End& end = self.ends_[number_of(op)];
    end.status = status;
    end.reply = text(reply);
    end.error = text(error);
    ++end.count;
    self.changed_.notify_all();
  };
  table_.emit = [](const skep_host*, skep_op*, skep_str) -> int32_t { return 0; };
  table_.cancelled = [](const skep_host*, skep_op*) -> int32_t { return 0; };
  table_.deadline_ms = [](const skep_host*, skep_op*) -> int64_t { return -1; };
}

skep_op* RawHost::open() {
  const std::lock_guard lock(mutex_);
  return reinterpret_cast<skep_op*>(static_cast<uintptr_t>(++last_));
}

std::optional<RawHost::End> RawHost::wait(skep_op* op) {
  std::unique_lock lock(mutex_);
  const auto ended = [&] { return ends_.contains(number_of(op)); };
  if (!changed_.wait_for(lock, patience_, ended)) return std::nullopt;
  return ends_.at(number_of(op));
}

skep_call function_of(const skep_instance& instance, const host::Operation& operation) {
  const void* const table =
      instance.get_interface(instance.self, std::string(operation.interface).c_str());
  if (table == nullptr) return nullptr;
  uint32_t size = 0;
  std::memcpy(&size, table, sizeof size);
  if (size < operation.offset + sizeof(skep_call)) return nullptr;
  skep_call function = nullptr;
  std::memcpy(&function, static_cast<const char*>(table) + operation.offset, sizeof function);
  return function;
}

RawHost::End call_raw(RawHost& host, const skep_instance& instance,
                      const host::Operation& operation, std::string_view request) {
  const skep_call function = function_of(instance, operation);
  if (function == nullptr) return {SKEP_E_UNIMPLEMENTED, "", "not there", 1};
  skep_op* const op = host.open();
  const skep_status status = function(instance.self, op, {request.data(), request.size()});
  if (status < 0) return {status, "", "", 1};
  return host.wait(op).value_or(RawHost::End{SKEP_E_DEADLINE, "", "no answer", 0});
}

}  // namespace skep::conformance
