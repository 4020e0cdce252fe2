/* A plugin whose author forgot the SDK's version script: it exports a function too many, and a
 * unique symbol, which the whole process would share. Never loaded, only looked at.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "skep/abi.h"

SKEP_DECLARE_NOTE("exports-much", "2.5", "skep.base/1 skep.volume/1");

const skep_plugin* skep_plugin_query(void) {
  return NULL;
}

SKEP_EXPORT int helper_of_the_author(void);
int helper_of_the_author(void) {
  return 1;
}

__asm__(
    ".pushsection .data\n"
    ".globl shared_by_accident\n"
    ".type shared_by_accident, %gnu_unique_object\n"
    ".size shared_by_accident, 4\n"
    "shared_by_accident: .long 1\n"
    ".popsection\n");
