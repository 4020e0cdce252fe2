// A driver's library in this process, with one instance of it.
//
// The one place that calls dlopen. The library and its file are leaked on purpose: neither
// Boost.DLL nor the C++ run time can promise a safe dlclose. The host table outlives the instance
// for the same reason: a driver's own threads may still call it.
//
// The surprise: skep_op* is not an address. It is the number the caller gave, so that a driver that
// completes twice or too late is found out by whoever keeps the numbers, instead of touching freed
// memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "sdk/host/catalog.hpp"
#include "sdk/host/note.hpp"
#include "skep/abi.h"

namespace skep::host {

// Bounds on what a driver says, in bytes; what is over them is refused here, once for both modes.
inline constexpr size_t reply_max = size_t{64} << 20;  // an image list of a large node is ~10 MiB
inline constexpr size_t item_max = size_t{1} << 20;
inline constexpr size_t log_line_max = size_t{8} << 10;

// What a driver says to its host, any thread, also after the instance was destroyed: so an object
// of this class lives as long as the process.
class Listener {
 public:
  virtual ~Listener() = default;
  // The end of operation `number`; may be a number that is not (any more) in flight. `status` is
  // SKEP_OK or one of SKEP_E_*. `reply` is the reply document when `status` is SKEP_OK, else the
  // optional JSON detail; it is UTF-8, of at most reply_max bytes, and not known to be JSON. Texts
  // are borrowed.
  virtual void completed(uint64_t number, skep_status status, std::string_view reply,
                         std::string_view error) = 0;
  // One item of a stream; true asks the driver to pause.
  virtual bool emitted(uint64_t number, std::string_view item) = 0;
  virtual bool cancelled(uint64_t number) = 0;
  virtual int64_t deadline_ms(uint64_t number) = 0;  // CLOCK_MONOTONIC; no_deadline for none
  // A line for the log; `number` 0: it belongs to no operation. `level` is SKEP_LOG_*. Lines below
  // log_level() do not come. A driver that breaks the contract is told of here too.
  virtual void logged(uint64_t number, int32_t level, std::string_view message) = 0;
  virtual int32_t log_level() = 0;
  // skep.host.metric/1, with a name that keeps to the ABI's rules: `set` false adds `value` to a
  // counter, true sets a gauge.
  virtual void metric(std::string_view name, int64_t value, bool set) = 0;
};

// How old a host to play, for tests: an older one has a shorter table (bytes) and a lower minor, a
// newer one a longer and a higher. Using what is beyond the table is a crash.
struct HostShape {
  uint32_t abi_minor = SKEP_ABI_MINOR;
  uint32_t table_size = sizeof(skep_host);
};

class Instance {
 public:
  // Maps `file`, asks for the descriptor, compares it with `identity` (of the note), and makes an
  // instance. Nothing is configured yet. `listener` must live as long as the process. Blocks (disk,
  // dynamic linker: milliseconds to tenths of a second). Errors are abi-rule sentences: code word,
  // fact, remedy (note.hpp).
  static Result<std::unique_ptr<Instance>> load(CheckedFile file, PluginIdentity identity,
                                                Listener& listener, HostShape shape = {});
  // Ends the instance. Requires that no call is inside the driver and none is in flight.
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const PluginIdentity& identity() const;
  // Static for the life of the library. Read members through SKEP_HAS-like tests of struct_size.
  const skep_plugin& descriptor() const;

  // Whether the driver has this operation: interface there, table long enough, pointer set. [any
  // thread]
  bool has(const Operation& operation) const;

  // Calls the operation on this thread, which may block in it, with `number` (1 to 2^63 - 1, never
  // used twice) as its skep_op. When
  // the driver returns without having completed or promised to, or throws, listener.completed is
  // called here, so that every operation ends or was promised an end; a driver without the
  // operation gives SKEP_E_UNIMPLEMENTED that way. [any thread; the caller keeps calls that change
  // one object apart]
  void call(const Operation& operation, uint64_t number, std::string_view request);

  // Tells the driver that nobody waits for `number` any more (skep_instance.cancel, if it has it).
  void cancel(uint64_t number);

 private:
  struct Parts;
  explicit Instance(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace skep::host
