// A driver in a process of its own, seen from the host: spawned, spoken to over a socketpair,
// watched, ended.
//
// No thread and no loop of its own: the owner waits until `descriptor()` is readable and calls
// `turn()`; everything the driver said since comes as a call of HelperEvents from there. So the
// daemon puts it on its Asio loop, and the conformance kit polls it. All calls on one thread, but
// spawn(). No event comes from anywhere but turn().
//
// The helper dies with its host: by the death signal, by the end of the socket, whichever comes
// first. A helper that died is found by the end of its socket, at once; `lost` then says how
// (signal or exit code), and nothing more comes from this object.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"
#include "sdk/host/catalog.hpp"
#include "sdk/host/instance.hpp"
#include "sdk/host/limits.hpp"
#include "sdk/host/note.hpp"

namespace skep::host {

struct HelperOptions {
  std::string program;  // path of skep-plugin-host
  std::string name;     // for messages and the process's name
  HelperLimits limits;
  int32_t log_level = SKEP_LOG_INFO;
  bool debug = false;  // map the path itself instead of a sealed copy, so that gdb finds symbols
  HostShape shape;     // for tests of older hosts
};

// What comes from the helper. Texts are borrowed for the call. The events of one operation come in
// order.
class HelperEvents {
 public:
  virtual ~HelperEvents() = default;
  // The library is mapped and an instance stands; calls may be made. `present` are the operations
  // of the catalog that the driver has.
  virtual void ready(const std::vector<const Operation*>& present, std::string_view config_schema,
                     std::string_view options_schema, uint32_t flags) = 0;
  // The library was refused (a sentence of note.hpp's form); the helper ends by itself, lost()
  // follows.
  virtual void refused(Error reason) = 0;
  virtual void completed(uint64_t number, skep_status status, std::string_view reply,
                         std::string_view error) = 0;
  virtual void emitted(uint64_t number, std::string_view item) = 0;
  virtual void logged(uint64_t number, int32_t level, std::string_view message) = 0;
  // One line of its standard output or error, made readable. At most 1000 come in a second, then
  // one that says how many did not.
  virtual void printed(std::string_view line) = 0;
  virtual void metric(std::string_view name, int64_t value, bool set) = 0;
  // The process has ended, or broke the protocol and was killed; `how` is for a person: "killed by
  // signal 11 (Segmentation fault)", "exited with code 0". Last of all events; calls in flight are
  // the owner's to end.
  virtual void lost(std::string_view how) = 0;
};

class Helper {
 public:
  // Starts the process from the one permanent thread that spawns (the death signal is tied to the
  // thread) and hands the file over; returns before the library is mapped. [any thread] `events`
  // outlives the object.
  static Result<std::unique_ptr<Helper>> spawn(const CheckedFile& file,
                                               const PluginIdentity& identity,
                                               const HelperOptions& options, HelperEvents& events);
  // Kills the process if it still runs, and reaps it.
  ~Helper();
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  pid_t pid() const;
  int descriptor() const;  // to poll; readable: call turn(). Never to be read or written by others
  // Reads and writes what can be without blocking, and calls HelperEvents. One turn takes a bounded
  // amount, so that a driver that talks without end starves nobody; the descriptor then stays
  // readable. An event may call any function of this object but the destructor.
  void turn();

  // Begins an operation; before ready() it waits there. `number` (1 to 2^63 - 1) is the caller's,
  // never reused. `key`, of at most SKEP_ID_MAX bytes, orders calls of effect `changes` in the
  // helper (empty: may overlap everything). `deadline_ms` is CLOCK_MONOTONIC, no_deadline for none;
  // the driver is told, the owner keeps it. Its end comes as completed(), or as lost() for all of
  // them; both come for numbers in flight alone. A request over SKEP_REQUEST_MAX ends with
  // SKEP_E_INVALID. Never blocks; what the socket does not take is kept.
  void call(const Operation& operation, uint64_t number, std::string_view key, int64_t deadline_ms,
            std::string_view request);
  void cancel(uint64_t number);
  void set_log_level(int32_t level);
  // Asks it to destroy the instance and exit; lost("exited with code 0") follows. The owner sets
  // the patience and calls kill() when it is over.
  void end();
  void kill();  // SIGKILL; lost() follows from turn()

 private:
  struct Parts;
  explicit Helper(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace skep::host
