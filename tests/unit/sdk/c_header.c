/* skep/c/driver.h from inside, where a driver that is loaded can't be brought to.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/c_header.h"

#include <stdlib.h>

#include "skep/c/driver.h"

/* In c_header_ask.c. */
skep_status c_header_ask(void* self, const cJSON* request, cJSON* reply, skep_failure* why);

skep_status c_header_code_of(int number) {
  skep_failure why = {""};
  errno = number;
  return skep_fail_errno(&why, "it");
}

static void* no_memory(size_t size) {
  (void)size;
  return NULL;
}

static void note_status(const skep_host* host, skep_op* op, skep_status status, skep_str reply,
                        skep_str error) {
  (void)op, (void)reply, (void)error;
  *(skep_status*)host->ctx = status;
}

static int32_t always(const skep_host* host, skep_op* op) {
  (void)host, (void)op;
  return 1;
}

static int64_t never(const skep_host* host, skep_op* op) {
  (void)host, (void)op;
  return -1;
}

skep_status c_header_unwanted_in_another_file(void) {
  skep_status status = SKEP_PENDING;
  const skep_host host = {.struct_size = sizeof host,
                          .ctx = &status,
                          .complete = note_status,
                          .cancelled = always,
                          .deadline_ms = never};
  skep_driver driver = {.host = &host};
  const skep_str request = {"{}", 2};
  skep_run(&driver, (skep_op*)&status, request, c_header_ask, 0);
  return status;
}

skep_status c_header_without_memory(void) {
  skep_status status = SKEP_PENDING;
  const skep_host host = {.struct_size = sizeof host, .ctx = &status, .complete = note_status};
  skep_driver driver = {.host = &host};
  cJSON_Hooks hooks = {no_memory, free};
  const skep_str request = {"{}", 2};
  cJSON_InitHooks(&hooks);
  skep_run(&driver, NULL, request, skep_do_nothing, 0);
  cJSON_InitHooks(NULL);
  return status;
}
