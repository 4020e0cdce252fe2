// Dial, ask, and say what it means when the connection broke in between.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/forwarder.hpp"

namespace skep::manager {
namespace {

constexpr std::chrono::milliseconds kConnectTimeout{1'500};

}  // namespace

asio::awaitable<Result<std::string>> Forwarder::call(std::string address, transport::Method method,
                                                     std::string payload,
                                                     std::chrono::milliseconds deadline) {
  std::shared_ptr<transport::RpcClient> client = address_ == address ? client_ : nullptr;
  if (!client || !client->open()) {
    transport::ClientOptions options;
    options.root_pem = credentials_.root_pem;
    options.credentials = credentials_;
    options.cluster = credentials_.identity.cluster;
    options.connect_timeout = kConnectTimeout;
    Result<std::unique_ptr<transport::RpcClient>> dialled =
        co_await transport::RpcClient::connect(loop_, address, std::move(options));
    if (!dialled) co_return fail(ErrorKind::unavailable, dialled.error().message);
    client = std::move(*dialled);
    client_ = client;
    address_ = std::move(address);
  }
  Result<std::string> answer = co_await client->call(method, std::move(payload), deadline);
  if (answer) co_return answer;
  // Only an answer of the leader's says for sure that nothing was done.
  const bool lost = !client->open() || answer.error().kind == ErrorKind::deadline;
  if (lost) co_return fail(ErrorKind::unknown_outcome, answer.error().message);
  co_return answer;
}

void Forwarder::set_credentials(transport::NodeCredentials credentials) {
  credentials_ = std::move(credentials);
  address_.clear();
}

void Forwarder::stop() {
  if (client_) client_->close("this manager is stopping");
}

}  // namespace skep::manager
