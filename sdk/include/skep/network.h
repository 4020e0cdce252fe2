/* skep.network/1: a driver that connects containers.
 *
 * Object keys: the network id, and the endpoint id (both chosen by the host). A container's network
 * namespace is made by the host; join() puts an interface into it, leave() takes it out again. Kernel
 * state outlives host and driver; restore() adopts it.
 *
 * A driver whose capabilities say {"scope": "local"} serves networks that live on one node alone and
 * gives out addresses itself; one with "global" is handed addresses. The calls for global networks
 * (allocate, peers_apply, vips_apply, fabric, ...) are appended to this table with the overlay.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_NETWORK_H
#define SKEP_NETWORK_H

#include "skep/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SKEP_NETWORK_1 "skep.network/1"
typedef struct skep_network_1 {
  uint32_t struct_size;
  uint32_t reserved;
  /* {"network": ID, "name": TEXT, "subnet"?: CIDR, "gateway"?: IP, "mtu"?: N, "options"?: {}}
   * -> {"handle": ANY, "subnet": CIDR, "gateway": IP, "mtu": N, "device": NAME}. Same again: same answer. */
  skep_call create;
  /* {"network"} -> {}. With endpoints left: SKEP_E_PRECONDITION. Unknown is success. Nothing remains. */
  skep_call remove;
  /* {"network", "endpoint": ID, "address"?: CIDR, "mac"?: MAC}
   * -> {"handle": ANY, "address": CIDR, "mac": MAC, "gateway": IP}. Idempotent. No address left:
   * SKEP_E_EXHAUSTED and names the subnet. */
  skep_call endpoint_create;
  /* {"network", "endpoint"} -> {}. Frees the address. Unknown is success. */
  skep_call endpoint_remove;
  /* {"network", "endpoint", "netns": PATH, "interface": "eth0"} -> {"interface": NAME}. The interface is
   * up, has its address, and the default route leads to the gateway. Idempotent by (endpoint, netns). */
  skep_call join;
  /* {"network", "endpoint", "netns"?: PATH} -> {}. The namespace being gone already is success. */
  skep_call leave;
  /* {"network", "endpoint"} -> {"drift": [TEXT..]}: what in the kernel is not as it should be. */
  skep_call check;
  /* {} -> {"networks": [{"network", "subnet", "gateway", "device"}], "endpoints": [{"network", "endpoint",
   * "address", "mac"}]}. */
  skep_call list;
} skep_network_1;

#ifdef __cplusplus
}
#endif
#endif
