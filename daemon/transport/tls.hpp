// TLS as both ends use it: version 1.3 alone, the cluster's root as the only trust, no resumption.
//
// A resumed session would skip the certificate, and with it the question whether the node was
// removed meanwhile; so there are no tickets. Host names are not checked: a manager is known by
// what its certificate says (role manager, of this cluster), not by where it is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <string>

#include "core/model/result.hpp"
#include "daemon/transport/pki.hpp"

namespace skep::transport {

namespace asio = boost::asio;
using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;
using TlsContext = std::shared_ptr<asio::ssl::context>;

Result<TlsContext> server_context(const NodeCredentials& credentials);
// An empty root trusts whoever answers: only for fetching the root that a token vouches for.
Result<TlsContext> client_context(const std::string& root_pem, const NodeCredentials* credentials);

// After a handshake: who the peer proved to be, or nullopt if it showed no certificate.
Result<std::optional<PeerIdentity>> peer_identity(TlsStream& stream);

// A vanished host is noticed by the kernel: unacknowledged bytes or keepalives for ten seconds.
Status watch_for_loss(asio::ip::tcp::socket& socket);

// What a failed handshake or read says for a person. `unauthenticated` when the peer refused our
// certificate.
Error tls_error(const boost::system::error_code& code);
// The same for a handshake, which knows what was wrong with the peer's certificate.
Error handshake_error(TlsStream& stream, const boost::system::error_code& code);

}  // namespace skep::transport
