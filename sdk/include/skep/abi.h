/* The contract between skep and a driver: the part that every kind of driver shares.
 *
 * A driver is one shared object (.so) in any language that can produce a C symbol. It exports exactly
 * one function, skep_plugin_query, which returns a static descriptor; and it carries an ELF note with
 * the same identity, so that a host can refuse a file before any code of it has run.
 *
 * Every operation of every kind has one shape, skep_call: a UTF-8 JSON document goes in, and
 * host->complete hands a JSON document or an error back, exactly once, from any thread, during the
 * call or later. Streams call host->emit for each item before that. What each operation's documents
 * hold stands beside it in runtime.h, network.h, ... Unknown members are to be ignored, absent ones
 * have the default that is told there, and one that is null is absent; so a new member is never a break.
 *
 * Growth: every struct begins with its own size; fields are only ever appended; a caller tests the
 * size and the pointer (SKEP_HAS) before it uses a field. Nothing but fixed-width integers, pointers
 * and these structs crosses. No exception may cross. Nobody frees the other side's memory: strings
 * are borrowed for the duration of the call they are passed to, unless told otherwise.
 *
 * Idempotency: an operation is named by the id that the host chose. The same id with the same arguments is
 * the same success and the same reply, however often it is repeated and whatever crashed in between; the
 * same id with other arguments is SKEP_E_EXISTS (to make) or SKEP_E_PRECONDITION (to change). Taking away
 * what isn't there has done its work. Unless told otherwise an operation has 30 s.
 *
 * Secrets come in a request's own member "secrets"; neither side logs it, both forget it after the call.
 *
 * Tags: [any-thread] callable from every thread. [host-worker] called by the host on a thread of its
 * own that may block; calls that change one object never overlap. [init] called once, alone.
 *
 * What may overlap: calls for different objects, always. For one object, the calls that change it
 * (create, start, stop, remove; endpoint_create, join, leave, ...) come one after the other, in the order
 * the host made them; but reads (inspect, list, stats, check), waits, streams and signals come at any
 * moment, also while such a call is still running, because `kill` must get through while a `stop` with
 * a long grace is under way. The order holds while the driver's function runs: a call that returned
 * SKEP_PENDING no longer holds up the next one for its object.
 *
 * Version 1.0-draft: may still change until 1.0.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_ABI_H
#define SKEP_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SKEP_ABI_MAJOR 1
#define SKEP_ABI_MINOR 0

/* The lowest minor of a host that the driver asks for. Define it before this header only to use a field
 * that a later minor appended and that the driver can't do without. */
#ifndef SKEP_ABI_TARGET_MINOR
#define SKEP_ABI_TARGET_MINOR 0
#endif

#define SKEP_EXPORT __attribute__((visibility("default")))

/* Text or JSON: UTF-8, not NUL-terminated. ptr may be NULL when len is 0. */
typedef struct skep_str {
  const char* ptr;
  size_t len;
} skep_str;

/* What an operation came to. The code fixes what the host does next; see each line. */
typedef int32_t skep_status;
#define SKEP_OK 0
#define SKEP_PENDING 1          /* returned by a call only: complete() comes later */
#define SKEP_E_INVALID (-1)     /* the request is wrong: the host gives up */
#define SKEP_E_NOTFOUND (-2)    /* no such object: for deletes the host takes it as done */
#define SKEP_E_EXISTS (-3)      /* same id, other arguments: the host gives up */
#define SKEP_E_BUSY (-4)        /* in use: the host tries again later */
#define SKEP_E_UNAVAILABLE (-5) /* a dependency is away: the host tries again with back-off */
#define SKEP_E_PRECONDITION (-6) /* not in this state; the message names what is missing */
#define SKEP_E_EXHAUSTED (-7)   /* a pool is used up: the host looks for another node */
#define SKEP_E_DENIED (-8)      /* credentials or rights are wrong: the host gives up */
#define SKEP_E_UNIMPLEMENTED (-9) /* this driver does not do that */
#define SKEP_E_CANCELLED (-10)  /* ended because the host asked for it */
#define SKEP_E_DEADLINE (-11)   /* ran out of time: the object's state is unknown, the host re-reads */
#define SKEP_E_INTERNAL (-12)   /* anything else */
#define SKEP_E_PLUGIN_LOST (-13) /* made by the host only: the driver's process ended */

/* Limits that both sides check. */
#define SKEP_ID_MAX 128u             /* bytes of an object id */
#define SKEP_REQUEST_MAX (1u << 20)  /* bytes of a request document */
#define SKEP_ERROR_MAX (8u << 10)    /* bytes of an error text */

/* One operation in flight. Owned by the host; valid until complete() was called for it. */
typedef struct skep_op skep_op;

#define SKEP_LOG_DEBUG 0
#define SKEP_LOG_INFO 1
#define SKEP_LOG_WARNING 2
#define SKEP_LOG_ERROR 3

/* What the host offers a driver. Outlives the driver's instance. */
typedef struct skep_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  void* ctx; /* the host's; a driver does not touch it */
  /* A further table of the host by id, or NULL. [any-thread] */
  const void* (*get_extension)(const struct skep_host* host, const char* id);
  /* One line for the daemon's log, with SKEP_LOG_*; op is the operation it belongs to, or NULL. Lines below
   * log_level are dropped. Never blocks. [any-thread] */
  void (*log)(const struct skep_host* host, skep_op* op, int32_t level, skep_str message);
  /* The lowest level that is heard at this moment; an operator may change it at any time. [any-thread] */
  int32_t (*log_level)(const struct skep_host* host);
  /* Ends an operation: SKEP_OK with the reply document, or SKEP_E_* with a sentence (reply is then an
   * optional JSON object with detail, e.g. which entries failed). Copies both before it returns. Exactly
   * once per operation; op is dead afterwards. [any-thread] */
  void (*complete)(const struct skep_host* host, skep_op* op, skep_status status, skep_str reply,
                   skep_str error);
  /* One item of a stream. Copies it. Returns 0, or 1 when the host asks for a pause: the item was taken,
   * and the driver should wait a little before the next. [any-thread] */
  int32_t (*emit)(const struct skep_host* host, skep_op* op, skep_str item);
  /* 1 when the host no longer wants the result; the driver may end early with SKEP_E_CANCELLED. The
   * outcome is still whatever complete() says. [any-thread] */
  int32_t (*cancelled)(const struct skep_host* host, skep_op* op);
  /* CLOCK_MONOTONIC milliseconds by which the host expects the end; -1 for none. [any-thread] */
  int64_t (*deadline_ms)(const struct skep_host* host, skep_op* op);
} skep_host;

/* The one shape of an operation. Returns SKEP_PENDING, or SKEP_OK when complete() was already called.
 * A driver that returns an error without having called complete() has completed with that error.
 * [host-worker] */
typedef skep_status (*skep_call)(void* self, skep_op* op, skep_str request);

/* skep.base/1: what every instance has, whatever its kind. */
#define SKEP_BASE_1 "skep.base/1"
typedef struct skep_base_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* {} -> {"<capability>": ...}. Static for a given configuration. */
  skep_call capabilities;
  /* {"config": {...}, "run_dir": DIR, "data_dir": DIR, "plugin_dir": DIR, "node": NAME} -> {}. Once,
   * before anything else. run_dir and data_dir are the driver's own, exist, and are absolute.
   * plugin_dir is where the driver's file was found, for what it ships beside it: the library itself may
   * have been loaded from a sealed copy that has no folder. A configuration error is
   * SKEP_E_INVALID and names the member. */
  skep_call configure;
  /* {} -> {"state": "ready"|"not_ready"|"broken", "reason": TEXT}. Cheap; called every 10 s. */
  skep_call probe;
  /* {"id": ID, "handle": ANY} -> {}. After every start, for each object the host knows. SKEP_E_NOTFOUND
   * if it is gone. Never restarts anything. */
  skep_call restore;
  /* {"ids": [ID...]} -> {}. Ends the restores; only now may the driver delete what it owns and the host
   * did not name. An empty list is meaningful. */
  skep_call restore_done;
  /* {} -> {}. Take no new operations: what comes after it is SKEP_E_UNAVAILABLE. */
  skep_call drain;
  /* {} -> {}. Best effort, never guaranteed to come. */
  skep_call shutdown;
  /* {} -> any JSON for a person who debugs. */
  skep_call dump;
  /* Optional. {"config": {...}} -> {}. The operator changed the configuration. SKEP_E_PRECONDITION when
   * that needs a restart of the driver; the old configuration then stays in force. */
  skep_call reconfigure;
} skep_base_1;

/* What the host offers beyond its own table, by get_extension(host, SKEP_HOST_METRIC_1): figures of the
 * driver's own, shown by `skep plugin inspect NAME` beside those that the host counts for each operation.
 * name is [a-z0-9_.]{1,64}; a driver has at most 64. Never blocks. */
#define SKEP_HOST_METRIC_1 "skep.host.metric/1"
typedef struct skep_host_metric_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Adds to a counter, which begins at 0. [any-thread] */
  void (*add)(const struct skep_host* host, skep_str name, int64_t delta);
  /* Sets a gauge. [any-thread] */
  void (*set)(const struct skep_host* host, skep_str name, int64_t value);
} skep_host_metric_1;

/* One configured driver. Owned by the driver until destroy. */
typedef struct skep_instance {
  uint32_t struct_size;
  uint32_t reserved;
  void* self; /* first argument of every call */
  /* The table for "skep.base/1", "skep.runtime/1", ...; NULL if the driver has none. Static for the life
   * of the instance. [any-thread] */
  const void* (*get_interface)(void* self, const char* id);
  /* Ends the instance. No operation is in flight, none will come. [init] */
  void (*destroy)(void* self);
  /* Optional. The host no longer wants the result of op: the moment to wake up whoever waits for it. op may
   * have completed already. Must not block. [any-thread] */
  void (*cancel)(void* self, skep_op* op);
} skep_instance;

/* skep_plugin.flags: calls that change one object may overlap too; the driver locks for itself. */
#define SKEP_PLUGIN_CONCURRENT 1u
/* skep_plugin.flags: has threads or signal handlers of a run time of its own (Go, ...): never in-process. */
#define SKEP_PLUGIN_PROCESS_ONLY 2u

/* The driver as a whole. Static data: valid as long as the library is mapped. */
typedef struct skep_plugin {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t host_minor_needed; /* lowest minor of a host that this driver can work with */
  const char* id;             /* "runtime-containerd": lower case, digits, '-' */
  const char* version;        /* "0.1.0" */
  const char* vendor;
  const char* interfaces;     /* space separated: "skep.runtime/1 skep.runtime.exec/1" */
  const char* config_schema;  /* JSON Schema of configure's "config" member */
  /* A new instance, or NULL when there is no memory. Does no I/O: that begins with configure. [init] */
  const skep_instance* (*create)(const skep_host* host);
  uint32_t flags; /* SKEP_PLUGIN_* */
  uint32_t reserved;
  const char* options_schema; /* JSON Schema of the "options" of an object (create), or NULL for any */
} skep_plugin;

/* The one exported symbol. Never NULL, no side effect. [any-thread] */
SKEP_EXPORT const skep_plugin* skep_plugin_query(void);

/* True when *p is long enough to have the field and the field is set. */
#define SKEP_HAS(p, type, field)                                                       \
  ((p) != NULL && (p)->struct_size >= offsetof(type, field) + sizeof((p)->field) && \
   (p)->field != NULL)

/* The identity again, in an ELF note (name "skep", type SKEP_NOTE_TYPE) in section .note.skep, as
 * "abi=1.0;host=0;id=...;ver=...;ifs=...", host being the lowest minor needed. A host reads it from the file and refuses what does not fit;
 * descriptor and note must agree. */
#define SKEP_NOTE_TYPE 0x534b4550u
#define SKEP_NOTE_DESC_SIZE 256
struct skep_note {
  uint32_t name_size;
  uint32_t desc_size;
  uint32_t type;
  char name[8];
  char desc[SKEP_NOTE_DESC_SIZE];
};
#define SKEP_STR_(x) #x
#define SKEP_STR(x) SKEP_STR_(x)
#define SKEP_DECLARE_NOTE(ID, VERSION, INTERFACES)                                             \
  __attribute__((used, aligned(4), section(".note.skep"))) static const struct skep_note      \
      skep_note_ = {5, SKEP_NOTE_DESC_SIZE, SKEP_NOTE_TYPE, "skep",                            \
                    "abi=" SKEP_STR(SKEP_ABI_MAJOR) "." SKEP_STR(SKEP_ABI_MINOR) ";host="      \
                    SKEP_STR(SKEP_ABI_TARGET_MINOR) ";id=" ID ";ver=" VERSION ";ifs=" INTERFACES}

#ifdef __cplusplus
}
#endif
#endif
