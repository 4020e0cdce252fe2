/* skep.volume/1: a driver that keeps data.
 *
 * Object key: the volume's name, chosen by the user and unique for this driver on this node (or in the
 * cluster, for a driver whose capabilities say {"scope": "global"}). A volume is made, published to
 * holders (the containers that use it), and removed when nobody holds it. Holders are counted by the
 * host, never by the driver: every publish, unpublish and restore brings the complete list, so that a
 * driver that was restarted knows as much as one that was not.
 *
 * The path that publish answers is a folder in the host's mount namespace. The host binds it into the
 * container; read-only access is the host's doing. A driver's mounts outlive it; after a restart it finds
 * them again (restore) and never mounts twice.
 *
 * Capabilities: {"scope": "local" (default) | "global", "sharing"?: ["all" (always), "readonly",
 * "onewriter", "none"]}; the words are Docker's (cluster volumes, AccessMode.Sharing).
 *
 * Slots marked optional may be NULL; those of managers and of movable volumes are called by no host yet.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_VOLUME_H
#define SKEP_VOLUME_H

#include "skep/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SKEP_VOLUME_1 "skep.volume/1"
typedef struct skep_volume_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* {"volume": NAME, "options"?: {K: V}, "capacity_bytes"?: N, "sharing"?: "all" (default), "secrets"?: {K: V}}
   * -> {"handle": ANY, "capacity_bytes"?: N}. Same name and arguments: the same answer; other arguments:
   * SKEP_E_EXISTS. On an error nothing is left. An option it does not know, or a bad value: SKEP_E_INVALID and
   * names the option. A sharing it has not: SKEP_E_UNIMPLEMENTED. No space: SKEP_E_EXHAUSTED. 120 s. */
  skep_call create;
  /* {"volume", "handle"?, "force"?: BOOL} -> {}. The data is out of reach afterwards, also after a crash; its
   * space may come back later, when there is much of it. Held by somebody: SKEP_E_BUSY and
   * names a holder. Unknown is success. force: also when its data can't be reached. 120 s. */
  skep_call remove;
  /* {"volume"} -> VOLUME = {"volume", "handle", "options"?: {K: V}, "capacity_bytes"?: N, "path"?: PATH (as
   * published, when it is the same for all holders), "status"?: {K: ANY}}. SKEP_E_NOTFOUND if there is none. */
  skep_call get;
  /* {"max"?: N, "token"?: TEXT} -> {"volumes": [VOLUME..], "next"?: TOKEN}. At most max of them (default:
   * all), from where token left off; a volume that exists throughout a walk is listed once. */
  skep_call list;
  /* {"options"?, "capacity_bytes"?, "sharing"?} -> {}. Whether create would take these. Changes nothing. */
  skep_call validate;
  /* {"volume", "handle"?, "holder": ID, "holders": [ID..] (all the others), "read_only"?: BOOL, "secrets"?: {}}
   * -> {"path": PATH}. Same again: the same path. A further holder that the volume's sharing forbids:
   * SKEP_E_PRECONDITION and names the present one. Unknown volume: SKEP_E_NOTFOUND. 60 s. */
  skep_call publish;
  /* {"volume", "handle"?, "holder", "holders": [ID..] (who remains)} -> {}. With nobody left what publish
   * mounted is unmounted. An unknown holder or volume is success. 60 s. */
  skep_call unpublish;
  /* {"volume"} -> {"used_bytes": N, "available_bytes"?: N}. May take long (it may count files), so it looks at
   * cancelled and at its deadline all the time, and ends with SKEP_E_CANCELLED or SKEP_E_DEADLINE. */
  skep_call usage;
  /* {} -> {"mounts": [{"volume", "path"}]}: what this driver has mounted on the node at this moment. */
  skep_call mounts;
  /* Optional, with stage: {"volume", "handle"} -> {}. Once on a node before its first publish. */
  skep_call stage;
  /* Optional, with stage. {"volume", "handle"} -> {}. After the last unpublish on a node. */
  skep_call unstage;
  /* Optional. {} -> {"node": TEXT, "topology"?: {K: V}}: what attach calls this node. */
  skep_call node_info;
  /* Optional, with detach, on a manager. {"volume", "handle", "node"} -> {"context"?: ANY}. 120 s. */
  skep_call attach;
  /* Optional, on a manager. {"volume", "handle", "node", "force"?: BOOL, "fenced"?: BOOL} -> {}. force without
   * fenced is SKEP_E_PRECONDITION: the old holder may still write. 120 s. */
  skep_call detach;
  /* Optional. {"volume", "handle", "capacity_bytes"} -> {"capacity_bytes": N}. Never shrinks. 120 s. */
  skep_call expand;
  /* Optional. {} -> {"total_bytes"?: N, "available_bytes": N}: how much can still be made. */
  skep_call capacity;
} skep_volume_1;

/* skep.base/1 restore of a volume: {"id": NAME, "handle": ANY, "holders": [ID..]}. */

#ifdef __cplusplus
}
#endif
#endif
