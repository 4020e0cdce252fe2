// The lists of catalog.hpp: each line is one slot of a table, in the table's order.
//
// What a line says is taken from the slot's comment in sdk/include/skep/*.h; where that names no
// time, an operation has 30 s. A table that grows without its list, or a list in another order,
// does not compile.
//
// The surprise: the two `signal` change something and have no key. A signal must get through while
// a stop with a long grace holds the container's key.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/catalog.hpp"

#include <array>
#include <cstddef>

#include "core/model/result.hpp"

namespace skep::host {
namespace {

constexpr int64_t usual_ms = 30'000;
constexpr int64_t probe_ms = 5'000;
constexpr int64_t shutdown_ms = 10'000;
constexpr int64_t container_ms = 60'000;  // create and remove: an image is unpacked, or a tree goes
constexpr int64_t image_remove_ms = 120'000;
constexpr int64_t network_ms = 10'000;
constexpr int64_t attach_ms = 10'000;
constexpr int64_t apply_ms = 2'000;
constexpr int64_t volume_ms = 120'000;
constexpr int64_t publish_ms = 60'000;

constexpr bool required = true;
constexpr bool optional = false;

#define SLOT(id, type, field, key, effect, need, deadline)                 \
  Operation {                                                              \
    id, #field, offsetof(type, field), key, Effect::effect, need, deadline \
  }

#define BASE(field, ...) SLOT(SKEP_BASE_1, skep_base_1, field, __VA_ARGS__)
constexpr std::array base_operations{
    BASE(capabilities, "", reads, required, usual_ms),
    BASE(configure, "", changes, required, usual_ms),
    BASE(probe, "", reads, required, probe_ms),
    BASE(restore, "id", changes, required, usual_ms),
    BASE(restore_done, "", changes, required, usual_ms),
    BASE(drain, "", changes, required, usual_ms),
    BASE(shutdown, "", changes, required, shutdown_ms),
    BASE(dump, "", reads, required, usual_ms),
    BASE(reconfigure, "", changes, optional, usual_ms),
};

#define RUNTIME(field, ...) SLOT(SKEP_RUNTIME_1, skep_runtime_1, field, __VA_ARGS__)
constexpr std::array runtime_operations{
    RUNTIME(fingerprint, "", streams, required, no_deadline),
    RUNTIME(create, "id", changes, required, container_ms),
    RUNTIME(start, "id", changes, required, usual_ms),
    RUNTIME(wait, "id", waits, required, no_deadline),
    // The grace is the caller's to add.
    RUNTIME(stop, "id", changes, required, usual_ms),
    RUNTIME(signal, "", changes, required, usual_ms),
    RUNTIME(remove, "id", changes, required, container_ms),
    RUNTIME(inspect, "id", reads, required, usual_ms),
    RUNTIME(list, "", reads, required, usual_ms),
    RUNTIME(events, "", streams, required, no_deadline),
    RUNTIME(stats, "", reads, required, usual_ms),
};

#define EXEC(field, ...) SLOT(SKEP_RUNTIME_EXEC_1, skep_runtime_exec_1, field, __VA_ARGS__)
constexpr std::array exec_operations{
    EXEC(create, "exec_id", changes, required, usual_ms),
    EXEC(start, "exec_id", changes, required, usual_ms),
    EXEC(resize, "exec_id", changes, required, usual_ms),
    EXEC(wait, "exec_id", waits, required, no_deadline),
    EXEC(close_stdin, "exec_id", changes, required, usual_ms),
    EXEC(signal, "", changes, required, usual_ms),
};

#define IMAGES(field, ...) SLOT(SKEP_RUNTIME_IMAGES_1, skep_runtime_images_1, field, __VA_ARGS__)
constexpr std::array images_operations{
    IMAGES(pull, "image", streams, required, no_deadline),
    IMAGES(inspect, "image", reads, required, usual_ms),
    IMAGES(list, "", reads, required, usual_ms),
    IMAGES(remove, "image", changes, required, image_remove_ms),
};

#define NETWORK(field, ...) SLOT(SKEP_NETWORK_1, skep_network_1, field, __VA_ARGS__)
constexpr std::array network_operations{
    NETWORK(create, "network", changes, required, network_ms),
    NETWORK(remove, "network", changes, required, network_ms),
    NETWORK(endpoint_create, "endpoint", changes, required, network_ms),
    NETWORK(endpoint_remove, "endpoint", changes, required, network_ms),
    NETWORK(join, "endpoint", changes, required, network_ms),
    NETWORK(leave, "endpoint", changes, required, network_ms),
    NETWORK(check, "endpoint", reads, required, network_ms),
    NETWORK(list, "", reads, required, network_ms),
};

#define LB(field, ...) SLOT(SKEP_LB_1, skep_lb_1, field, __VA_ARGS__)
constexpr std::array lb_operations{
    LB(endpoint_attach, "scope", changes, required, attach_ms),
    LB(endpoint_detach, "scope", changes, required, attach_ms),
    LB(apply, "scope", changes, required, apply_ms),
    LB(cut, "scope", changes, required, usual_ms),
    LB(connections, "scope", reads, required, usual_ms),
    LB(dump, "scope", reads, required, usual_ms),
    LB(check, "scope", reads, required, usual_ms),
    LB(stats, "scope", reads, required, usual_ms),
    LB(release, "scope", changes, required, usual_ms),
};

#define VOLUME(field, ...) SLOT(SKEP_VOLUME_1, skep_volume_1, field, __VA_ARGS__)
constexpr std::array volume_operations{
    VOLUME(create, "volume", changes, required, volume_ms),
    VOLUME(remove, "volume", changes, required, volume_ms),
    VOLUME(get, "volume", reads, required, usual_ms),
    VOLUME(list, "", reads, required, usual_ms),
    VOLUME(validate, "", reads, required, usual_ms),
    VOLUME(publish, "volume", changes, required, publish_ms),
    VOLUME(unpublish, "volume", changes, required, publish_ms),
    VOLUME(usage, "volume", reads, required, usual_ms),
    VOLUME(mounts, "", reads, required, usual_ms),
    VOLUME(stage, "volume", changes, optional, usual_ms),
    VOLUME(unstage, "volume", changes, optional, usual_ms),
    VOLUME(node_info, "", reads, optional, usual_ms),
    VOLUME(attach, "volume", changes, optional, volume_ms),
    VOLUME(detach, "volume", changes, optional, volume_ms),
    VOLUME(expand, "volume", changes, optional, volume_ms),
    VOLUME(capacity, "", reads, optional, usual_ms),
};

// Every slot once, in order: `Table` is its struct_size, its reserved word, and slots.
template <class Table, size_t Size>
constexpr bool complete(const std::array<Operation, Size>& operations) {
  constexpr size_t head = 2 * sizeof(uint32_t);
  if (sizeof(Table) != head + Size * sizeof(skep_call)) return false;
  for (size_t index = 0; index < Size; ++index) {
    if (operations[index].offset != head + index * sizeof(skep_call)) return false;
  }
  return true;
}
static_assert(complete<skep_base_1>(base_operations));
static_assert(complete<skep_runtime_1>(runtime_operations));
static_assert(complete<skep_runtime_exec_1>(exec_operations));
static_assert(complete<skep_runtime_images_1>(images_operations));
static_assert(complete<skep_network_1>(network_operations));
static_assert(complete<skep_lb_1>(lb_operations));
static_assert(complete<skep_volume_1>(volume_operations));

constexpr std::array all_interfaces{
    Interface{SKEP_BASE_1, "base", required, base_operations},
    Interface{SKEP_RUNTIME_1, "runtime", required, runtime_operations},
    Interface{SKEP_RUNTIME_EXEC_1, "runtime", optional, exec_operations},
    Interface{SKEP_RUNTIME_IMAGES_1, "runtime", optional, images_operations},
    Interface{SKEP_NETWORK_1, "network", required, network_operations},
    Interface{SKEP_LB_1, "lb", required, lb_operations},
    Interface{SKEP_VOLUME_1, "volume", required, volume_operations},
};

}  // namespace

std::span<const Interface> interfaces() {
  return all_interfaces;
}

const Interface* find_interface(std::string_view id) {
  for (const Interface& interface : all_interfaces) {
    if (interface.id == id) return &interface;
  }
  return nullptr;
}

const Operation* find_operation(std::string_view interface, std::string_view name) {
  const Interface* found = find_interface(interface);
  if (found == nullptr) return nullptr;
  for (const Operation& operation : found->operations) {
    if (operation.name == name) return &operation;
  }
  return nullptr;
}

const Operation* find_operation_at(std::string_view interface, uint32_t offset) {
  const Interface* found = find_interface(interface);
  if (found == nullptr) return nullptr;
  for (const Operation& operation : found->operations) {
    if (operation.offset == offset) return &operation;
  }
  return nullptr;
}

const Operation& operation_at(std::string_view interface, uint32_t offset) {
  const Operation* found = find_operation_at(interface, offset);
  SKEP_ASSERT(found != nullptr, "callers name a slot of a table of the catalog");
  return *found;
}

}  // namespace skep::host
