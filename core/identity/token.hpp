// Join tokens: the one secret a machine needs to become a node.
//
//   SWMTKN-1-<digest>-<secret>
//
// The digest is SHA-256 of the cluster root's certificate (its DER form) in base 36, padded to 50
// characters: the joiner checks the root it is shown against it before it says anything. The secret
// is 16 random bytes in base 36, padded to 25: which of the cluster's two secrets it equals decides
// the role. Digest and secret are handed in; nothing here hashes, draws or reads. Secrets are
// compared in constant time, on their bytes, so that time says nothing about a near miss.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::identity {

using Digest = std::array<uint8_t, 32>;  // SHA-256
using Secret = std::array<uint8_t, 16>;

struct JoinToken {
  Digest root_digest{};
  Secret secret{};

  std::string str() const;
};

// Errors (invalid): a sentence that says what is wrong with the text, never the secret itself.
Result<JoinToken> parse_join_token(std::string_view text);

// In constant time, over digest and secret.
bool same_token(const JoinToken& a, const JoinToken& b);

// The role that `given` opens, or nullopt if it is neither of the cluster's tokens. Malformed text
// is nullopt too: who holds no valid token is told nothing else. Both are always compared.
std::optional<model::NodeRole> role_of_token(std::string_view given, std::string_view worker_token,
                                             std::string_view manager_token);

}  // namespace skep::identity
