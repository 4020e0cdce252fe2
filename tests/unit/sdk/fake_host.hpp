// A host of one driver, in the test itself: it calls an operation and keeps what came of it.
//
// It goes through the instance's tables, as a real host does, and fails when an operation does not
// end exactly once. Operations end before the call returns; a driver that answers later is not for
// it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "skep/cpp/driver.hpp"
#include "skep/lb.h"
#include "skep/network.h"
#include "skep/volume.h"

namespace skep::sdk::test {

struct Outcome {
  skep_status status = SKEP_PENDING;
  json reply;
  std::string error;
};

class FakeHost {
 public:
  explicit FakeHost(const skep_instance* (*create)(const skep_host*)) : instance_(create(&table_)) {
    REQUIRE(instance_ != nullptr);
  }
  ~FakeHost() { instance_->destroy(instance_->self); }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  template <class Table>
  const Table& table(const char* id) const {
    const auto* found = static_cast<const Table*>(instance_->get_interface(instance_->self, id));
    REQUIRE(found != nullptr);
    REQUIRE(found->struct_size == sizeof(Table));
    return *found;
  }
  bool has(const char* id) const {
    return instance_->get_interface(instance_->self, id) != nullptr;
  }

  Outcome call(skep_call function, std::string_view request) {
    outcomes_.clear();
    REQUIRE(function != nullptr);
    const skep_status returned = function(instance_->self, operation(), view(request));
    REQUIRE((returned == SKEP_PENDING || returned == SKEP_OK));
    REQUIRE(outcomes_.size() == 1);
    return outcomes_.front();
  }
  Outcome base(skep_call skep_base_1::*member, const json& request = json::object()) {
    return call(table<skep_base_1>(SKEP_BASE_1).*member, request.dump());
  }
  Outcome volume(skep_call skep_volume_1::*member, const json& request = json::object()) {
    return call(table<skep_volume_1>(SKEP_VOLUME_1).*member, request.dump());
  }
  Outcome lb(skep_call skep_lb_1::*member, const json& request = json::object()) {
    return call(table<skep_lb_1>(SKEP_LB_1).*member, request.dump());
  }
  Outcome configure(const json& config = json::object(), const std::string& data_dir = "/") {
    return base(&skep_base_1::configure,
                {{"config", config}, {"run_dir", "/r"}, {"data_dir", data_dir}, {"node", "n1"}});
  }

  static skep_op* operation() { return reinterpret_cast<skep_op*>(uintptr_t{7}); }

  // What the driver is told of its operation: its deadline, and how often it may look before nobody
  // waits for the operation any more; -1 is never.
  int64_t deadline = -1;
  int looks_until_unwanted = -1;

  // Log lines, as OP:TEXT with 7 for the operation and 0 for none.
  std::vector<std::string> lines;

 protected:
  void* self() const { return instance_->self; }

 private:
  static FakeHost& of(const skep_host* host) { return *static_cast<FakeHost*>(host->ctx); }
  static void log(const skep_host* host, skep_op* op, int32_t, skep_str text) {
    of(host).lines.push_back(std::to_string(reinterpret_cast<uintptr_t>(op)) + ":" +
                             std::string(text.ptr, text.len));
  }
  static int32_t cancelled(const skep_host* host, skep_op*) {
    int& looks = of(host).looks_until_unwanted;
    if (looks > 0) --looks;
    return looks == 0 ? 1 : 0;
  }
  static void complete(const skep_host* host, skep_op*, skep_status status, skep_str reply,
                       skep_str error) {
    const std::string document(reply.ptr == nullptr ? "" : reply.ptr, reply.len);
    of(host).outcomes_.push_back({status, document.empty() ? json() : json::parse(document),
                                  std::string(error.ptr, error.len)});
  }

  skep_host table_ = {sizeof(skep_host),
                      SKEP_ABI_MAJOR,
                      SKEP_ABI_MINOR,
                      0,
                      this,
                      [](const skep_host*, const char*) -> const void* { return nullptr; },
                      log,
                      [](const skep_host*) -> int32_t { return SKEP_LOG_DEBUG; },
                      complete,
                      [](const skep_host*, skep_op*, skep_str) -> int32_t { return 0; },
                      cancelled,
                      [](const skep_host* host, skep_op*) { return of(host).deadline; }};
  std::vector<Outcome> outcomes_;
  const skep_instance* instance_;
};

// The same, of a class that is compiled into the test.
template <class D>
class HostOf : public FakeHost {
 public:
  HostOf() : FakeHost(make_instance<D>) {}
  D& driver() { return *static_cast<D*>(static_cast<Driver*>(self())); }
};

}  // namespace skep::sdk::test
