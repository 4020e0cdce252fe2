/* A driver that has an identity and nothing else: for what a host must refuse before it calls
 * anything.
 *
 * FAKE_ABI, FAKE_HOST and FAKE_ID fill its ELF note; without them there is none. FAKE_UNDEFINED
 * makes it use a function that nobody provides. FAKE_MUST_NOT_LOAD gives it a constructor that ends
 * the process, so that no test can overlook it when a file was loaded that should have been refused
 * by its note.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "skep/abi.h"

#ifdef FAKE_ABI
__attribute__((used, aligned(4), section(".note.skep"))) static const struct skep_note note = {
    5, SKEP_NOTE_DESC_SIZE, SKEP_NOTE_TYPE, "skep",
    "abi=" FAKE_ABI ";host=" FAKE_HOST ";id=" FAKE_ID ";ver=1;ifs=skep.base/1"};
#endif

#ifdef FAKE_UNDEFINED
void skep_test_nobody_has_this(void);
#endif

#ifdef FAKE_MUST_NOT_LOAD
__attribute__((constructor)) static void loaded(void) {
  abort();
}
#endif

static const skep_instance* create(const skep_host* host) {
  (void)host;
#ifdef FAKE_UNDEFINED
  skep_test_nobody_has_this();
#endif
  abort();
}

static const skep_plugin plugin = {
    sizeof(skep_plugin), SKEP_ABI_MAJOR, SKEP_ABI_MINOR, 0, "fake", "1", "test",
    "skep.base/1",       "{}",           create};

const skep_plugin* skep_plugin_query(void) {
  return &plugin;
}
