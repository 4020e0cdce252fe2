/* Every struct and every constant of the contract, named in something that abidiff looks at.
 *
 * abidiff compares what the exported functions of a library reach through their types. A plugin
 * exports one function, and its tables travel as `const void*`; so this library stands in for all
 * plugins: one exported function for each struct, and one that takes the constants, as an
 * enumeration, since macros leave no trace in a binary. It is built with -g by check.py and never
 * run.
 * SPDX-License-Identifier: Apache-2.0 */
#include "skep/abi.h"
#include "skep/lb.h"
#include "skep/network.h"
#include "skep/runtime.h"
#include "skep/volume.h"

#define PROBE(type)                                 \
  SKEP_EXPORT void probe_##type(const type* value); \
  void probe_##type(const type* value) {            \
    (void)value;                                    \
  }

typedef struct skep_note skep_note;

PROBE(skep_str)
PROBE(skep_host)
PROBE(skep_host_metric_1)
PROBE(skep_plugin)
PROBE(skep_instance)
PROBE(skep_note)
PROBE(skep_base_1)
PROBE(skep_runtime_1)
PROBE(skep_runtime_exec_1)
PROBE(skep_runtime_images_1)
PROBE(skep_network_1)
PROBE(skep_lb_1)
PROBE(skep_volume_1)

/* One enumeration for each: abidiff takes two enumerators of one value for the same. */
#define CONSTANT(name)                                       \
  enum constant_##name{value_##name = (int)(name)};          \
  SKEP_EXPORT void probe_##name(enum constant_##name value); \
  void probe_##name(enum constant_##name value) {            \
    (void)value;                                             \
  }

CONSTANT(SKEP_ABI_MAJOR)
CONSTANT(SKEP_OK)
CONSTANT(SKEP_PENDING)
CONSTANT(SKEP_E_INVALID)
CONSTANT(SKEP_E_NOTFOUND)
CONSTANT(SKEP_E_EXISTS)
CONSTANT(SKEP_E_BUSY)
CONSTANT(SKEP_E_UNAVAILABLE)
CONSTANT(SKEP_E_PRECONDITION)
CONSTANT(SKEP_E_EXHAUSTED)
CONSTANT(SKEP_E_DENIED)
CONSTANT(SKEP_E_UNIMPLEMENTED)
CONSTANT(SKEP_E_CANCELLED)
CONSTANT(SKEP_E_DEADLINE)
CONSTANT(SKEP_E_INTERNAL)
CONSTANT(SKEP_E_PLUGIN_LOST)
CONSTANT(SKEP_ID_MAX)
CONSTANT(SKEP_REQUEST_MAX)
CONSTANT(SKEP_ERROR_MAX)
CONSTANT(SKEP_LOG_DEBUG)
CONSTANT(SKEP_LOG_INFO)
CONSTANT(SKEP_LOG_WARNING)
CONSTANT(SKEP_LOG_ERROR)
CONSTANT(SKEP_PLUGIN_CONCURRENT)
CONSTANT(SKEP_PLUGIN_PROCESS_ONLY)
CONSTANT(SKEP_NOTE_TYPE)
CONSTANT(SKEP_NOTE_DESC_SIZE)
