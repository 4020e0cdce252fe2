// A host small enough to read: loads the driver's .so, makes instances of it, and drives operations
// by JSON, in one call or held open with its items. It keeps the ABI's rules by counting on them: a
// second completion of an operation ends the test program.
//
// Every reply and item is held against the published schemas (sdk/schema), and so is the request of
// an operation that went well; what does not fit fails the test in finish().
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/schema/documents.hpp"
#include "skep/runtime.h"

namespace skep::test {

using json = nlohmann::json;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

struct Outcome {
  int status = SKEP_E_INTERNAL;
  json reply;
  std::string error;
  bool ok() const { return status == SKEP_OK; }
};

// Which operation a call is, for the schemas; empty when it is none of the tables'.
struct OperationName {
  std::string_view interface;
  std::string_view operation;
};

// One operation in flight; it must have ended before it is destroyed, and the destructor waits for
// that.
class Operation {
 public:
  ~Operation();
  // Waits for the end. Fails the test when it does not come in time.
  Outcome finish(std::chrono::milliseconds limit = 60s);
  bool finished();
  void cancel();
  // The first item at or after `from` that `wanted` likes, together with the next place to look.
  // Fails the test when none comes.
  std::pair<json, size_t> item(size_t from, const std::function<bool(const json&)>& wanted,
                               std::chrono::milliseconds limit = 30s);
  std::vector<json> items();

 private:
  friend class Plugin;
  // Under mutex_; remembers the first misfit.
  void hold_against_schema(schema::Part part, const std::string& document);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool begun_ = false;
  bool over_ = false;
  bool cancelled_ = false;
  Outcome outcome_;
  std::vector<json> items_;
  OperationName name_;
  std::string request_;
  std::string misfit_;
};
using OperationPtr = std::shared_ptr<Operation>;

// One instance of the driver.
class Plugin {
 public:
  // Loads the library (once per process), makes an instance and configures it.
  Plugin(const json& config, const std::string& node, const std::string& data_dir);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  OperationPtr begin(skep_call function, const json& request);
  Outcome call(skep_call function, const json& request) {
    return begin(function, request)->finish();
  }

  const skep_base_1* base = nullptr;
  const skep_runtime_1* runtime = nullptr;
  const skep_runtime_exec_1* exec = nullptr;
  const skep_runtime_images_1* images = nullptr;
  Outcome configured;

  // An operation without an instance around it, for tests of configure itself.
  static const skep_plugin* descriptor();

 private:
  static skep_host make_host();
  OperationName name_of(skep_call function) const;
  skep_host host_;
  const skep_instance* instance_ = nullptr;
};

}  // namespace skep::test
