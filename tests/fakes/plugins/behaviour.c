/* The fake driver in C: what behaviour.h promises. No state but counters; an object of the test.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "behaviour.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct self {
  skep_instance instance;
  const skep_host* host;
  atomic_int inside;
  atomic_int inside_most;
  atomic_int threads; /* still running; destroy waits for them */
  pthread_mutex_t mutex;
  char log[4096];
};

struct later {
  struct self* self;
  skep_op* op;
  char* text;
};

static skep_str str(const char* text) {
  skep_str view = {text, strlen(text)};
  return view;
}

static void pause_ms(long milliseconds) {
  struct timespec time = {0, milliseconds * 1000000};
  nanosleep(&time, NULL);
}

static char* copy(skep_str text) {
  char* memory = malloc(text.len + 1);
  if (memory == NULL) abort();
  if (text.len != 0) memcpy(memory, text.ptr, text.len);
  memory[text.len] = 0;
  return memory;
}

static void finish(struct self* self, skep_op* op, skep_status status, const char* reply,
                   const char* error) {
  self->host->complete(self->host, op, status, str(reply), str(error));
}

static void done(struct later* work) {
  atomic_fetch_sub(&work->self->threads, 1);
  free(work->text);
  free(work);
}

static skep_status in_thread(struct self* self, skep_op* op, skep_str request,
                             void* (*body)(void*)) {
  struct later* work = malloc(sizeof *work);
  pthread_t thread;
  if (work == NULL) abort();
  work->self = self;
  work->op = op;
  work->text = copy(request);
  atomic_fetch_add(&self->threads, 1);
  if (pthread_create(&thread, NULL, body, work) != 0) abort();
  pthread_detach(thread); /* destroy waits for the counter */
  return SKEP_PENDING;
}

static skep_status echo(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  self->host->complete(self->host, op, SKEP_OK, request, str(""));
  return SKEP_OK;
}

static void* echo_body(void* argument) {
  struct later* work = argument;
  pause_ms(20);
  finish(work->self, work->op, SKEP_OK, work->text, "");
  done(work);
  return NULL;
}
static skep_status echo_later(void* me, skep_op* op, skep_str request) {
  return in_thread(me, op, request, echo_body);
}

static skep_status fails(void* me, skep_op* op, skep_str request) {
  (void)me, (void)op, (void)request;
  return SKEP_E_BUSY;
}

static skep_status lies(void* me, skep_op* op, skep_str request) {
  (void)me, (void)op, (void)request;
  return SKEP_OK;
}

static skep_status twice(void* me, skep_op* op, skep_str request) {
  (void)request;
  finish(me, op, SKEP_OK, "\"first\"", "");
  finish(me, op, SKEP_OK, "\"second\"", "");
  return SKEP_OK;
}

static void* until_cancelled_body(void* argument) {
  struct later* work = argument;
  while (work->self->host->cancelled(work->self->host, work->op) == 0) pause_ms(2);
  finish(work->self, work->op, SKEP_E_CANCELLED, "", "as was asked");
  done(work);
  return NULL;
}
static skep_status until_cancelled(void* me, skep_op* op, skep_str request) {
  return in_thread(me, op, request, until_cancelled_body);
}

static skep_status sleeps(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char reply[32];
  const int now = atomic_fetch_add(&self->inside, 1) + 1;
  int most = atomic_load(&self->inside_most);
  (void)request;
  while (now > most && !atomic_compare_exchange_weak(&self->inside_most, &most, now)) {
  }
  pause_ms(50);
  atomic_fetch_sub(&self->inside, 1);
  snprintf(reply, sizeof reply, "%d", atomic_load(&self->inside_most));
  finish(self, op, SKEP_OK, reply, "");
  return SKEP_OK;
}

static void* items_body(void* argument) {
  struct later* work = argument;
  char item[32];
  int i;
  for (i = 0; i < 100; ++i) {
    snprintf(item, sizeof item, "{\"n\":%d}", i);
    while (work->self->host->emit(work->self->host, work->op, str(item)) != 0) {
      pause_ms(1);
      break;
    }
  }
  finish(work->self, work->op, SKEP_OK, "\"end\"", "");
  done(work);
  return NULL;
}
static skep_status items(void* me, skep_op* op, skep_str request) {
  return in_thread(me, op, request, items_body);
}

static skep_status order(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char* text = copy(request);
  pthread_mutex_lock(&self->mutex);
  strncat(self->log, text, sizeof self->log - strlen(self->log) - 1);
  free(text);
  text = copy(str(self->log));
  pthread_mutex_unlock(&self->mutex);
  finish(self, op, SKEP_OK, text, "");
  free(text);
  return SKEP_OK;
}

static skep_status configure(void* me, skep_op* op, skep_str request) {
  struct self* self = me;
  char* text = copy(request);
  self->host->log(self->host, op, SKEP_LOG_DEBUG, request);
  if (strstr(text, "\"refuse\"") != NULL) {
    finish(self, op, SKEP_E_INVALID, "", "config.refuse: is not wanted");
  } else {
    finish(self, op, SKEP_OK, "{}", "");
  }
  free(text);
  return SKEP_OK;
}

static skep_status probe(void* me, skep_op* op, skep_str request) {
  (void)request;
  finish(me, op, SKEP_OK, "{\"state\":\"not_ready\",\"reason\":\"warming up\"}", "");
  return SKEP_OK;
}

static const void* get_interface(void* me, const char* id) {
  static const skep_base_1 base = {sizeof base, 0,    NULL, configure, probe,
                                   NULL,        NULL, NULL, NULL,      NULL};
  static const skep_test_behaviour behaviour = {
      sizeof behaviour, 0,      echo,  echo_later, fails, lies, twice,
      until_cancelled,  sleeps, items, order};
  (void)me;
  if (strcmp(id, SKEP_BASE_1) == 0) return &base;
  if (strcmp(id, SKEP_TEST_BEHAVIOUR) == 0) return &behaviour;
  return NULL;
}

static void destroy(void* me) {
  struct self* self = me;
  while (atomic_load(&self->threads) != 0) pause_ms(1);
  free(self);
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
  return &self->instance;
}

SKEP_DECLARE_NOTE("fake-behaviour", "1.0", "skep.base/1 skep.x-test/1");

static const skep_plugin plugin = {
    sizeof(skep_plugin),         SKEP_ABI_MAJOR, SKEP_ABI_MINOR, 0, "fake-behaviour", "1.0", "test",
    "skep.base/1 skep.x-test/1", "{}",           create};

const skep_plugin* skep_plugin_query(void) {
  return &plugin;
}
