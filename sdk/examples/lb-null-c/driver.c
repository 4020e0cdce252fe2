/* lb-null-c: a load balancer in plain C that balances nothing yet, and is right about everything else.
 *
 * It keeps in memory what a real one puts into the kernel, so it shows the whole of skep/lb.h
 * without one: generations, full states that replace, changes that leave the rest alone, entries
 * that fail while the others are in force (a service with more than max_backends backends),
 * endpoints, release. To make a real balancer of it, put a scope's services where they act, and
 * read them back there in dump, check and stats.
 *
 * The state is one JSON document, SCOPE -> {"generation", "services": {ID: SERVICE}, "endpoints":
 * {ID: ..}}. Calls for one scope never overlap, but those for two do, and reads come at any moment:
 * hence the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>

#include "skep/c/driver.h"
#include "skep/lb.h"

static const char config_schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"max_backends\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 65536, \"default\": "
    "1024,"
    " \"description\": \"how many backends a service may have\"}}}";

static const int64_t generation_max = (int64_t)1 << 53; /* what a number of cJSON holds exactly */

struct driver {
  skep_driver base;
  int64_t max_backends;
  pthread_mutex_t lock; /* guards scopes */
  cJSON* scopes;
};

/* ---- requests ---- */

/* One of `words`, which ends with NULL; `fallback` when the member is absent, NULL if it may not
 * be. */
static skep_status one_of(const cJSON* object, const char* name, const char* const* words,
                          const char* fallback, skep_failure* why) {
  const char* word = fallback;
  if (fallback == NULL || skep_member(object, name) != NULL) {
    const skep_status status = skep_text(object, name, &word, why);
    if (status != SKEP_OK) return status;
  }
  for (; *words != NULL; ++words) {
    if (strcmp(word, *words) == 0) return SKEP_OK;
  }
  return skep_fail(why, SKEP_E_INVALID, "\"%s\" is not one of the words it may be", name);
}

static skep_status list_of(const cJSON* object, const char* name, const cJSON** list,
                           skep_failure* why) {
  *list = skep_member(object, name);
  if (*list == NULL || cJSON_IsArray(*list)) return SKEP_OK;
  return skep_fail(why, SKEP_E_INVALID, "\"%s\" must be a list", name);
}

static int is_address(const char* text) {
  unsigned char ignored[16];
  return inet_pton(AF_INET, text, ignored) == 1 || inet_pton(AF_INET6, text, ignored) == 1;
}

static int is_network_address(const char* text) {
  char address[INET6_ADDRSTRLEN] = "";
  const char* slash = strchr(text, '/');
  if (slash == NULL || (size_t)(slash - text) >= sizeof address) return 0;
  memcpy(address, text, (size_t)(slash - text));
  const size_t digits = strspn(slash + 1, "0123456789");
  const int widest = strchr(address, ':') != NULL ? 128 : 32;
  return is_address(address) && digits >= 1 && digits <= 3 && slash[1 + digits] == '\0' &&
         atoi(slash + 1) <= widest;
}

static skep_status check_port(const cJSON* port, skep_failure* why) {
  static const char* const protocols[] = {"tcp", "udp", "sctp", NULL};
  static const char* const modes[] = {"ingress", "host", NULL};
  int64_t published = 0, target = 0;
  skep_status status = one_of(port, "protocol", protocols, NULL, why);
  if (status == SKEP_OK) status = skep_integer(port, "published", 1, 65535, &published, why);
  if (status == SKEP_OK) status = skep_integer(port, "target", 1, 65535, &target, why);
  if (status == SKEP_OK) status = one_of(port, "mode", modes, "ingress", why);
  if (status != SKEP_OK) return status;
  if (published != 0 && target != 0) return SKEP_OK;
  return skep_fail(why, SKEP_E_INVALID, "\"%s\" is missing",
                   published == 0 ? "published" : "target");
}

static skep_status check_backend(const cJSON* backend, skep_failure* why) {
  static const char* const states[] = {"active", "draining", NULL};
  const char *task, *address;
  int64_t number = 0;
  skep_status status = skep_id(backend, "task", &task, why);
  if (status == SKEP_OK) status = skep_text(backend, "address", &address, why);
  if (status == SKEP_OK) status = skep_integer(backend, "port", 1, 65535, &number, why);
  if (status == SKEP_OK) status = skep_integer(backend, "weight", 0, INT32_MAX, &number, why);
  if (status == SKEP_OK) status = one_of(backend, "state", states, "active", why);
  if (status != SKEP_OK || is_address(address)) return status;
  return skep_fail(why, SKEP_E_INVALID, "\"address\" must be an IP address");
}

static skep_status check_service(const cJSON* service, skep_failure* why) {
  static const char* const policies[] = {"maglev", "rr", "wrr", NULL};
  const char* id;
  const cJSON *ports, *backends, *vips, *entry;
  int64_t affinity = 0;
  skep_status status = skep_id(service, "service", &id, why);
  if (status == SKEP_OK) status = one_of(service, "policy", policies, "maglev", why);
  if (status == SKEP_OK) {
    status = skep_integer(service, "affinity_s", 0, INT32_MAX, &affinity, why);
  }
  if (status == SKEP_OK) status = list_of(service, "ports", &ports, why);
  if (status == SKEP_OK) status = list_of(service, "backends", &backends, why);
  if (status == SKEP_OK && skep_member(service, "vips") != NULL) {
    status = skep_texts(service, "vips", &vips, why);
    if (status != SKEP_OK) return status;
    cJSON_ArrayForEach(entry, vips) {
      if (!is_address(entry->valuestring)) {
        return skep_fail(why, SKEP_E_INVALID, "\"vips\" must hold IP addresses");
      }
    }
  }
  if (status != SKEP_OK) return status;
  if (ports == NULL || backends == NULL) {
    return skep_fail(why, SKEP_E_INVALID, "\"%s\" is missing",
                     ports == NULL ? "ports" : "backends");
  }
  cJSON_ArrayForEach(entry, ports) {
    if (status == SKEP_OK) status = check_port(entry, why);
  }
  cJSON_ArrayForEach(entry, backends) {
    if (status == SKEP_OK) status = check_backend(entry, why);
  }
  return status;
}

/* ---- the state, under the lock ---- */

static cJSON* scope_of(struct driver* self, const char* name) {
  return cJSON_GetObjectItemCaseSensitive(self->scopes, name);
}

/* There or made; NULL when there is no memory. */
static cJSON* scope_made(struct driver* self, const char* name) {
  cJSON* scope = scope_of(self, name);
  if (scope != NULL) return scope;
  scope = cJSON_AddObjectToObject(self->scopes, name);
  cJSON_AddNumberToObject(scope, "generation", 0);
  cJSON_AddObjectToObject(scope, "services");
  cJSON_AddObjectToObject(scope, "endpoints");
  return scope;
}

static cJSON* part(const cJSON* scope, const char* name) {
  return cJSON_GetObjectItemCaseSensitive(scope, name);
}

static int64_t generation_of(const cJSON* scope) {
  return scope == NULL ? 0 : (int64_t)part(scope, "generation")->valuedouble;
}

static void put(cJSON* object, const char* name, const cJSON* value) {
  cJSON_DeleteItemFromObjectCaseSensitive(object, name);
  cJSON_AddItemToObject(object, name, cJSON_Duplicate(value, 1));
}

/* ---- skep.lb/1 ---- */

static skep_status endpoint_attach(struct driver* self, const cJSON* request, cJSON* reply,
                                   skep_failure* why) {
  (void)reply;
  const char *scope, *id, *ignored;
  const cJSON *addresses, *entry;
  int64_t index = 1;
  skep_status status = skep_id(request, "scope", &scope, why);
  if (status == SKEP_OK) status = skep_id(request, "endpoint", &id, why);
  if (status == SKEP_OK) status = skep_texts(request, "addresses", &addresses, why);
  if (status == SKEP_OK) status = skep_integer(request, "ifindex", 1, INT32_MAX, &index, why);
  static const char* const texts[] = {"netns", "cgroup", "mac"};
  for (int i = 0; i < 3 && status == SKEP_OK; ++i) {
    if (skep_member(request, texts[i])) status = skep_text(request, texts[i], &ignored, why);
  }
  if (status != SKEP_OK) return status;
  cJSON_ArrayForEach(entry, addresses) {
    if (!is_network_address(entry->valuestring)) {
      return skep_fail(why, SKEP_E_INVALID, "\"addresses\" must hold IP addresses with a prefix");
    }
  }
  /* What makes it this endpoint; members of a later contract are not. */
  static const char* const known[] = {"netns", "cgroup", "mac", "addresses", "ifindex"};
  cJSON* asked = cJSON_CreateObject();
  for (int i = 0; i < 5; ++i) {
    if (skep_member(request, known[i])) put(asked, known[i], skep_member(request, known[i]));
  }
  pthread_mutex_lock(&self->lock);
  cJSON* endpoints = part(scope_made(self, scope), "endpoints");
  const cJSON* there = cJSON_GetObjectItemCaseSensitive(endpoints, id);
  if (there == NULL) {
    cJSON_AddItemToObject(endpoints, id, cJSON_Duplicate(asked, 1));
  } else if (!cJSON_Compare(there, asked, 1)) {
    status = skep_fail(why, SKEP_E_EXISTS, "endpoint %s is attached otherwise", id);
  }
  pthread_mutex_unlock(&self->lock);
  cJSON_Delete(asked);
  return status;
}

static skep_status endpoint_detach(struct driver* self, const cJSON* request, cJSON* reply,
                                   skep_failure* why) {
  (void)reply;
  const char *scope, *id;
  skep_status status = skep_id(request, "scope", &scope, why);
  if (status == SKEP_OK) status = skep_id(request, "endpoint", &id, why);
  if (status != SKEP_OK) return status;
  pthread_mutex_lock(&self->lock);
  const cJSON* there = scope_of(self, scope);
  if (there != NULL) cJSON_DeleteItemFromObjectCaseSensitive(part(there, "endpoints"), id);
  pthread_mutex_unlock(&self->lock);
  return SKEP_OK;
}

/* Puts each service of `upsert` into `services`; what may not be is named in `failed`. */
static void upsert_services(const struct driver* self, cJSON* services, const cJSON* upsert,
                            cJSON* failed) {
  const cJSON* service;
  cJSON_ArrayForEach(service, upsert) {
    const char* id = part(service, "service")->valuestring;
    if (cJSON_GetArraySize(part(service, "backends")) <= self->max_backends) {
      put(services, id, service); /* one that did not change keeps its flows */
      continue;
    }
    cJSON* entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "service", id);
    cJSON_AddStringToObject(entry, "reason", "it has more than max_backends backends");
    cJSON_AddItemToArray(failed, entry);
  }
}

/* Takes away every service that `upsert` does not name. What failed keeps its old entry. */
static void keep_only(cJSON* services, const cJSON* upsert) {
  cJSON* next;
  for (cJSON* entry = services->child; entry != NULL; entry = next) {
    next = entry->next;
    int named = 0;
    const cJSON* service;
    cJSON_ArrayForEach(service, upsert) {
      named = named || strcmp(part(service, "service")->valuestring, entry->string) == 0;
    }
    if (!named) cJSON_Delete(cJSON_DetachItemViaPointer(services, entry));
  }
}

struct change {
  const char* scope;
  int64_t base, generation;
  const cJSON *upsert, *remove;
};

static skep_status read_change(const cJSON* request, struct change* change, skep_failure* why) {
  *change = (struct change){NULL, -1, -1, NULL, NULL};
  skep_status status = skep_id(request, "scope", &change->scope, why);
  if (status == SKEP_OK) {
    status = skep_integer(request, "base_generation", 0, generation_max, &change->base, why);
  }
  if (status == SKEP_OK) {
    status = skep_integer(request, "generation", 1, generation_max, &change->generation, why);
  }
  if (status == SKEP_OK) status = list_of(request, "upsert", &change->upsert, why);
  if (status == SKEP_OK && skep_member(request, "remove")) {
    status = skep_texts(request, "remove", &change->remove, why);
  }
  const cJSON* service;
  cJSON_ArrayForEach(service, change->upsert) {
    if (status == SKEP_OK) status = check_service(service, why);
  }
  if (status != SKEP_OK || (change->base >= 0 && change->generation >= 0)) return status;
  return skep_fail(why, SKEP_E_INVALID, "\"%s\" is missing",
                   change->base < 0 ? "base_generation" : "generation");
}

static skep_status apply_locked(struct driver* self, const struct change* change, cJSON* reply,
                                skep_failure* why) {
  const int64_t present = generation_of(scope_of(self, change->scope));
  if (change->generation <= present) { /* it is old, or there already */
    cJSON_AddNumberToObject(reply, "generation", (double)present);
    return SKEP_OK;
  }
  if (change->base != 0 && change->base != present) {
    return skep_fail(why, SKEP_E_PRECONDITION, "scope %s is at generation %lld, not %lld",
                     change->scope, (long long)present, (long long)change->base);
  }
  cJSON* scope = scope_made(self, change->scope);
  cJSON* services = part(scope, "services");
  cJSON* failed = cJSON_CreateArray();
  upsert_services(self, services, change->upsert, failed);
  /* What goes, goes last: nobody sees a moment without an entry that stays. */
  if (change->base == 0) keep_only(services, change->upsert);
  const cJSON* id;
  cJSON_ArrayForEach(id, change->remove) {
    cJSON_DeleteItemFromObjectCaseSensitive(services, id->valuestring);
  }
  if (failed->child != NULL) {
    cJSON_AddItemToObject(reply, "failed", failed);
    return skep_fail(why, SKEP_E_INTERNAL, "%d services failed", cJSON_GetArraySize(failed));
  }
  cJSON_Delete(failed);
  cJSON_SetNumberValue(part(scope, "generation"), (double)change->generation);
  cJSON_AddNumberToObject(reply, "generation", (double)change->generation);
  return SKEP_OK;
}

static skep_status apply(struct driver* self, const cJSON* request, cJSON* reply,
                         skep_failure* why) {
  struct change change;
  skep_status status = read_change(request, &change, why);
  if (status != SKEP_OK) return status;
  pthread_mutex_lock(&self->lock);
  status = apply_locked(self, &change, reply, why);
  pthread_mutex_unlock(&self->lock);
  return status;
}

static skep_status cut(struct driver* self, const cJSON* request, cJSON* reply, skep_failure* why) {
  (void)self;
  const char *scope, *task;
  skep_status status = skep_id(request, "scope", &scope, why);
  if (status == SKEP_OK) status = skep_id(request, "task", &task, why);
  if (status == SKEP_OK) cJSON_AddNumberToObject(reply, "cut", 0); /* there are no flows */
  return status;
}

static skep_status connections(struct driver* self, const cJSON* request, cJSON* reply,
                               skep_failure* why) {
  (void)self, (void)reply;
  const char *scope, *service;
  skep_status status = skep_id(request, "scope", &scope, why);
  if (status == SKEP_OK) status = skep_id(request, "service", &service, why);
  if (status != SKEP_OK) return status;
  return skep_fail(why, SKEP_E_UNIMPLEMENTED, "this driver does not count connections");
}

static skep_status dump(struct driver* self, const cJSON* request, cJSON* reply,
                        skep_failure* why) {
  const char* name;
  skep_status status = skep_id(request, "scope", &name, why);
  if (status != SKEP_OK) return status;
  pthread_mutex_lock(&self->lock);
  const cJSON* scope = scope_of(self, name);
  if (scope == NULL || (generation_of(scope) == 0 && part(scope, "services")->child == NULL)) {
    status = skep_fail(why, SKEP_E_NOTFOUND, "nothing was ever applied to scope %s", name);
  } else {
    cJSON_AddNumberToObject(reply, "generation", (double)generation_of(scope));
    cJSON* services = cJSON_AddArrayToObject(reply, "services");
    const cJSON* service;
    cJSON_ArrayForEach(service, part(scope, "services")) {
      cJSON_AddItemToArray(services, cJSON_Duplicate(service, 1));
    }
  }
  pthread_mutex_unlock(&self->lock);
  return status;
}

static skep_status check(struct driver* self, const cJSON* request, cJSON* reply,
                         skep_failure* why) {
  (void)self;
  const char* scope;
  const skep_status status = skep_id(request, "scope", &scope, why);
  /* Memory is where it acts and what was applied at once, so they can't differ. */
  if (status == SKEP_OK) cJSON_AddArrayToObject(reply, "drift");
  return status;
}

static skep_status stats(struct driver* self, const cJSON* request, cJSON* reply,
                         skep_failure* why) {
  const char* name;
  const skep_status status = skep_id(request, "scope", &name, why);
  if (status != SKEP_OK) return status;
  cJSON* services = cJSON_AddArrayToObject(reply, "services");
  pthread_mutex_lock(&self->lock);
  const cJSON* service;
  cJSON_ArrayForEach(service, part(scope_of(self, name), "services")) {
    cJSON* entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "service", service->string);
    cJSON_AddNumberToObject(entry, "packets", 0);
    cJSON_AddItemToArray(services, entry);
  }
  pthread_mutex_unlock(&self->lock);
  return SKEP_OK;
}

static skep_status release(struct driver* self, const cJSON* request, cJSON* reply,
                           skep_failure* why) {
  (void)reply;
  const char* scope;
  const skep_status status = skep_id(request, "scope", &scope, why);
  if (status != SKEP_OK) return status;
  pthread_mutex_lock(&self->lock);
  cJSON_DeleteItemFromObjectCaseSensitive(self->scopes, scope);
  pthread_mutex_unlock(&self->lock);
  return SKEP_OK;
}

/* ---- skep.base/1 ---- */

static skep_status capabilities(struct driver* self, const cJSON* request, cJSON* reply,
                                skep_failure* why) {
  (void)request, (void)why;
  static const char* const yes[] = {"ingress", "east_west", "ipv6", "draining"};
  static const char* const protocols[] = {"tcp", "udp", "sctp"};
  for (int i = 0; i < 4; ++i) cJSON_AddTrueToObject(reply, yes[i]);
  cJSON_AddItemToObject(reply, "protocols", cJSON_CreateStringArray(protocols, 3));
  cJSON_AddNumberToObject(reply, "max_backends", (double)self->max_backends);
  return SKEP_OK;
}

static skep_status configure(struct driver* self, const cJSON* request, cJSON* reply,
                             skep_failure* why) {
  (void)reply;
  const cJSON* config = skep_member(request, "config");
  if (!cJSON_IsObject(config)) {
    return skep_fail(why, SKEP_E_INVALID, "\"config\" must be an object");
  }
  int64_t asked = 1024;
  const skep_status status = skep_integer(config, "max_backends", 1, 65536, &asked, why);
  if (status != SKEP_OK) return status;
  if (self->base.configured && asked != self->max_backends) {
    return skep_fail(why, SKEP_E_PRECONDITION,
                     "the driver is configured; a change needs a restart");
  }
  self->max_backends = asked;
  self->base.configured = 1;
  return SKEP_OK;
}

/* A real one tries the kernel's feature here, and answers "broken" with the name of what is
 * missing. */
static skep_status probe(struct driver* self, const cJSON* request, cJSON* reply,
                         skep_failure* why) {
  (void)self, (void)request, (void)why;
  cJSON_AddStringToObject(reply, "state", "ready");
  return SKEP_OK;
}

/* The full state follows as an apply; there is nothing to find again here. */
static skep_status restore(struct driver* self, const cJSON* request, cJSON* reply,
                           skep_failure* why) {
  (void)self, (void)reply;
  const char* scope;
  return skep_id(request, "id", &scope, why);
}

static skep_status restore_done(struct driver* self, const cJSON* request, cJSON* reply,
                                skep_failure* why) {
  (void)self, (void)reply;
  const cJSON* ids;
  return skep_texts(request, "ids", &ids, why);
}

static skep_status dump_all(struct driver* self, const cJSON* request, cJSON* reply,
                            skep_failure* why) {
  (void)request, (void)why;
  pthread_mutex_lock(&self->lock);
  cJSON_AddItemToObject(reply, "scopes", cJSON_Duplicate(self->scopes, 1));
  pthread_mutex_unlock(&self->lock);
  return SKEP_OK;
}

/* ---- tables and identity ---- */

SKEP_CALL(capabilities, 0)
SKEP_CALL(configure, 0)
SKEP_CALL(probe, 0)
SKEP_CALL(restore, 1)
SKEP_CALL(restore_done, 1)
SKEP_CALL(dump_all, 0)
SKEP_CALL(endpoint_attach, 1)
SKEP_CALL(endpoint_detach, 1)
SKEP_CALL(apply, 1)
SKEP_CALL(cut, 1)
SKEP_CALL(connections, 1)
SKEP_CALL(dump, 1)
SKEP_CALL(check, 1)
SKEP_CALL(stats, 1)
SKEP_CALL(release, 1)

static const skep_base_1 base_table = {
    .struct_size = sizeof base_table,
    .capabilities = call_capabilities,
    .configure = call_configure,
    .probe = call_probe,
    .restore = call_restore,
    .restore_done = call_restore_done,
    .drain = skep_call_drain,
    .shutdown = skep_call_shutdown,
    .dump = call_dump_all,
};

static const skep_lb_1 lb_table = {
    .struct_size = sizeof lb_table,
    .endpoint_attach = call_endpoint_attach,
    .endpoint_detach = call_endpoint_detach,
    .apply = call_apply,
    .cut = call_cut,
    .connections = call_connections,
    .dump = call_dump,
    .check = call_check,
    .stats = call_stats,
    .release = call_release,
};

static const void* get_interface(void* self, const char* id) {
  (void)self;
  if (strcmp(id, SKEP_BASE_1) == 0) return &base_table;
  return strcmp(id, SKEP_LB_1) == 0 ? &lb_table : NULL;
}

static void destroy(void* self) {
  struct driver* driver = self;
  cJSON_Delete(driver->scopes);
  pthread_mutex_destroy(&driver->lock);
  free(driver);
}

static const skep_instance* make(const skep_host* host) {
  struct driver* driver = calloc(1, sizeof *driver);
  if (driver == NULL) return NULL;
  driver->base.host = host;
  driver->scopes = cJSON_CreateObject();
  pthread_mutex_init(&driver->lock, NULL);
  if (driver->scopes == NULL) {
    destroy(driver);
    return NULL;
  }
  driver->base.instance.struct_size = sizeof driver->base.instance;
  driver->base.instance.self = driver;
  driver->base.instance.get_interface = get_interface;
  driver->base.instance.destroy = destroy;
  return &driver->base.instance;
}

#define INTERFACES SKEP_BASE_1 " " SKEP_LB_1
SKEP_DECLARE_NOTE("lb-null-c", "0.1.0", INTERFACES);

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      .struct_size = sizeof plugin,
      .abi_major = SKEP_ABI_MAJOR,
      .abi_minor = SKEP_ABI_MINOR,
      .host_minor_needed = SKEP_ABI_TARGET_MINOR,
      .id = "lb-null-c",
      .version = "0.1.0",
      .vendor = "",
      .interfaces = INTERFACES,
      .config_schema = config_schema,
      .create = make,
  };
  return &plugin;
}
