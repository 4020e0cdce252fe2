// The host's side of the ABI, over mutex and condition variable.
// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/runtime_plugin/plugin_host.hpp"

#include <dlfcn.h>
#include <filesystem>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "sdk/host/catalog.hpp"

namespace skep::test {

namespace {
Operation* from(skep_op* op) {
  return reinterpret_cast<Operation*>(op);
}
std::string text(skep_str view) {
  return std::string(view.ptr ? view.ptr : "", view.len);
}

const schema::Documents& documents() {
  static const schema::Documents all = [] {
    auto loaded = schema::Documents::load();
    if (!loaded) throw std::runtime_error(loaded.error().message);
    return std::move(*loaded);
  }();
  return all;
}
}  // namespace

Operation::~Operation() {
  cancel();
  std::unique_lock lock(mutex_);
  if (begun_) changed_.wait_for(lock, 30s, [this] { return over_; });
}

Outcome Operation::finish(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, limit, [this] { return over_; })) {
    throw std::runtime_error("the operation did not end in time");
  }
  if (!misfit_.empty()) throw std::runtime_error(misfit_);
  return outcome_;
}

void Operation::hold_against_schema(schema::Part part, const std::string& document) {
  if (name_.interface.empty() || !misfit_.empty()) return;
  const Status fits = documents().check(name_.interface, name_.operation, part, document);
  if (!fits) misfit_ = fits.error().message + " (" + document.substr(0, 400) + ")";
}

bool Operation::finished() {
  const std::lock_guard lock(mutex_);
  return over_;
}

void Operation::cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
}

std::pair<json, size_t> Operation::item(size_t from_index,
                                        const std::function<bool(const json&)>& wanted,
                                        std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  size_t at = from_index;
  const bool found = changed_.wait_for(lock, limit, [&] {
    for (; at < items_.size(); ++at) {
      if (wanted(items_[at])) return true;
    }
    return false;
  });
  if (!found) throw std::runtime_error("the item did not come: " + json(items_).dump());
  return {items_[at], at + 1};
}

std::vector<json> Operation::items() {
  const std::lock_guard lock(mutex_);
  return items_;
}

skep_host Plugin::make_host() {
  skep_host host{};
  host.struct_size = sizeof host;
  host.abi_major = SKEP_ABI_MAJOR;
  host.abi_minor = SKEP_ABI_MINOR;
  host.get_extension = [](const skep_host*, const char*) -> const void* { return nullptr; };
  host.log = [](const skep_host*, skep_op*, int32_t level, skep_str message) {
    if (level >= SKEP_LOG_ERROR) std::fprintf(stderr, "driver: %s\n", text(message).c_str());
  };
  host.complete = [](const skep_host*, skep_op* op, skep_status status, skep_str reply,
                     skep_str error) {
    Operation& operation = *from(op);
    const std::lock_guard lock(operation.mutex_);
    if (operation.over_) {
      std::fprintf(stderr, "an operation was completed twice\n");
      std::abort();
    }
    operation.over_ = true;
    operation.outcome_ = {status, json::parse(text(reply), nullptr, false), text(error)};
    if (status == SKEP_OK) {
      operation.hold_against_schema(schema::Part::request, operation.request_);
      operation.hold_against_schema(schema::Part::reply, text(reply));
    }
    operation.changed_.notify_all();
  };
  host.emit = [](const skep_host*, skep_op* op, skep_str item) -> int32_t {
    Operation& operation = *from(op);
    const std::lock_guard lock(operation.mutex_);
    operation.items_.push_back(json::parse(text(item)));
    operation.hold_against_schema(schema::Part::item, text(item));
    operation.changed_.notify_all();
    return 0;
  };
  host.cancelled = [](const skep_host*, skep_op* op) -> int32_t {
    Operation& operation = *from(op);
    const std::lock_guard lock(operation.mutex_);
    return operation.cancelled_ ? 1 : 0;
  };
  host.deadline_ms = [](const skep_host*, skep_op*) -> int64_t { return -1; };
  return host;
}

const skep_plugin* Plugin::descriptor() {
  static void* const library = dlopen(SKEP_TEST_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  const auto query =
      reinterpret_cast<const skep_plugin* (*)()>(dlsym(library, "skep_plugin_query"));
  return query();
}

Plugin::Plugin(const json& config, const std::string& node, const std::string& data_dir)
    : host_(make_host()), instance_(descriptor()->create(&host_)) {
  const auto table = [this](const char* id) {
    return instance_->get_interface(instance_->self, id);
  };
  base = static_cast<const skep_base_1*>(table(SKEP_BASE_1));
  runtime = static_cast<const skep_runtime_1*>(table(SKEP_RUNTIME_1));
  exec = static_cast<const skep_runtime_exec_1*>(table(SKEP_RUNTIME_EXEC_1));
  images = static_cast<const skep_runtime_images_1*>(table(SKEP_RUNTIME_IMAGES_1));
  configured =
      call(base->configure,
           {{"config", config},
            {"node", node},
            {"data_dir", data_dir},
            {"run_dir", data_dir},
            {"plugin_dir", std::filesystem::path(SKEP_TEST_PLUGIN).parent_path().string()}});
}

Plugin::~Plugin() {
  instance_->destroy(instance_->self);
}

OperationName Plugin::name_of(skep_call function) const {
  for (const host::Interface& interface : host::interfaces()) {
    const void* table = instance_->get_interface(instance_->self, interface.id.data());
    if (table == nullptr) continue;
    for (const host::Operation& operation : interface.operations) {
      skep_call slot = nullptr;
      std::memcpy(&slot, static_cast<const char*>(table) + operation.offset, sizeof slot);
      if (slot == function) return {interface.id, operation.name};
    }
  }
  return {};
}

OperationPtr Plugin::begin(skep_call function, const json& request) {
  auto operation = std::make_shared<Operation>();
  operation->begun_ = true;
  operation->name_ = name_of(function);
  const std::string document = request.dump();
  operation->request_ = document;
  function(instance_->self, reinterpret_cast<skep_op*>(operation.get()),
           {document.data(), document.size()});
  return operation;
}

}  // namespace skep::test
