// The shared parts of the nouns' codecs; see common.hpp.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/codec/common.hpp"

namespace skep::codec {
namespace {

void append_word(uint64_t word, std::string* to) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    to->push_back(static_cast<char>((word >> shift) & 0xff));
  }
}

uint64_t read_word(std::string_view from) {
  uint64_t word = 0;
  for (size_t i = 0; i < 8; ++i) word = (word << 8) | static_cast<unsigned char>(from[i]);
  return word;
}

}  // namespace

std::string id_bytes(model::IdBits bits) {
  std::string bytes;
  bytes.reserve(kIdBytes);
  append_word(bits.high, &bytes);
  append_word(bits.low, &bytes);
  return bytes;
}

Result<model::IdBits> decode_id_bits(const std::string& from, std::string_view field) {
  if (from.size() != kIdBytes) {
    return fail(ErrorKind::invalid,
                std::string(field) + ": an id is 16 bytes, this is " + std::to_string(from.size()));
  }
  const std::string_view view = from;
  const model::IdBits bits{read_word(view.substr(0, 8)), read_word(view.substr(8))};
  if (bits == model::IdBits{}) {
    return fail(ErrorKind::invalid, std::string(field) + ": the id is all zero");
  }
  return bits;
}

void encode(const std::vector<std::string>& from, Texts* to) {
  to->Clear();
  to->Reserve(static_cast<int>(from.size()));
  for (const std::string& text : from) *to->Add() = text;
}

std::vector<std::string> decode_texts(const Texts& from) {
  return {from.begin(), from.end()};
}

void encode(const std::map<std::string, std::string>& from, KeyValues* to) {
  to->Clear();
  to->Reserve(static_cast<int>(from.size()));
  for (const auto& [key, value] : from) {
    proto::KeyValue* pair = to->Add();
    pair->set_key(key);
    pair->set_value(value);
  }
}

Result<std::map<std::string, std::string>> decode_map(const KeyValues& from,
                                                      std::string_view field) {
  std::map<std::string, std::string> map;
  for (const proto::KeyValue& pair : from) {
    if (!map.emplace(pair.key(), pair.value()).second) {
      return fail(ErrorKind::invalid,
                  std::string(field) + ": the key \"" + pair.key() + "\" stands twice");
    }
  }
  return map;
}

void encode(const model::Meta& from, proto::Meta* to) {
  to->set_version(from.version);
  to->set_created_at_unix_ns(from.created_at.unix_ns);
  to->set_updated_at_unix_ns(from.updated_at.unix_ns);
}

model::Meta decode_meta(const proto::Meta& from) {
  return {from.version(), {from.created_at_unix_ns()}, {from.updated_at_unix_ns()}};
}

void encode(const model::Resources& from, proto::Resources* to) {
  to->set_nano_cpus(from.nano_cpus);
  to->set_memory_bytes(from.memory_bytes);
  to->set_pids(from.pids);
}

model::Resources decode_resources(const proto::Resources& from) {
  return {from.nano_cpus(), from.memory_bytes(), from.pids()};
}

void encode(const model::Issuer& from, proto::Issuer* to) {
  to->set_subject_der(from.subject_der);
  to->set_public_key_der(from.public_key_der);
}

model::Issuer decode_issuer(const proto::Issuer& from) {
  return {from.subject_der(), from.public_key_der()};
}

void encode(const model::Platform& from, proto::Platform* to) {
  to->set_architecture(from.architecture);
  to->set_os(from.os);
}

model::Platform decode_platform(const proto::Platform& from) {
  return {from.architecture(), from.os()};
}

}  // namespace skep::codec
