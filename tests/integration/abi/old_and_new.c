/* A volume driver in C that is built against two minors of the contract, for the pairings of old
 * and new.
 *
 * It keeps nothing: every operation has one answer. What a minor appended it has as soon as that
 * minor's headers are there, and tells in its capabilities whether the host's appended function is
 * there too. SKEP_TEST_MARKER in the environment names a file that appears when any code of the
 * library runs.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skep/volume.h"

struct self {
  skep_instance instance;
  const skep_host* host;
};

__attribute__((constructor)) static void leave_a_mark(void) {
  const char* marker = getenv("SKEP_TEST_MARKER");
  FILE* file = marker == NULL ? NULL : fopen(marker, "w");
  if (file != NULL) fclose(file);
}

static skep_status finish(struct self* self, skep_op* op, const char* reply) {
  const skep_str document = {reply, strlen(reply)};
  const skep_str no_error = {NULL, 0};
  self->host->complete(self->host, op, SKEP_OK, document, no_error);
  return SKEP_OK;
}

#define ANSWER(name, reply)                                            \
  static skep_status name(void* self, skep_op* op, skep_str request) { \
    (void)request;                                                     \
    return finish(self, op, reply);                                    \
  }
ANSWER(nothing, "{}")
ANSWER(probe, "{\"state\":\"ready\"}")
ANSWER(create_volume, "{\"handle\":{\"version\":1}}")
ANSWER(get, "{\"volume\":\"data\",\"handle\":{\"version\":1}}")
ANSWER(list, "{\"volumes\":[]}")
ANSWER(publish, "{\"path\":\"/srv/data\"}")
ANSWER(usage, "{\"used_bytes\":0}")
ANSWER(mounts, "{\"mounts\":[]}")
#if SKEP_ABI_MINOR >= 1
ANSWER(added_to_base, "{\"added\":\"base\"}")
ANSWER(added_to_volume, "{\"added\":\"volume\"}")
#endif

static skep_status capabilities(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char reply[128];
  long long number = -1;
  (void)request;
#if SKEP_ABI_MINOR >= 1
  if (SKEP_HAS(self->host, skep_host, added)) number = self->host->added(self->host);
#endif
  snprintf(reply, sizeof reply, "{\"scope\":\"local\",\"host_minor\":%u,\"host_added\":%lld}",
           self->host->abi_minor, number);
  return finish(self, op, reply);
}

static const void* get_interface(void* me, const char* id) {
  static const skep_base_1 base = {
    .struct_size = sizeof base,
    .capabilities = capabilities,
    .configure = nothing,
    .probe = probe,
    .restore = nothing,
    .restore_done = nothing,
    .drain = nothing,
    .shutdown = nothing,
    .dump = nothing,
#if SKEP_ABI_MINOR >= 1
    .added = added_to_base,
#endif
  };
  static const skep_volume_1 volume = {
    .struct_size = sizeof volume,
    .create = create_volume,
    .remove = nothing,
    .get = get,
    .list = list,
    .validate = nothing,
    .publish = publish,
    .unpublish = nothing,
    .usage = usage,
    .mounts = mounts,
#if SKEP_ABI_MINOR >= 1
    .added = added_to_volume,
#endif
  };
  (void)me;
  if (strcmp(id, SKEP_BASE_1) == 0) return &base;
  if (strcmp(id, SKEP_VOLUME_1) == 0) return &volume;
  return NULL;
}

static void destroy(void* me) {
  free(me);
}

static const skep_instance* create(const skep_host* host) {
  struct self* self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->host = host;
  self->instance.struct_size = sizeof self->instance;
  self->instance.self = self;
  self->instance.get_interface = get_interface;
  self->instance.destroy = destroy;
  return &self->instance;
}

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
      .create = create,
  };
  return &plugin;
}
