// The steps of joining, each a call; one deadline over all of them.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/join.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/identity/token.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/transport/node_rpc.pb.h"

namespace skep::transport {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kStepMax{5'000};  // so that a dead address leaves time for the next
constexpr milliseconds kStatusPause{100};

// What is left of the whole time, for one step.
milliseconds step_time(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
  return std::clamp(left, milliseconds(1), kStepMax);
}

template <class Reply>
Result<Reply> parse(const Result<std::string>& payload) {
  if (!payload) return fail(payload.error());
  Reply reply;
  if (!reply.ParseFromString(*payload)) {
    return fail(ErrorKind::internal, "the manager's answer can't be read");
  }
  return reply;
}

// `final` errors are a manager's word; others let the next address be tried.
struct Attempt {
  Result<NodeCredentials> outcome;
  bool final = false;
};

asio::awaitable<Result<std::string>> fetch_root(asio::any_io_executor loop, std::string address,
                                                Clock::time_point end) {
  ClientOptions options;
  options.connect_timeout = step_time(end);
  SKEP_CO_TRY_ASSIGN(const std::unique_ptr<RpcClient> client,
                     co_await RpcClient::connect(loop, address, options));
  const std::string request = rpc::GetRootRequest().SerializeAsString();
  const Result<std::string> answer =
      co_await client->call(Method::get_root, request, step_time(end));
  const Result<rpc::GetRootReply> reply = parse<rpc::GetRootReply>(answer);
  if (!reply) co_return fail(reply.error().within(address + " is not a skep manager"));
  co_return reply->root_pem();
}

// Exactly one certificate: a second one behind the right one would be trusted as well.
Status check_root(const std::string& root_pem, const identity::JoinToken& token) {
  SKEP_TRY(single_certificate(root_pem));
  SKEP_TRY_ASSIGN(const identity::Digest digest, certificate_digest(root_pem));
  if (digest == token.root_digest) return {};
  const std::string text = token.str();
  return fail(ErrorKind::invalid, "remote CA does not match fingerprint " +
                                      text.substr(0, text.rfind('-')) +
                                      " of the join token: this manager is of another cluster");
}

asio::awaitable<Result<std::string>> await_certificate(RpcClient& client, std::string node,
                                                       Clock::time_point end) {
  rpc::CertificateStatusRequest request;
  request.set_node(node);
  asio::steady_timer pause(co_await asio::this_coro::executor);
  while (Clock::now() < end) {
    const std::string payload = request.SerializeAsString();
    const Result<std::string> answer =
        co_await client.call(Method::certificate_status, payload, step_time(end));
    SKEP_CO_TRY_ASSIGN(const rpc::CertificateStatusReply reply,
                       parse<rpc::CertificateStatusReply>(answer));
    if (!reply.refused().empty()) co_return fail(ErrorKind::denied, reply.refused());
    if (!reply.certificate_pem().empty()) co_return reply.certificate_pem();
    boost::system::error_code code;
    pause.expires_after(kStatusPause);
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, code));
  }
  co_return fail(ErrorKind::deadline, "the manager has not issued the certificate in time");
}

asio::awaitable<Attempt> attempt(asio::any_io_executor loop, std::string address, JoinOrder order,
                                 identity::JoinToken token, Clock::time_point end) {
  Attempt result;
  const Result<std::string> root = co_await fetch_root(loop, address, end);
  if (!root) {
    result.outcome = fail(root.error());
    co_return result;
  }
  result.final = true;
  if (const Status matches = check_root(*root, token); !matches) {
    result.outcome = fail(matches.error());
    co_return result;
  }
  ClientOptions options;
  options.root_pem = *root;
  options.connect_timeout = step_time(end);
  Result<std::unique_ptr<RpcClient>> client = co_await RpcClient::connect(loop, address, options);
  Result<KeyAndRequest> request = make_request();
  if (!client || !request) {
    result.final = client.has_value();
    result.outcome = fail(client ? request.error() : client.error());
    co_return result;
  }
  rpc::IssueCertificateRequest issue;
  issue.set_token(order.token);
  issue.set_csr_pem(request->csr_pem);
  issue.set_availability(static_cast<proto::NodeAvailability>(order.availability));
  const std::string payload = issue.SerializeAsString();
  const Result<std::string> answer =
      co_await (*client)->call(Method::issue_certificate, payload, step_time(end));
  const Result<rpc::IssueCertificateReply> issued = parse<rpc::IssueCertificateReply>(answer);
  if (!issued) {
    // Too many joiners, or a manager without a leader: another one may do better.
    result.final = issued.error().kind != ErrorKind::unavailable;
    result.outcome = fail(issued.error());
    co_return result;
  }
  Result<std::string> certificate = co_await await_certificate(**client, issued->node(), end);
  if (!certificate) {
    result.outcome = fail(certificate.error());
    co_return result;
  }
  result.outcome = check_credentials(*root, std::move(*certificate), std::move(request->key_pem));
  co_return result;
}

}  // namespace

asio::awaitable<Result<NodeCredentials>> obtain_certificate(asio::any_io_executor loop,
                                                            JoinOrder order) {
  SKEP_CO_TRY_ASSIGN(const identity::JoinToken token, identity::parse_join_token(order.token));
  if (order.remote_addresses.empty()) {
    co_return fail(ErrorKind::invalid, "no address of a manager was given to join");
  }
  const Clock::time_point end = Clock::now() + order.deadline;
  asio::steady_timer pause(loop);
  std::optional<Error> last;
  // A manager that has just started may need a moment: go round until the time is up.
  while (true) {
    for (const std::string& address : order.remote_addresses) {
      Attempt tried = co_await attempt(loop, address, order, token, end);
      if (tried.outcome || tried.final) co_return std::move(tried.outcome);
      last = tried.outcome.error();
      if (last->kind == ErrorKind::invalid) co_return fail(*last);
    }
    if (Clock::now() + std::chrono::seconds(1) >= end) co_return fail(*last);
    boost::system::error_code code;
    pause.expires_after(std::chrono::seconds(1));
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, code));
  }
}

asio::awaitable<Result<NodeCredentials>> renew_certificate(RpcClient& client,
                                                           milliseconds deadline) {
  SKEP_CO_TRY_ASSIGN(KeyAndRequest request, make_request());
  rpc::RenewCertificateRequest message;
  message.set_csr_pem(request.csr_pem);
  const std::string payload = message.SerializeAsString();
  const Result<std::string> answer =
      co_await client.call(Method::renew_certificate, payload, deadline);
  SKEP_CO_TRY_ASSIGN(const rpc::RenewCertificateReply reply,
                     parse<rpc::RenewCertificateReply>(answer));
  co_return check_credentials(reply.root_pem(), reply.certificate_pem(),
                              std::move(request.key_pem));
}

}  // namespace skep::transport
