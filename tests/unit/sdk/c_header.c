/* skep/c/driver.h from inside, where a driver that is loaded can't be brought to.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/c_header.h"

#include <stdlib.h>

#include "skep/c/driver.h"

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
