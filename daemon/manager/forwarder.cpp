// Dial, ask, and say what it means when the connection broke in between.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/forwarder.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>

namespace skep::manager {
namespace {

constexpr std::chrono::milliseconds kConnectTimeout{1'500};

}  // namespace

struct Forwarder::Dial {
  Dial(asio::any_io_executor loop, std::string to)
      : address(std::move(to)), over(std::make_shared<Bell>(std::move(loop))) {}

  // Settles it, once; what comes later is dropped.
  void end(Result<std::shared_ptr<transport::RpcClient>> with) {
    if (outcome) return;
    outcome = std::move(with);
    over->ring();
  }
  // On its way, or a connection that stands.
  bool good() const { return !outcome || (*outcome && (**outcome)->open()); }

  std::string address;
  std::optional<Result<std::shared_ptr<transport::RpcClient>>> outcome;
  std::shared_ptr<Bell> over;
};

std::shared_ptr<Forwarder::Dial> Forwarder::dial_to(const std::string& address) {
  if (dial_ && dial_->address == address && dial_->good()) return dial_;
  dial_ = std::make_shared<Dial>(loop_, address);
  asio::co_spawn(
      loop_,
      [self = shared_from_this(), dial = dial_]() -> asio::awaitable<void> {
        co_await self->run(dial);
      },
      asio::detached);
  return dial_;
}

asio::awaitable<void> Forwarder::run(std::shared_ptr<Dial> dial) {
  transport::ClientOptions options;
  options.root_pem = credentials_.root_pem;
  options.credentials = credentials_;
  options.cluster = credentials_.identity.cluster;
  options.connect_timeout = kConnectTimeout;
  std::string address = dial->address;
  Result<std::unique_ptr<transport::RpcClient>> client =
      co_await transport::RpcClient::connect(loop_, std::move(address), std::move(options));
  if (client) {
    dial->end(std::shared_ptr<transport::RpcClient>(std::move(*client)));
  } else {
    dial->end(fail(ErrorKind::unavailable, client.error().message));
  }
}

asio::awaitable<Result<std::string>> Forwarder::call(std::string address, transport::Method method,
                                                     std::string payload,
                                                     std::chrono::milliseconds deadline) {
  const std::shared_ptr<Forwarder> self = shared_from_this();
  const std::shared_ptr<Dial> dial = dial_to(address);
  if (!dial->outcome) co_await dial->over->wait(0, 2 * kConnectTimeout);
  if (!dial->outcome) co_return fail(ErrorKind::unavailable, "no connection to " + address);
  if (!*dial->outcome) co_return fail(dial->outcome->error());
  const std::shared_ptr<transport::RpcClient> client = **dial->outcome;
  if (!client->open()) co_return fail(ErrorKind::unavailable, "the connection was lost");
  Result<std::string> answer = co_await client->call(method, std::move(payload), deadline);
  if (answer) co_return answer;
  // Only an answer of the leader's says for sure that nothing was done.
  const bool lost = !client->open() || answer.error().kind == ErrorKind::deadline;
  if (lost) co_return fail(ErrorKind::unknown_outcome, answer.error().message);
  co_return answer;
}

void Forwarder::abandon(const std::string& why) {
  if (!dial_) return;
  const std::shared_ptr<Dial> given_up = std::move(dial_);
  dial_.reset();
  given_up->end(fail(ErrorKind::unavailable, why));
  if (*given_up->outcome) (**given_up->outcome)->close(why);
}

void Forwarder::set_credentials(transport::NodeCredentials credentials) {
  credentials_ = std::move(credentials);
  dial_.reset();
}

}  // namespace skep::manager
