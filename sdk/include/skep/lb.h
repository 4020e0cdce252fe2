/* skep.lb/1: a driver that spreads connections to virtual IPs and published ports over backends.
 *
 * Object key: the scope: "ingress" (the node's published ports) or a network's id. The state of a scope is
 * level-triggered and numbered: apply moves it from base_generation to generation. base 0 is the full state
 * (and replaces whatever was there); any other base that is not the driver's present generation is
 * SKEP_E_PRECONDITION, and the host sends the full state; a generation that is not newer than the present
 * one changes nothing and succeeds. Within an apply, add comes before remove, unchanged entries are not
 * touched (their flows survive), and no new flow goes to a backend that is gone or draining.
 *
 * Kernel state outlives driver and host. After a restart the host sends the full state and the driver
 * adopts what stands; only release takes it away. probe tries the kernel's feature for real and answers
 * "broken" with the name of what is missing, so that the host takes the next driver of its list.
 *
 * Capabilities: {"ingress"?: BOOL, "east_west"?: BOOL, "protocols": ["tcp"|"udp"|"sctp"..], "ipv6"?: BOOL,
 * "weights"?: BOOL, "affinity"?: BOOL, "keep_source"?: BOOL, "draining"?: BOOL, "connection_count"?: BOOL,
 * "needs_fabric"?: BOOL, "max_backends"?: N}.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_LB_H
#define SKEP_LB_H

#include "skep/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SKEP_LB_1 "skep.lb/1"
typedef struct skep_lb_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* {"scope", "endpoint": ID, "netns"?: PATH, "cgroup"?: PATH, "ifindex"?: N (host side), "addresses": [CIDR..],
   * "mac"?: MAC} -> {}. From now on this endpoint's connections to the scope's virtual IPs are balanced. The
   * node itself is an endpoint of "ingress". Idempotent; other arguments: SKEP_E_EXISTS. 10 s. */
  skep_call endpoint_attach;
  /* {"scope", "endpoint"} -> {}. Unknown endpoint, or a namespace that is gone, is success. 10 s. */
  skep_call endpoint_detach;
  /* {"scope", "base_generation": N, "generation": N, "upsert"?: [SERVICE..], "remove"?: [SERVICE-ID..]}
   * -> {"generation": N (the one in force now)}.
   * SERVICE = {"service": ID, "vips"?: [IP..], "ports": [{"protocol": "tcp"|"udp"|"sctp", "published": N,
   *  "target": N, "mode"?: "ingress"|"host"}], "policy"?: "maglev" (default) | "rr" | "wrr", "affinity_s"?: N,
   *  "backends": [{"task": ID, "address": IP, "port"?: N (default: target), "node"?: ID, "weight"?: N (1),
   *  "state"?: "active" (default) | "draining"}]}.
   * Some entries failed: SKEP_E_INTERNAL, detail {"failed": [{"service", "reason"}]}; the others are in force,
   * the generation is not. 2 s for 1 000 services. */
  skep_call apply;
  /* {"scope", "task": ID} -> {"cut": N}. Ends the flows to this backend at once. Unknown is success. */
  skep_call cut;
  /* {"scope", "service", "task"?: ID} -> {"connections": N}. */
  skep_call connections;
  /* {"scope"} -> {"generation": N, "services": [SERVICE..]}: what is in force now, read from where it acts.
   * SKEP_E_NOTFOUND when nothing was ever applied. */
  skep_call dump;
  /* {"scope"} -> {"drift": [TEXT..]}: where what is in force differs from what was applied. */
  skep_call check;
  /* {"scope"} -> {"services": [{"service", "packets"?: N, "bytes"?: N, "connections"?: N}]}. */
  skep_call stats;
  /* {"scope"} -> {}. Takes all state of the scope out of the kernel. Unknown is success. */
  skep_call release;
} skep_lb_1;

#ifdef __cplusplus
}
#endif
#endif
