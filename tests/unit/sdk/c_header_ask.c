/* The second file of a driver in C.
 * SPDX-License-Identifier: Apache-2.0 */
#include "skep/c/driver.h"

skep_status c_header_ask(void* self, const cJSON* request, cJSON* reply, skep_failure* why);

skep_status c_header_ask(void* self, const cJSON* request, cJSON* reply, skep_failure* why) {
  (void)request, (void)reply;
  return skep_wanted(self, why);
}
