// Network to protobuf and back.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/network.pb.h"

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"

namespace skep::codec {

void encode(const model::Network& from, proto::Network* to) {
  to->Clear();
  to->set_id(encode_id(from.id));
  encode(from.meta, to->mutable_meta());
  to->set_name(from.name);
  to->set_driver(from.driver);
  encode(from.labels, to->mutable_labels());
  to->set_ingress(from.ingress);
  to->set_internal(from.internal);
  to->set_attachable(from.attachable);
  to->set_subnet(from.subnet);
  to->set_gateway(from.gateway);
}

Result<model::Network> decode(const proto::Network& from) {
  model::Network to;
  SKEP_TRY_ASSIGN(to.id, decode_id<model::NetworkId>(from.id(), "network: id"));
  to.meta = decode_meta(from.meta());
  to.name = from.name();
  to.driver = from.driver();
  SKEP_TRY_ASSIGN(to.labels, decode_map(from.labels(), "network: labels"));
  to.ingress = from.ingress();
  to.internal = from.internal();
  to.attachable = from.attachable();
  to.subnet = from.subnet();
  to.gateway = from.gateway();
  return to;
}

}  // namespace skep::codec
