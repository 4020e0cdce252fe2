// Every operation of every kind, as data: what a host needs to know to call it without knowing it.
//
// An operation is a place in a table: the id of the interface and the offset of its function. All
// hosts call through this pair (the daemon, the helper process, the conformance kit, `skep plugin
// run`), so that one proxy serves every kind, in a process of its own or not. The lists stand in
// the order of the tables in sdk/include/skep/*.h and are complete; static assertions in
// catalog.cpp keep it so.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "skep/abi.h"
#include "skep/lb.h"
#include "skep/network.h"
#include "skep/runtime.h"
#include "skep/volume.h"

namespace skep::host {

// What an operation does, for whoever calls it without knowing it.
enum class Effect : uint8_t {
  reads,    // changes nothing; may overlap everything
  changes,  // changes one object; calls with one key come one after the other
  waits,    // answers when something has happened; holds no thread; may overlap everything
  streams,  // gives items until it is cancelled or ended; may overlap everything
};

inline constexpr int64_t no_deadline = -1;

// What skep.runtime/1 create has instead of its usual deadline when one of its mounts says
// populate: the content of a large image is copied meanwhile, from a slow disk to itself.
inline constexpr int64_t filling_create_ms = 15 * 60'000;

struct Operation {
  std::string_view interface;  // "skep.volume/1"; NUL-terminated
  std::string_view name;       // "publish", the name of the field
  uint32_t offset = 0;         // of the skep_call in the table, bytes
  // The member of the request that names the object; empty: none, or (signal) on purpose no order.
  // Orders the calls of effect `changes` alone.
  std::string_view key;
  Effect effect = Effect::reads;
  bool required = true;          // a driver of the kind must have it
  int64_t deadline_ms = 30'000;  // the host's default; no_deadline for none

  bool operator==(const Operation& other) const {
    return interface == other.interface && offset == other.offset;
  }
};

struct Interface {
  std::string_view id;    // "skep.volume/1"; NUL-terminated
  std::string_view kind;  // "volume"; of optional ones the kind they belong to; "base"
  bool required = true;   // of a driver of its kind
  std::span<const Operation> operations;
};

// In a fixed order: base, runtime, runtime.exec, runtime.images, network, lb, volume.
std::span<const Interface> interfaces();
// nullptr when there is none such.
const Interface* find_interface(std::string_view id);
const Operation* find_operation(std::string_view interface, std::string_view name);
const Operation* find_operation_at(std::string_view interface, uint32_t offset);

// The operation at this place; for callers that know which they want:
//     SKEP_OPERATION(SKEP_VOLUME_1, skep_volume_1, publish)
// Requires that it exists.
const Operation& operation_at(std::string_view interface, uint32_t offset);

}  // namespace skep::host

// SKEP_OPERATION(SKEP_VOLUME_1, skep_volume_1, publish)
#define SKEP_OPERATION(id, type, field) \
  ::skep::host::operation_at(id, static_cast<uint32_t>(offsetof(type, field)))
