// The driver of old_and_new.c once more, in C++ with the wrapper's ground floor, where a driver
// fills in its tables itself: built against two minors of the contract, for the pairings of old and
// new.
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "skep/cpp/driver.hpp"
#include "skep/volume.h"

namespace {

using skep::sdk::json;
using skep::sdk::op;

struct Mark {
  Mark() {
    if (const char* marker = std::getenv("SKEP_TEST_MARKER")) std::ofstream file(marker);
  }
} const mark;

class OldAndNew : public skep::sdk::Driver {
 public:
  using Driver::Driver;

  json nothing(const json&) { return json::object(); }
  json probe(const json&) { return {{"state", "ready"}}; }
  json create(const json&) { return {{"handle", {{"version", 1}}}}; }
  json get(const json& request) {
    return {{"volume", request.at("volume")}, {"handle", {{"version", 1}}}};
  }
  json list(const json&) { return {{"volumes", json::array()}}; }
  json publish(const json&) { return {{"path", "/srv/data"}}; }
  json usage(const json&) { return {{"used_bytes", 0}}; }
  json mounts(const json&) { return {{"mounts", json::array()}}; }
#if SKEP_ABI_MINOR >= 1
  json added_to_base(const json&) {
    return {{"added", "base"}};
  }
  json added_to_volume(const json&) {
    return {{"added", "volume"}};
  }
#endif

  json capabilities(const json&) {
    int64_t number = -1;
#if SKEP_ABI_MINOR >= 1
    if (SKEP_HAS(host(), skep_host, added)) number = host()->added(host());
#endif
    return {{"scope", "local"}, {"host_minor", host()->abi_minor}, {"host_added", number}};
  }

  const void* interface(std::string_view id) noexcept override {
    using Me = OldAndNew;
    static const skep_base_1 base = {
      .struct_size = sizeof base,
      .capabilities = op<&Me::capabilities>,
      .configure = op<&Me::nothing>,
      .probe = op<&Me::probe>,
      .restore = op<&Me::nothing>,
      .restore_done = op<&Me::nothing>,
      .drain = op<&Me::nothing>,
      .shutdown = op<&Me::nothing>,
      .dump = op<&Me::nothing>,
#if SKEP_ABI_MINOR >= 1
      .added = op<&Me::added_to_base>,
#endif
    };
    static const skep_volume_1 volume = {
      .struct_size = sizeof volume,
      .create = op<&Me::create>,
      .remove = op<&Me::nothing>,
      .get = op<&Me::get>,
      .list = op<&Me::list>,
      .validate = op<&Me::nothing>,
      .publish = op<&Me::publish>,
      .unpublish = op<&Me::nothing>,
      .usage = op<&Me::usage>,
      .mounts = op<&Me::mounts>,
#if SKEP_ABI_MINOR >= 1
      .added = op<&Me::added_to_volume>,
#endif
    };
    if (id == SKEP_BASE_1) return &base;
    if (id == SKEP_VOLUME_1) return &volume;
    return nullptr;
  }
};

}  // namespace

SKEP_DECLARE_NOTE("old-and-new", "1.0", "skep.volume/1");

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      .struct_size = sizeof plugin,
      .abi_major = SKEP_ABI_MAJOR,
      .abi_minor = SKEP_ABI_MINOR,
      .host_minor_needed = SKEP_ABI_TARGET_MINOR,
      .id = "old-and-new",
      .version = "1.0",
      .vendor = "test",
      .interfaces = "skep.volume/1",
      .config_schema = "{}",
      .create = skep::sdk::make_instance<OldAndNew>,
  };
  return &plugin;
}
