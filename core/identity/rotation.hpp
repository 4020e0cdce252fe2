// Changing the root of the cluster's trust while the cluster works.
//
// A cluster has one root. A *rotation* names another that is to take its place, with its key and a
// certificate of it that the present root signed (the cross-signed one). From that moment:
//
//   trusted   both roots, by every node that has heard of it
//   signing   the new root; each certificate travels with the cross-signed one, so that a node that
//             hasn't heard yet accepts it too
//   renewing  every node whose certificate is not of the new root, at once
//   joining   still by the present root's digest, which the tokens carry
//
// It is over when no node is left whose certificate is of another root: the new one is then the
// root, the old one is trusted no more, and the tokens are new. A node that is down counts: it
// knows the old root alone, and would be locked out for good. To end the rotation without it,
// remove it.
//
// A rotation that is asked for while one goes on replaces its target. The present root stays the
// one that signs across, so whatever was signed on the way to the abandoned target is accepted
// until the end; asking for the present root itself calls the rotation off.
//
// Pure: keys, certificates and tokens are made by the caller.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::identity {

// What signs certificates now.
struct SigningRoot {
  std::string certificate_pem;
  std::string key_pem;
  std::string chain_pem;  // goes behind each certificate it signs; empty: none is needed
};

// The roots a node is to accept, one PEM text after the other: the present one first.
std::string trusted_roots(const model::Cluster& cluster);
// The root that every node's certificate is to be of.
const std::string& wanted_root(const model::Cluster& cluster);
SigningRoot signing_root(const model::Cluster& cluster);

// `cross_signed_by` is the root that signed rotation.cross_signed_pem. Conflict ("update out of
// sequence"): that is not the present root any more. Asking for the target of the rotation that
// goes on, with the same key, changes nothing; asking for the present root with its own key ends
// it.
Status begin_rotation(model::Cluster& cluster, model::RootRotation rotation,
                      const std::string& cross_signed_by);

// True when the node's certificate is of the root wanted. A node that has said nothing isn't.
bool has_wanted_issuer(const model::RootRotation& rotation, const model::Node& node);

// The new root takes the old one's place. Requires: a rotation goes on.
void finish_rotation(model::Cluster& cluster);

}  // namespace skep::identity
