// The cluster's certificates: who a node is, proven.
//
// One self-signed root per cluster (ECDSA P-256, 20 years) signs node certificates whose subject is
// the identity: CN = node id, OU = role, O = cluster id. A node makes its key itself and sends only
// a signing request; the signer takes nothing from that request but the public key, so a request
// can't ask for an identity. Certificates are backdated by an hour for clocks that are behind.
//
// While one root takes another's place (core/identity/rotation.hpp) a trust store holds both, and a
// certificate's text is a chain: the node's own, then the new root's name and key as the old root
// signed them, which is what a peer needs that knows the old root alone.
//
// Texts are PEM. Time is handed in. OpenSSL stays in the .cpp. Functions block for a fraction of a
// millisecond, touch no file and may be called from any thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/identity/renewal.hpp"
#include "core/identity/token.hpp"
#include "core/model/ids.hpp"
#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "core/model/time.hpp"

struct x509_st;  // OpenSSL's X509

namespace skep::transport {

inline constexpr std::chrono::hours kNodeCertificateLifetime{24 * 90};
inline constexpr std::chrono::hours kNodeCertificateLifetimeMin{1};

struct KeyAndCertificate {
  std::string key_pem;  // PKCS#8, as secret as what it can sign
  std::string certificate_pem;
};

struct KeyAndRequest {
  std::string key_pem;
  std::string csr_pem;
};

// What a verified certificate says of its holder.
struct PeerIdentity {
  model::NodeId node;
  model::ClusterId cluster;
  model::NodeRole role = model::NodeRole::worker;
  model::WallTime expires_at;
  bool operator==(const PeerIdentity&) const = default;
};

// All a node needs to prove who it is and to know its cluster.
struct NodeCredentials {
  std::string root_pem;         // the roots it trusts: one, or two during a rotation
  std::string certificate_pem;  // its own, and the chain behind it
  std::string key_pem;
  // What certificate_pem says:
  PeerIdentity identity;
  identity::CertificateLife life;
  model::Issuer issuer;
  uint64_t draw = 0;  // a number that is this certificate's own, evenly spread
};

struct CertificateOrder {
  model::NodeId node;
  model::ClusterId cluster;
  model::NodeRole role = model::NodeRole::worker;
  model::Nanoseconds lifetime = kNodeCertificateLifetime;  // below an hour is an hour
};

Result<KeyAndCertificate> make_root(model::WallTime now);
Result<KeyAndRequest> make_request();

// Errors (invalid): the request is not one, isn't signed by its own key, or its key isn't P-256.
// The certificate never outlives the root.
Result<std::string> sign_request(const KeyAndCertificate& root, std::string_view csr_pem,
                                 const CertificateOrder& order, model::WallTime now);

// Key, request and signature in one: a manager's own first certificate.
Result<NodeCredentials> make_credentials(const KeyAndCertificate& root,
                                         const CertificateOrder& order, model::WallTime now);

// A root that an administrator brings. Errors (invalid) say what keeps it from being one: it signs
// itself, holds for a year from `now` at least, may sign others that sign in turn, fits the key,
// and that key is EC or RSA. The texts come back in one form, so that they can be compared.
Result<KeyAndCertificate> check_given_root(std::string_view certificate_pem,
                                           std::string_view key_pem, model::WallTime now);

// The name and key of `root_pem` as a certificate signed by `by`: who trusts `by` accepts what
// `root_pem` signs when it is shown this too. Lives no longer than either.
Result<std::string> cross_sign(const KeyAndCertificate& by, std::string_view root_pem,
                               model::WallTime now);

// Checks that the key belongs to the certificate and that one of the roots in `root_pem` vouches
// for it, if need be through the chain, and reads what it says. Time is not looked at: the
// handshake does that.
Result<NodeCredentials> check_credentials(std::string root_pem, std::string certificate_pem,
                                          std::string key_pem);

// SHA-256 over the DER form, as in join tokens.
Result<identity::Digest> certificate_digest(std::string_view certificate_pem);
Result<PeerIdentity> identity_of(std::string_view certificate_pem);
Result<PeerIdentity> identity_of(x509_st* certificate);  // borrowed
// What certificates that `root_pem` signs say of their issuer.
Result<model::Issuer> issuer_info(std::string_view root_pem);
// `pem` in its one form if it is exactly one certificate; invalid otherwise.
Result<std::string> single_certificate(std::string_view pem);

// Bytes of any kind in the armour of a PEM text, "-----BEGIN NAME-----" and so on; and all that a
// text of nothing but these holds. Errors (invalid): there is none, or something else.
Result<std::string> to_pem(std::string_view name, std::string_view bytes);
Result<std::vector<std::string>> from_pem(std::string_view name, std::string_view text);

// 16 bytes from OpenSSL's generator, for a join token.
Result<identity::Secret> random_secret();

}  // namespace skep::transport
