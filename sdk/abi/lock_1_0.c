/* What minor 1.0 of the contract promised to every compiled driver.
 *
 * Drafts come first: until 1.0 is released this block follows the headers, in a commit that says
 * so. From its release on it is never edited (check.py holds the released ones by their hash); a
 * later minor gets a block of its own, lock_1_1.c, with what it appended. All blocks hold for the
 * headers of today.
 *
 * A line that doesn't compile says which driver would break; so the header is wrong, not the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include "skep/abi.h"
#include "skep/lb.h"
#include "skep/network.h"
#include "skep/runtime.h"
#include "skep/volume.h"

#include "lock.h"

LOCK_FUNCTION(skep_plugin_query, const skep_plugin* (*)(void));

/* ---- skep/abi.h */

LOCK_VALUE(SKEP_ABI_MAJOR, 1);

LOCK_EXACT(skep_str, 16);
LOCK_FIELD(skep_str, ptr, 0, const char*);
LOCK_FIELD(skep_str, len, 8, size_t);

LOCK_VALUE(SKEP_OK, 0);
LOCK_VALUE(SKEP_PENDING, 1);
LOCK_VALUE(SKEP_E_INVALID, -1);
LOCK_VALUE(SKEP_E_NOTFOUND, -2);
LOCK_VALUE(SKEP_E_EXISTS, -3);
LOCK_VALUE(SKEP_E_BUSY, -4);
LOCK_VALUE(SKEP_E_UNAVAILABLE, -5);
LOCK_VALUE(SKEP_E_PRECONDITION, -6);
LOCK_VALUE(SKEP_E_EXHAUSTED, -7);
LOCK_VALUE(SKEP_E_DENIED, -8);
LOCK_VALUE(SKEP_E_UNIMPLEMENTED, -9);
LOCK_VALUE(SKEP_E_CANCELLED, -10);
LOCK_VALUE(SKEP_E_DEADLINE, -11);
LOCK_VALUE(SKEP_E_INTERNAL, -12);
LOCK_VALUE(SKEP_E_PLUGIN_LOST, -13);
LOCK_VALUE(SKEP_ID_MAX, 128);
LOCK_VALUE(SKEP_REQUEST_MAX, 1048576);
LOCK_VALUE(SKEP_ERROR_MAX, 8192);
LOCK_VALUE(SKEP_LOG_DEBUG, 0);
LOCK_VALUE(SKEP_LOG_INFO, 1);
LOCK_VALUE(SKEP_LOG_WARNING, 2);
LOCK_VALUE(SKEP_LOG_ERROR, 3);

LOCK_SIZE(skep_host, 80);
LOCK_FIELD(skep_host, struct_size, 0, uint32_t);
LOCK_FIELD(skep_host, abi_major, 4, uint32_t);
LOCK_FIELD(skep_host, abi_minor, 8, uint32_t);
LOCK_FIELD(skep_host, reserved, 12, uint32_t);
LOCK_FIELD(skep_host, ctx, 16, void*);
LOCK_FIELD(skep_host, get_extension, 24, const void* (*)(const struct skep_host*, const char*));
LOCK_FIELD(skep_host, log, 32, void (*)(const struct skep_host*, skep_op*, int32_t, skep_str));
LOCK_FIELD(skep_host, log_level, 40, int32_t (*)(const struct skep_host*));
LOCK_FIELD(skep_host, complete, 48,
           void (*)(const struct skep_host*, skep_op*, int32_t, skep_str, skep_str));
LOCK_FIELD(skep_host, emit, 56, int32_t (*)(const struct skep_host*, skep_op*, skep_str));
LOCK_FIELD(skep_host, cancelled, 64, int32_t (*)(const struct skep_host*, skep_op*));
LOCK_FIELD(skep_host, deadline_ms, 72, int64_t (*)(const struct skep_host*, skep_op*));

LOCK_TEXT(SKEP_BASE_1, "skep.base/1");

LOCK_SIZE(skep_base_1, 80);
LOCK_FIELD(skep_base_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_base_1, reserved, 4, uint32_t);
LOCK_SLOT(skep_base_1, capabilities, 8);
LOCK_SLOT(skep_base_1, configure, 16);
LOCK_SLOT(skep_base_1, probe, 24);
LOCK_SLOT(skep_base_1, restore, 32);
LOCK_SLOT(skep_base_1, restore_done, 40);
LOCK_SLOT(skep_base_1, drain, 48);
LOCK_SLOT(skep_base_1, shutdown, 56);
LOCK_SLOT(skep_base_1, dump, 64);
LOCK_SLOT(skep_base_1, reconfigure, 72);

LOCK_TEXT(SKEP_HOST_METRIC_1, "skep.host.metric/1");

LOCK_SIZE(skep_host_metric_1, 24);
LOCK_FIELD(skep_host_metric_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_host_metric_1, reserved, 4, uint32_t);
LOCK_FIELD(skep_host_metric_1, add, 8, void (*)(const struct skep_host*, skep_str, int64_t));
LOCK_FIELD(skep_host_metric_1, set, 16, void (*)(const struct skep_host*, skep_str, int64_t));

LOCK_SIZE(skep_instance, 40);
LOCK_FIELD(skep_instance, struct_size, 0, uint32_t);
LOCK_FIELD(skep_instance, reserved, 4, uint32_t);
LOCK_FIELD(skep_instance, self, 8, void*);
LOCK_FIELD(skep_instance, get_interface, 16, const void* (*)(void*, const char*));
LOCK_FIELD(skep_instance, destroy, 24, void (*)(void*));
LOCK_FIELD(skep_instance, cancel, 32, void (*)(void*, skep_op*));

LOCK_VALUE(SKEP_PLUGIN_CONCURRENT, 1);
LOCK_VALUE(SKEP_PLUGIN_PROCESS_ONLY, 2);

LOCK_SIZE(skep_plugin, 80);
LOCK_FIELD(skep_plugin, struct_size, 0, uint32_t);
LOCK_FIELD(skep_plugin, abi_major, 4, uint32_t);
LOCK_FIELD(skep_plugin, abi_minor, 8, uint32_t);
LOCK_FIELD(skep_plugin, host_minor_needed, 12, uint32_t);
LOCK_FIELD(skep_plugin, id, 16, const char*);
LOCK_FIELD(skep_plugin, version, 24, const char*);
LOCK_FIELD(skep_plugin, vendor, 32, const char*);
LOCK_FIELD(skep_plugin, interfaces, 40, const char*);
LOCK_FIELD(skep_plugin, config_schema, 48, const char*);
LOCK_FIELD(skep_plugin, create, 56, const skep_instance* (*)(const skep_host*));
LOCK_FIELD(skep_plugin, flags, 64, uint32_t);
LOCK_FIELD(skep_plugin, reserved, 68, uint32_t);
LOCK_FIELD(skep_plugin, options_schema, 72, const char*);

LOCK_VALUE(SKEP_NOTE_TYPE, 0x534b4550u);
LOCK_VALUE(SKEP_NOTE_DESC_SIZE, 256);

LOCK_EXACT(struct skep_note, 276);
LOCK_FIELD(struct skep_note, name_size, 0, uint32_t);
LOCK_FIELD(struct skep_note, desc_size, 4, uint32_t);
LOCK_FIELD(struct skep_note, type, 8, uint32_t);
LOCK_ARRAY(struct skep_note, name, 12, char, 8);
LOCK_ARRAY(struct skep_note, desc, 20, char, 256);

/* ---- skep/runtime.h */

LOCK_TEXT(SKEP_RUNTIME_1, "skep.runtime/1");

LOCK_SIZE(skep_runtime_1, 96);
LOCK_FIELD(skep_runtime_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_runtime_1, reserved, 4, uint32_t);
LOCK_SLOT(skep_runtime_1, fingerprint, 8);
LOCK_SLOT(skep_runtime_1, create, 16);
LOCK_SLOT(skep_runtime_1, start, 24);
LOCK_SLOT(skep_runtime_1, wait, 32);
LOCK_SLOT(skep_runtime_1, stop, 40);
LOCK_SLOT(skep_runtime_1, signal, 48);
LOCK_SLOT(skep_runtime_1, remove, 56);
LOCK_SLOT(skep_runtime_1, inspect, 64);
LOCK_SLOT(skep_runtime_1, list, 72);
LOCK_SLOT(skep_runtime_1, events, 80);
LOCK_SLOT(skep_runtime_1, stats, 88);

LOCK_TEXT(SKEP_RUNTIME_EXEC_1, "skep.runtime.exec/1");

LOCK_SIZE(skep_runtime_exec_1, 56);
LOCK_FIELD(skep_runtime_exec_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_runtime_exec_1, reserved, 4, uint32_t);
LOCK_SLOT(skep_runtime_exec_1, create, 8);
LOCK_SLOT(skep_runtime_exec_1, start, 16);
LOCK_SLOT(skep_runtime_exec_1, resize, 24);
LOCK_SLOT(skep_runtime_exec_1, wait, 32);
LOCK_SLOT(skep_runtime_exec_1, close_stdin, 40);
LOCK_SLOT(skep_runtime_exec_1, signal, 48);

LOCK_TEXT(SKEP_RUNTIME_IMAGES_1, "skep.runtime.images/1");

LOCK_SIZE(skep_runtime_images_1, 40);
LOCK_FIELD(skep_runtime_images_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_runtime_images_1, reserved, 4, uint32_t);
LOCK_SLOT(skep_runtime_images_1, pull, 8);
LOCK_SLOT(skep_runtime_images_1, inspect, 16);
LOCK_SLOT(skep_runtime_images_1, list, 24);
LOCK_SLOT(skep_runtime_images_1, remove, 32);

/* ---- skep/network.h */

LOCK_TEXT(SKEP_NETWORK_1, "skep.network/1");

LOCK_SIZE(skep_network_1, 72);
LOCK_FIELD(skep_network_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_network_1, reserved, 4, uint32_t);
LOCK_SLOT(skep_network_1, create, 8);
LOCK_SLOT(skep_network_1, remove, 16);
LOCK_SLOT(skep_network_1, endpoint_create, 24);
LOCK_SLOT(skep_network_1, endpoint_remove, 32);
LOCK_SLOT(skep_network_1, join, 40);
LOCK_SLOT(skep_network_1, leave, 48);
LOCK_SLOT(skep_network_1, check, 56);
LOCK_SLOT(skep_network_1, list, 64);

/* ---- skep/lb.h */

LOCK_TEXT(SKEP_LB_1, "skep.lb/1");

LOCK_SIZE(skep_lb_1, 80);
LOCK_FIELD(skep_lb_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_lb_1, reserved, 4, uint32_t);
LOCK_SLOT(skep_lb_1, endpoint_attach, 8);
LOCK_SLOT(skep_lb_1, endpoint_detach, 16);
LOCK_SLOT(skep_lb_1, apply, 24);
LOCK_SLOT(skep_lb_1, cut, 32);
LOCK_SLOT(skep_lb_1, connections, 40);
LOCK_SLOT(skep_lb_1, dump, 48);
LOCK_SLOT(skep_lb_1, check, 56);
LOCK_SLOT(skep_lb_1, stats, 64);
LOCK_SLOT(skep_lb_1, release, 72);

/* ---- skep/volume.h */

LOCK_TEXT(SKEP_VOLUME_1, "skep.volume/1");

LOCK_SIZE(skep_volume_1, 136);
LOCK_FIELD(skep_volume_1, struct_size, 0, uint32_t);
LOCK_FIELD(skep_volume_1, reserved, 4, uint32_t);
LOCK_SLOT(skep_volume_1, create, 8);
LOCK_SLOT(skep_volume_1, remove, 16);
LOCK_SLOT(skep_volume_1, get, 24);
LOCK_SLOT(skep_volume_1, list, 32);
LOCK_SLOT(skep_volume_1, validate, 40);
LOCK_SLOT(skep_volume_1, publish, 48);
LOCK_SLOT(skep_volume_1, unpublish, 56);
LOCK_SLOT(skep_volume_1, usage, 64);
LOCK_SLOT(skep_volume_1, mounts, 72);
LOCK_SLOT(skep_volume_1, stage, 80);
LOCK_SLOT(skep_volume_1, unstage, 88);
LOCK_SLOT(skep_volume_1, node_info, 96);
LOCK_SLOT(skep_volume_1, attach, 104);
LOCK_SLOT(skep_volume_1, detach, 112);
LOCK_SLOT(skep_volume_1, expand, 120);
LOCK_SLOT(skep_volume_1, capacity, 128);
