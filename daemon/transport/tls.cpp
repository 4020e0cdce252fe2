// Contexts, and the words for what goes wrong inside them.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/tls.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>

namespace skep::transport {
namespace {

constexpr int kUserTimeoutMs = 10'000;
constexpr int kKeepaliveIdleSeconds = 4;
constexpr int kKeepaliveIntervalSeconds = 2;
constexpr int kKeepaliveProbes = 3;

Status harden(asio::ssl::context& context) {
  SSL_CTX* native = context.native_handle();
  if (SSL_CTX_set_min_proto_version(native, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_num_tickets(native, 0) != 1) {
    return fail(ErrorKind::internal, "can't set up TLS 1.3");
  }
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
  return {};
}

// Asio's context throws; here is the one place that catches it.
Result<TlsContext> make_context(asio::ssl::context::method method, const std::string& root_pem,
                                const NodeCredentials* credentials) {
  try {
    TlsContext context = std::make_shared<asio::ssl::context>(method);
    SKEP_TRY(harden(*context));
    if (root_pem.empty()) {
      context->set_verify_mode(asio::ssl::verify_none);
    } else {
      context->add_certificate_authority(asio::buffer(root_pem));
      context->set_verify_mode(asio::ssl::verify_peer);
    }
    if (credentials != nullptr) {
      context->use_certificate_chain(asio::buffer(credentials->certificate_pem));
      context->use_private_key(asio::buffer(credentials->key_pem), asio::ssl::context::pem);
    }
    return context;
  } catch (const boost::system::system_error& error) {
    return fail(ErrorKind::internal, std::string("can't set up TLS: ") + error.what());
  }
}

}  // namespace

Result<TlsContext> server_context(const NodeCredentials& credentials) {
  return make_context(asio::ssl::context::tls_server, credentials.root_pem, &credentials);
}

Result<TlsContext> client_context(const std::string& root_pem, const NodeCredentials* credentials) {
  return make_context(asio::ssl::context::tls_client, root_pem, credentials);
}

Result<std::optional<PeerIdentity>> peer_identity(TlsStream& stream) {
  X509* certificate = SSL_get1_peer_certificate(stream.native_handle());
  if (certificate == nullptr) return std::optional<PeerIdentity>();
  Result<PeerIdentity> who = identity_of(certificate);
  X509_free(certificate);
  if (!who) return fail(who.error());
  return std::optional<PeerIdentity>(std::move(*who));
}

Status watch_for_loss(asio::ip::tcp::socket& socket) {
  struct Option {
    int level;
    int name;
    int value;
  };
  const Option options[] = {
      {IPPROTO_TCP, TCP_NODELAY, 1},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs},
      {SOL_SOCKET, SO_KEEPALIVE, 1},
      {IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds},
      {IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds},
      {IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes},
  };
  for (const Option& option : options) {
    if (::setsockopt(socket.native_handle(), option.level, option.name, &option.value,
                     sizeof option.value) != 0) {
      return fail(ErrorKind::internal, "can't set a socket option");
    }
  }
  return {};
}

Error tls_error(const boost::system::error_code& code) {
  Error error{ErrorKind::unavailable, code.message()};
  if (code.category() != asio::error::get_ssl_category()) return error;
  switch (ERR_GET_REASON(static_cast<unsigned long>(code.value()))) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
      error.kind = ErrorKind::unauthenticated;
      error.message = "the peer did not accept this node's certificate (" + code.message() + ")";
      return error;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      error.kind = ErrorKind::precondition;
      error.message = "the peer's certificate isn't of this cluster";
      return error;
  }
  return error;
}

Error handshake_error(TlsStream& stream, const boost::system::error_code& code) {
  Error error = tls_error(code);
  switch (SSL_get_verify_result(stream.native_handle())) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      error.message = "the peer's certificate has run out by this machine's clock";
      break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      error.message =
          "the peer's certificate isn't good yet by this machine's clock, which may be behind";
      break;
    default:
      break;
  }
  return error;
}

}  // namespace skep::transport
