// A driver of every kind that does nothing but write down what it is asked.
//
// Its configuration is {"record": FILE, "replies": {INTERFACE: [{"item"?: ANY, "reply": ANY}..]}}:
// one entry for each slot of the interface's table, in order. Each request becomes a line of the
// file: interface, number of the slot, document, with tabs between. So the documents are what the
// caller's own code made, and the test decides what a driver answers.
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "skep/cpp/driver.hpp"
#include "skep/lb.h"
#include "skep/network.h"
#include "skep/runtime.h"
#include "skep/volume.h"

namespace {

using skep::sdk::json;

constexpr size_t head = 2 * sizeof(uint32_t);

// Any table: they all are a head and slots.
template <class Table>
constexpr size_t slots = (sizeof(Table) - head) / sizeof(skep_call);
template <size_t Size>
struct AnyTable {
  uint32_t struct_size = head + Size * sizeof(skep_call);
  uint32_t reserved = 0;
  std::array<skep_call, Size> calls = {};
};

class Recorder : public skep::sdk::Driver {
 public:
  using Driver::Driver;

  template <const char* const& Id, size_t Slot>
  static skep_status record(void* self, skep_op* op, skep_str request) {
    auto* me = static_cast<Recorder*>(static_cast<Driver*>(self));
    return me->answer(Id, Slot, op, {request.ptr, request.len});
  }

  const void* interface(std::string_view id) noexcept override;

 private:
  skep_status answer(std::string_view id, size_t slot, skep_op* op, std::string_view request) {
    const std::scoped_lock lock(mutex_);
    if (slot == configure_slot && id == SKEP_BASE_1) {
      const json config = json::parse(request).at("config");
      file_.open(config.at("record").get<std::string>());
      replies_ = config.at("replies");
    }
    file_ << id << '\t' << slot << '\t' << request << std::endl;
    const json& known = replies_.at(std::string(id)).at(slot);
    if (known.contains("item")) emit(op, known.at("item").dump());
    const std::string reply = known.at("reply").dump();
    host()->complete(host(), op, SKEP_OK, skep::sdk::view(reply), skep::sdk::view(""));
    return SKEP_OK;
  }
  void emit(skep_op* op, const std::string& item) {
    host()->emit(host(), op, skep::sdk::view(item));
  }

  static constexpr size_t configure_slot =
      (offsetof(skep_base_1, configure) - head) / sizeof(skep_call);
  std::mutex mutex_;
  std::ofstream file_;
  json replies_;
};

template <const char* const& Id, size_t... Slot>
AnyTable<sizeof...(Slot)> table_of(std::index_sequence<Slot...>) {
  return {.calls = {&Recorder::record<Id, Slot>...}};
}

#define TABLE(id, type)                                                                \
  if (asked == id) {                                                                   \
    static constexpr const char* name = id;                                            \
    static const auto table = table_of<name>(std::make_index_sequence<slots<type>>()); \
    return &table;                                                                     \
  }

const void* Recorder::interface(std::string_view asked) noexcept {
  TABLE(SKEP_BASE_1, skep_base_1)
  TABLE(SKEP_RUNTIME_1, skep_runtime_1)
  TABLE(SKEP_RUNTIME_EXEC_1, skep_runtime_exec_1)
  TABLE(SKEP_RUNTIME_IMAGES_1, skep_runtime_images_1)
  TABLE(SKEP_NETWORK_1, skep_network_1)
  TABLE(SKEP_LB_1, skep_lb_1)
  TABLE(SKEP_VOLUME_1, skep_volume_1)
  return nullptr;
}

}  // namespace

#define INTERFACES                                                                     \
  "skep.runtime/1 skep.runtime.exec/1 skep.runtime.images/1 skep.network/1 skep.lb/1 " \
  "skep.volume/1"
SKEP_DECLARE_NOTE("recorder", "1.0", INTERFACES);

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      .struct_size = sizeof plugin,
      .abi_major = SKEP_ABI_MAJOR,
      .abi_minor = SKEP_ABI_MINOR,
      .host_minor_needed = 0,
      .id = "recorder",
      .version = "1.0",
      .vendor = "test",
      .interfaces = INTERFACES,
      .config_schema = "{}",
      .create = skep::sdk::make_instance<Recorder>,
  };
  return &plugin;
}
