/* The C header's functions, for a test in C++, which can't include it.
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "skep/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The code that skep_fail_errno gives for this errno. */
skep_status c_header_code_of(int number);
/* Runs an operation while there is no memory at all; the status that it was completed with. */
skep_status c_header_without_memory(void);
/* What an operation that nobody waits for ends with when another file of its driver asks. */
skep_status c_header_unwanted_in_another_file(void);

#ifdef __cplusplus
}
#endif
