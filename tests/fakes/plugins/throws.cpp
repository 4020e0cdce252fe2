// A driver without the SDK's wrapper, that lets an exception cross: against the rules, and the host
// must live on when it can.
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <stdexcept>

#include "skep/abi.h"

namespace {

skep_status throws(void*, skep_op*, skep_str) {
  throw std::runtime_error("over the wall");
}
skep_status throws_a_number(void*, skep_op*, skep_str) {
  throw 7;
}

const void* get_interface(void*, const char* id) {
  static const skep_base_1 base = {sizeof base, 0,       throws,  nullptr, throws_a_number,
                                   nullptr,     nullptr, nullptr, nullptr, nullptr};
  if (std::strcmp(id, SKEP_BASE_1) != 0) throw std::runtime_error("what is that?");
  return &base;
}

const skep_instance* create(const skep_host*) {
  static const skep_instance instance = {sizeof instance, 0, nullptr, get_interface, [](void*) {}};
  return &instance;
}

}  // namespace

SKEP_DECLARE_NOTE("fake-throws", "1.0", "skep.base/1");

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {sizeof plugin, SKEP_ABI_MAJOR, SKEP_ABI_MINOR, 0,
                                     "fake-throws", "1.0",          "test",         "skep.base/1",
                                     "{}",          create};
  return &plugin;
}
