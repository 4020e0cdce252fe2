/* skep.runtime/1: a driver that runs containers on one node.
 *
 * Object key: the container id, chosen by the host (64 hex). The host makes the network namespace and
 * hands its path over; the driver never makes one. Containers outlive host and driver: after a restart
 * list() shows what exists, and nothing is ever restarted by the driver. The driver marks what it makes
 * with a label of its own and of the node, and touches nothing without it.
 *
 * Times are RFC 3339 text in UTC with nanoseconds. Members marked ? may be absent.
 *
 * Capabilities: {"exec"?: BOOL, "images"?: BOOL, "tty"?: BOOL, "stats"?: BOOL, "init"?: BOOL}, each false
 * where it is absent.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_RUNTIME_H
#define SKEP_RUNTIME_H

#include "skep/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SKEP_RUNTIME_1 "skep.runtime/1"
typedef struct skep_runtime_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Stream. {} -> items {"healthy": BOOL, "reason"?: TEXT, "name": "containerd", "version": TEXT,
   * "runtime_version"?: TEXT}. First item at once, then one on every change (e.g. the daemon behind the
   * driver went away or came back). Ends only when cancelled. */
  skep_call fingerprint;
  /* {"id": ID, "image": REF, "command"?: [..] (replaces the image's entrypoint and its cmd),
   *  "args"?: [..] (replaces the image's cmd), "env"?: ["K=V"..] (over the image's), "working_dir"?,
   *  "user"? ("uid[:gid]" or names), "groups"?: [..], "hostname"?, "tty"?: BOOL, "stdin_open"?: BOOL,
   *  "read_only"?: BOOL, "init"?: BOOL, "privileged"?: BOOL, "cap_add"?: [..], "cap_drop"?: [..],
   *  "sysctls"?: {K: V}, "ulimits"?: [{"name","soft","hard"}], "oom_score_adj"?: INT,
   *  "netns": PATH, "cgroup_parent": "/skep/NODE" (cgroupfs; the container's is PARENT/ID),
   *  "resources"?: {"nano_cpus"?, "memory_bytes"?, "pids"?},
   *  "mounts"?: [{"type": "bind"|"tmpfs", "source"?, "target", "read_only"?: BOOL, "populate"?: BOOL (a
   *    bind's: if the source is an empty folder, it first gets what the image has at the target, with its owner
   *    and mode; see below), "volume"?: NAME (whose path
   *    the source is; only kept), "size_bytes"?: N, "mode"?: N (a tmpfs's; default: none, 01777)}],
   *  "labels"?: {K: V}, "log": {"dir": DIR, "max_bytes": N, "max_files": N}}
   *  -> {"handle": ANY, "image_id": "sha256:.."}.
   * 60 s; 15 minutes with a mount that says populate, of which copying may need most. When it is cancelled, or
   * its deadline near, the copying ends and with it create (SKEP_E_CANCELLED, SKEP_E_DEADLINE). Whatever ended
   * it, also a crash: the next create for that folder takes away what was copied and begins anew, and never
   * touches what others put there meanwhile. One that is filling the same folder is waited for.
   * Nothing runs yet; after start() the main process is PID 1 of the container. Same request again: the
   * same answer. On an error nothing is left. A missing image is SKEP_E_NOTFOUND "No such image: REF".
   * The whole request comes back as "spec" of inspect and list. */
  skep_call create;
  /* {"id"} -> {"pid": N, "started_at": TIME}. Idempotent. A command that can't be executed is
   * SKEP_E_INVALID with the reason. */
  skep_call start;
  /* Completes when the container has ended: {"id"} -> {"exit_code": N, "finished_at": TIME,
   * "oom_killed": BOOL, "lost"?: TEXT}. At once if it already has. Several callers at a time. Does not
   * block a host thread. SKEP_E_NOTFOUND once deleted. SKEP_E_UNAVAILABLE when the daemon behind went away.
   * "lost" is there when nobody recorded how it ended, and says why; the exit code is made up then. */
  skep_call wait;
  /* {"id", "signal"?: "SIGTERM" (default: the image's StopSignal, else SIGTERM), "grace_ms": N} -> {}.
   * Returns when it has stopped; SIGKILL after the grace. Not running or already gone is success. */
  skep_call stop;
  /* {"id", "signal": "SIGHUP"|"1"} -> {}. SKEP_E_PRECONDITION when it isn't running. */
  skep_call signal;
  /* {"id", "force": BOOL} -> {}. Removes container, snapshot, shim and cgroup. A running one without
   * force is SKEP_E_PRECONDITION. Already gone is success. The log folder is the host's. */
  skep_call remove;
  /* {"id"} -> CONTAINER = {"id", "spec": <create request>, "image": REF, "image_id",
   *  "state": "created"|"running"|"paused"|"stopped", "pid"?: N, "exit_code"?: N, "oom_killed"?: BOOL,
   *  "created_at": TIME, "started_at"?: TIME, "finished_at"?: TIME, "process": {"argv": [..], "env": [..],
   *  "working_dir", "user"}}. */
  skep_call inspect;
  /* {} -> {"containers": [CONTAINER..]}: everything this driver owns on this node, also what the host
   * forgot. */
  skep_call list;
  /* Stream. {} -> items {"seq": N, "type": "create"|"start"|"oom"|"exit"|"delete"|"gap", "id"?: ID,
   *  "exec_id"?: ID, "exit_code"?: N, "time": TIME}. Order per container create < start < exit < delete;
   * at least once. A "gap" item says that events may have been lost (the daemon behind was away) and the
   * host should list again; one comes first of all, when the subscription stands. */
  skep_call events;
  /* {"ids": [ID..]} -> {"stats": [{"id", "memory_bytes", "cpu_ns", "pids"}]}. Absent ids are skipped. */
  skep_call stats;
} skep_runtime_1;

/* Further processes in a running container. Object key: exec_id (64 hex, chosen by the host). */
#define SKEP_RUNTIME_EXEC_1 "skep.runtime.exec/1"
typedef struct skep_runtime_exec_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* {"id": CONTAINER, "exec_id", "argv": [..], "env"?: [..] (added to the container's), "user"?,
   *  "working_dir"?, "tty"?: BOOL, "privileged"?: BOOL, "stdin"?: FIFO, "stdout"?: FIFO, "stderr"?: FIFO,
   *  "rows"?: N, "cols"?: N} -> {}. The FIFOs exist, were made by the host, and the host has opened its
   *  ends of stdout and stderr for reading before start. */
  skep_call create;
  /* {"id", "exec_id"} -> {"pid": N}. A missing program is SKEP_E_NOTFOUND, one that can't be executed
   * SKEP_E_INVALID, with the runtime's own reason as text. */
  skep_call start;
  /* {"id", "exec_id", "rows", "cols"} -> {}. */
  skep_call resize;
  /* {"id", "exec_id"} -> {"exit_code": N}. Does not block a host thread. The process is forgotten with
   * the first answer. */
  skep_call wait;
  /* {"id", "exec_id"} -> {}. End of the process's standard input. */
  skep_call close_stdin;
  /* {"id", "exec_id", "signal"} -> {}. */
  skep_call signal;
} skep_runtime_exec_1;

/* The images of the node. Object key: the reference. REF is always fully qualified:
 * "docker.io/library/httpd:2.4", or with "@sha256:..". */
#define SKEP_RUNTIME_IMAGES_1 "skep.runtime.images/1"
typedef struct skep_runtime_images_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* Stream. {"image": REF, "auth"?: {"username", "password", "server_address", "identity_token"}}
   * -> items {"layer": "sha256:..", "status": "Downloading"|"Download complete", "current": N,
   *  "total": N}; ends with IMAGE. Missing: SKEP_E_NOTFOUND. Wrong credentials: SKEP_E_DENIED. Registry not
   * reachable: SKEP_E_UNAVAILABLE and names the host. */
  skep_call pull;
  /* {"image": REF or ID} -> IMAGE = {"id": "sha256:..", "tags": [REF..], "digests": [REF@..], "created_at",
   *  "size": BYTES, "architecture", "os", "config": <the image's OCI config object>, "layers": [DIFFID..]}.
   * SKEP_E_NOTFOUND "No such image: REF". */
  skep_call inspect;
  /* {} -> {"images": [IMAGE..]}. */
  skep_call list;
  /* {"image": REF or ID, "force": BOOL} -> {"untagged": [REF..], "deleted": [ID..]}. Used by a container
   * and not forced: SKEP_E_BUSY and names the container. */
  skep_call remove;
} skep_runtime_images_1;

#ifdef __cplusplus
}
#endif
#endif
