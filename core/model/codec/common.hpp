// The small conversions every noun needs: ids, maps, lists, times, enums, and errors that name the
// field. Includes generated headers, so only codecs include it (a codec for another .proto, such as
// the node protocol's, is welcome to).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/codec/common.pb.h"
#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::codec {

using Texts = google::protobuf::RepeatedPtrField<std::string>;
using KeyValues = google::protobuf::RepeatedPtrField<proto::KeyValue>;

inline constexpr size_t kIdBytes = 16;

// 16 bytes, most significant first.
std::string id_bytes(model::IdBits bits);
// Exactly 16 bytes and not all zero, else an error that names `field`.
Result<model::IdBits> decode_id_bits(const std::string& from, std::string_view field);

// None is written as no bytes at all.
template <class Tag>
std::string encode_id(model::Id<Tag> id) {
  return id.none() ? std::string() : id_bytes(id.bits);
}
template <class I>
Result<I> decode_id(const std::string& from, std::string_view field) {
  SKEP_TRY_ASSIGN(const model::IdBits bits, decode_id_bits(from, field));
  return I{bits};
}
// Where "none" is allowed: no bytes are none.
template <class I>
Result<I> decode_id_or_none(const std::string& from, std::string_view field) {
  if (from.empty()) return I{};
  return decode_id<I>(from, field);
}

void encode(const std::vector<std::string>& from, Texts* to);
std::vector<std::string> decode_texts(const Texts& from);

void encode(const std::map<std::string, std::string>& from, KeyValues* to);
// A key that stands twice is an error that names `field`.
Result<std::map<std::string, std::string>> decode_map(const KeyValues& from,
                                                      std::string_view field);

void encode(const model::Meta& from, proto::Meta* to);
model::Meta decode_meta(const proto::Meta& from);
void encode(const model::Resources& from, proto::Resources* to);
model::Resources decode_resources(const proto::Resources& from);
void encode(const model::Issuer& from, proto::Issuer* to);
model::Issuer decode_issuer(const proto::Issuer& from);
void encode(const model::Platform& from, proto::Platform* to);
model::Platform decode_platform(const proto::Platform& from);

// An enum is converted by a table of pairs, so the numbers on disk never depend on the order of
// the enumerators in C++.
template <class Model, class Proto, size_t N>
using EnumTable = std::array<std::pair<Model, Proto>, N>;

template <class Model, class Proto, size_t N>
Proto encode_enum(const EnumTable<Model, Proto, N>& table, Model value) {
  for (const auto& [model_value, proto_value] : table) {
    if (model_value == value) return proto_value;
  }
  assertion_failed("the table holds the value", "enumerator without a number", __FILE__, __LINE__);
}

template <class Model, class Proto, size_t N>
Result<Model> decode_enum(const EnumTable<Model, Proto, N>& table, Proto value,
                          std::string_view field) {
  for (const auto& [model_value, proto_value] : table) {
    if (proto_value == value) return model_value;
  }
  return fail(ErrorKind::invalid,
              std::string(field) + ": unknown value " + std::to_string(static_cast<int>(value)));
}

// result.within(where) for a Result that may be fine.
template <class T>
Result<T> within(Result<T> result, std::string_view where) {
  if (!result) return fail(result.error().within(where));
  return result;
}

}  // namespace skep::codec
