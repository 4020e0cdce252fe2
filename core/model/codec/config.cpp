// Config to protobuf and back.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/config.pb.h"

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"

namespace skep::codec {

void encode(const model::ConfigSpec& from, proto::ConfigSpec* to) {
  to->Clear();
  to->set_name(from.name);
  encode(from.labels, to->mutable_labels());
  to->set_data(from.data);
  to->set_templating(from.templating);
}

Result<model::ConfigSpec> decode(const proto::ConfigSpec& from) {
  model::ConfigSpec to;
  to.name = from.name();
  SKEP_TRY_ASSIGN(to.labels, decode_map(from.labels(), "config spec: labels"));
  to.data = from.data();
  to.templating = from.templating();
  return to;
}

void encode(const model::Config& from, proto::Config* to) {
  to->Clear();
  to->set_id(encode_id(from.id));
  encode(from.meta, to->mutable_meta());
  encode(from.spec, to->mutable_spec());
}

Result<model::Config> decode(const proto::Config& from) {
  model::Config to;
  SKEP_TRY_ASSIGN(to.id, decode_id<model::ConfigId>(from.id(), "config: id"));
  to.meta = decode_meta(from.meta());
  SKEP_TRY_ASSIGN(to.spec, within(decode(from.spec()), "config"));
  return to;
}

}  // namespace skep::codec
