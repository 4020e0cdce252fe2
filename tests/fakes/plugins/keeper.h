/* The test interface of the driver that remembers what it was told.
 *
 * `history` answers, as a JSON string, a word for each call of its base interface in this life:
 * "configure", "restore ID", "done IDS", "reconfigure". `die` ends the process.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_TEST_KEEPER_H
#define SKEP_TEST_KEEPER_H

#include "skep/abi.h"

#define SKEP_TEST_KEEPER "skep.x-keep/1"
typedef struct skep_test_keeper {
  uint32_t struct_size;
  uint32_t reserved;
  skep_call history;
  skep_call die;
  skep_call hang;  /* never returns, and hears no cancel */
  skep_call wait;  /* pending until it is cancelled; holds no thread */
  skep_call count; /* adds 3 to the counter "turns" and logs a line at debug level */
} skep_test_keeper;

#endif
