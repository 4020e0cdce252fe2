// Identities that can't be mixed up.
//
// An object of the cluster is named by 128 random bits, written as 25 characters of base 36 (the
// form Docker's clients expect). In memory it is two words, so a task row holds its five ids
// without a heap allocation; text is made at the edges. The tag makes a NodeId and a TaskId
// different types. The all-zero id is "none". Ids are made on the leader from a generator handed
// in: nothing here draws.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace skep::model {

// 128 bits as base 36. Order of the values is the order of the texts.
struct IdBits {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const IdBits&) const = default;
};

inline constexpr size_t kIdLength = 25;

// 25 characters of [0-9a-z].
std::string id_text(IdBits bits);
// The lowest value whose text begins with `prefix`; nullopt if there is none.
std::optional<IdBits> first_with_prefix(std::string_view prefix);
// nullopt unless `text` is exactly what id_text would print for some value.
std::optional<IdBits> parse_id_text(std::string_view text);

template <class Tag>
struct Id {
  IdBits bits;

  static std::optional<Id> parse(std::string_view text) {
    const std::optional<IdBits> parsed = parse_id_text(text);
    if (!parsed) return std::nullopt;
    return Id{*parsed};
  }
  std::string str() const { return id_text(bits); }
  bool none() const { return bits == IdBits{}; }
  explicit operator bool() const { return !none(); }
  auto operator<=>(const Id&) const = default;
};

using ClusterId = Id<struct ClusterTag>;
using NodeId = Id<struct NodeTag>;
using ServiceId = Id<struct ServiceTag>;
using TaskId = Id<struct TaskTag>;
using NetworkId = Id<struct NetworkTag>;
using ConfigId = Id<struct ConfigTag>;
// Of something a client asked for, made by the client: what tells a repetition from a new wish.
using RequestId = Id<struct RequestTag>;

}  // namespace skep::model

template <class Tag>
struct std::hash<skep::model::Id<Tag>> {
  size_t operator()(const skep::model::Id<Tag>& id) const noexcept {
    return static_cast<size_t>(id.bits.low ^ (id.bits.high * 0x9e3779b97f4a7c15ull));
  }
};
