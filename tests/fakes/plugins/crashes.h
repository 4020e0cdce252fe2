/* The test interface of the driver that breaks in every way a host must survive.
 *
 * The request of `misbehave` is the way, as a JSON string: "abort", "hang", ... (crashes.cpp lists
 * them). `echo` completes inline with its request, to see that a driver lives.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_TEST_CRASHES_H
#define SKEP_TEST_CRASHES_H

#include "skep/abi.h"

#define SKEP_TEST_CRASHES "skep.x-crash/1"
typedef struct skep_test_crashes {
  uint32_t struct_size;
  uint32_t reserved;
  skep_call echo;
  skep_call misbehave;
} skep_test_crashes;

#endif
