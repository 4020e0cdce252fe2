/* The fake driver that remembers its lives, and dies where its configuration says.
 *
 * Members of its configuration: "size" (a number; changing it to 13 needs another life), "password"
 * (a secret), "ready" (its probe), "die" ("configure", "restore", "done", "probe" or "shutdown":
 * where it ends its process, while the file that "while" names exists). "how" puts something in the
 * place of that end: "hang" never returns, and leaves its process id in the file WHILE.now;
 * "deadline" answers that its own time was up; "afterwards" makes WHILE.now, answers well and ends
 * 20 ms later; "linger" goes on when the file is gone; "unready" has its probe say so. Built as
 * several files with different identities.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "keeper.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef KEEPER_ID
#define KEEPER_ID "fake-keeper"
#endif
#ifndef KEEPER_INTERFACES
#define KEEPER_INTERFACES "skep.base/1 skep.x-keep/1"
#endif
#ifndef KEEPER_FLAGS
#define KEEPER_FLAGS 0
#endif
#ifndef KEEPER_SCHEMA
#define KEEPER_SCHEMA                                                                         \
  "{\"type\":\"object\",\"properties\":{\"size\":{\"type\":\"integer\"},\"ready\":{\"type\":" \
  "\"boolean\"},\"die\":{\"type\":\"string\"},\"while\":{\"type\":\"string\"},"               \
  "\"how\":{\"type\":\"string\"},"                                                            \
  "\"password\":{\"type\":\"string\",\"secret\":true},"                                       \
  "\"account\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},"          \
  "\"key\":{\"type\":\"string\",\"secret\":true}}}},\"additionalProperties\":false}"
#endif

struct self {
  skep_instance instance;
  const skep_host* host;
  pthread_mutex_t mutex;
  char history[8192];
  char config[4096];
  skep_op* waiting; /* of the last `wait`; under the mutex */
};

static skep_str str(const char* text) {
  skep_str view = {text, strlen(text)};
  return view;
}

static skep_status answer(struct self* self, skep_op* op, skep_status status, const char* reply,
                          const char* error) {
  self->host->complete(self->host, op, status, str(reply), str(error));
  return SKEP_OK;
}

/* The text of a member whose value is a string or a list, without its quotes and brackets. */
static void member(skep_str document, const char* name, char* out, size_t size) {
  char text[4096] = {0};
  char wanted[64];
  const char* at;
  size_t length = 0;
  memcpy(text, document.ptr, document.len < sizeof text - 1 ? document.len : sizeof text - 1);
  snprintf(wanted, sizeof wanted, "\"%s\":", name);
  at = strstr(text, wanted);
  out[0] = 0;
  if (at == NULL) return;
  for (at += strlen(wanted); *at != 0 && *at != '}' && length + 1 < size; ++at) {
    if (*at == ']' || (*at == ',' && out[0] != '[' && at[-1] == '"' && strchr(at, ']') == NULL))
      break;
    if (*at != '"' && *at != '[') out[length++] = *at;
  }
  out[length] = 0;
}

static void note(struct self* self, const char* word, const char* what) {
  pthread_mutex_lock(&self->mutex);
  if (self->history[0] != 0)
    strncat(self->history, "; ", sizeof self->history - strlen(self->history) - 1);
  strncat(self->history, word, sizeof self->history - strlen(self->history) - 1);
  strncat(self->history, what, sizeof self->history - strlen(self->history) - 1);
  pthread_mutex_unlock(&self->mutex);
}

/* 1 when it has answered already. */
static int maybe_die(struct self* self, skep_op* op, const char* where) {
  char text[4200];
  char wanted[64];
  char file[512];
  char now[520];
  FILE* told;
  snprintf(wanted, sizeof wanted, "\"die\":\"%s\"", where);
  if (strstr(self->config, wanted) == NULL) return 0;
  snprintf(text, sizeof text, "%s", self->config);
  member(str(text), "while", file, sizeof file);
  if (file[0] != 0 && access(file, F_OK) != 0) return 0;
  if (strstr(self->config, "\"how\":\"deadline\"") != NULL) {
    answer(self, op, SKEP_E_DEADLINE, "", "its disk does not answer");
    return 1;
  }
  snprintf(now, sizeof now, "%s.now", file);
  if (strstr(self->config, "\"how\":") != NULL && (told = fopen(now, "w")) != NULL) {
    fprintf(told, "%d\n", (int)getpid());
    fclose(told);
  }
  if (strstr(self->config, "\"how\":\"linger\"") != NULL) {
    while (access(file, F_OK) == 0) poll(NULL, 0, 5);
    return 0;
  }
  if (strstr(self->config, "\"how\":\"unready\"") != NULL) {
    answer(self, op, SKEP_OK, "{\"state\":\"not_ready\",\"reason\":\"warming up\"}", "");
    return 1;
  }
  if (strstr(self->config, "\"how\":\"hang\"") != NULL) {
    for (;;) poll(NULL, 0, -1);
  }
  if (strstr(self->config, "\"how\":\"afterwards\"") != NULL) {
    poll(NULL, 0, 20);
    answer(self, op, SKEP_OK, "{}", "");
    poll(NULL, 0, 20);
  }
  _exit(3);
}

static skep_status configure(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  snprintf(self->config, sizeof self->config, "%.*s", (int)request.len, request.ptr);
  note(self, "configure", "");
  if (maybe_die(self, op, "configure")) return SKEP_OK;
  if (strstr(self->config, "\"size\":99") != NULL) {
    return answer(self, op, SKEP_E_INVALID, "", "config.size: 99 is too much");
  }
  return answer(self, op, SKEP_OK, "{}", "");
}

static skep_status reconfigure(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char text[4096];
  snprintf(text, sizeof text, "%.*s", (int)request.len, request.ptr);
  if (strstr(text, "\"size\":13") != NULL) {
    return answer(self, op, SKEP_E_PRECONDITION, "", "size can't be 13 in this life");
  }
  note(self, "reconfigure", "");
  return answer(self, op, SKEP_OK, "{}", "");
}

static skep_status probe(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  (void)request;
  if (maybe_die(self, op, "probe")) return SKEP_OK;
  if (strstr(self->config, "\"ready\":false") != NULL) {
    return answer(self, op, SKEP_OK, "{\"state\":\"not_ready\",\"reason\":\"no kernel for it\"}",
                  "");
  }
  return answer(self, op, SKEP_OK, "{\"state\":\"ready\",\"reason\":\"\"}", "");
}

static skep_status restore(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char id[256];
  member(request, "id", id, sizeof id);
  note(self, "restore ", id);
  if (maybe_die(self, op, "restore")) return SKEP_OK;
  if (strcmp(id, "gone") == 0) return answer(self, op, SKEP_E_NOTFOUND, "", "it is gone");
  return answer(self, op, SKEP_OK, "{}", "");
}

static skep_status restore_done(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char ids[1024];
  member(request, "ids", ids, sizeof ids);
  note(self, "done ", ids);
  if (maybe_die(self, op, "done")) return SKEP_OK;
  return answer(self, op, SKEP_OK, "{}", "");
}

static skep_status history(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char reply[8300];
  (void)request;
  pthread_mutex_lock(&self->mutex);
  snprintf(reply, sizeof reply, "\"%s\"", self->history);
  pthread_mutex_unlock(&self->mutex);
  return answer(self, op, SKEP_OK, reply, "");
}

static skep_status die(void* me, skep_op* op, skep_str request) {
  (void)me, (void)op, (void)request;
  abort();
}

static skep_status hang(void* me, skep_op* op, skep_str request) {
  (void)me, (void)op, (void)request;
  for (;;) poll(NULL, 0, -1);
}

static skep_status wait_for_ever(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  (void)request;
  pthread_mutex_lock(&self->mutex);
  self->waiting = op;
  pthread_mutex_unlock(&self->mutex);
  return SKEP_PENDING;
}

static void cancel(void* me, skep_op* op) {
  struct self* self = me;
  int mine;
  pthread_mutex_lock(&self->mutex);
  mine = self->waiting == op;
  if (mine) self->waiting = NULL;
  pthread_mutex_unlock(&self->mutex);
  if (mine) answer(self, op, SKEP_E_CANCELLED, "", "as was asked");
}

static skep_status count(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  const skep_host_metric_1* metrics = self->host->get_extension(self->host, SKEP_HOST_METRIC_1);
  (void)request;
  metrics->add(self->host, str("turns"), 3);
  self->host->log(self->host, op, SKEP_LOG_DEBUG, str("it counts"));
  return answer(self, op, SKEP_OK,
                self->host->log_level(self->host) == SKEP_LOG_DEBUG ? "\"debug\"" : "\"other\"",
                "");
}

static skep_status nothing(void* me, skep_op* op, skep_str request) {
  (void)request;
  return answer(me, op, SKEP_OK, "{}", "");
}

static skep_status shut_down(void* me, skep_op* op, skep_str request) {
  (void)request;
  if (maybe_die(me, op, "shutdown")) return SKEP_OK;
  return answer(me, op, SKEP_OK, "{}", "");
}

static const void* get_interface(void* me, const char* id) {
  static const skep_base_1 base = {sizeof base,  0,       nothing,   configure, probe,      restore,
                                   restore_done, nothing, shut_down, nothing,   reconfigure};
  static const skep_test_keeper keeper = {sizeof keeper, 0,    history, die, hang,
                                          wait_for_ever, count};
  /* A kind's table without operations: enough to be taken for one of the kind. */
  static const uint32_t empty[2] = {8, 0};
  (void)me;
  if (strcmp(id, SKEP_BASE_1) == 0) return &base;
  if (strcmp(id, SKEP_TEST_KEEPER) == 0) return &keeper;
  return strstr(KEEPER_INTERFACES, id) != NULL ? empty : NULL;
}

static void destroy(void* me) {
  free(me);
}

static const skep_instance* create(const skep_host* host) {
  struct self* self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  pthread_mutex_init(&self->mutex, NULL);
  self->host = host;
  self->instance.struct_size = sizeof(skep_instance);
  self->instance.self = self;
  self->instance.get_interface = get_interface;
  self->instance.destroy = destroy;
  self->instance.cancel = cancel;
  return &self->instance;
}

SKEP_DECLARE_NOTE(KEEPER_ID, "1.0", KEEPER_INTERFACES);

static const skep_plugin plugin = {sizeof(skep_plugin),
                                   SKEP_ABI_MAJOR,
                                   SKEP_ABI_MINOR,
                                   0,
                                   KEEPER_ID,
                                   "1.0",
                                   "test",
                                   KEEPER_INTERFACES,
                                   KEEPER_SCHEMA,
                                   create,
                                   KEEPER_FLAGS,
                                   0,
                                   NULL};

const skep_plugin* skep_plugin_query(void) {
  return &plugin;
}
