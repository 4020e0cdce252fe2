/* The test interface of the fake driver in C: one operation for each way to end a call, or not to.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_TEST_BEHAVIOUR_H
#define SKEP_TEST_BEHAVIOUR_H

#include "skep/abi.h"

#define SKEP_TEST_BEHAVIOUR "skep.x-test/1"
typedef struct skep_test_behaviour {
  uint32_t struct_size;
  uint32_t reserved;
  skep_call echo;       /* completes inline with its request */
  skep_call echo_later; /* completes with its request from a thread of its own, after 20 ms */
  skep_call fails;      /* returns SKEP_E_BUSY without completing */
  skep_call lies;       /* returns SKEP_OK without completing */
  skep_call twice;      /* completes twice */
  skep_call
      until_cancelled; /* from a thread: completes with SKEP_E_CANCELLED once cancelled() is 1 */
  skep_call sleeps;    /* blocks its thread for 50 ms, replies how many calls were inside at most */
  skep_call items;     /* emits {"n":0}.. {"n":99} from a thread, then completes */
  skep_call order;     /* appends its request to a log and replies the whole log */
} skep_test_behaviour;

#endif
