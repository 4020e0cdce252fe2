// Our side of the store bench: closed-loop clients of the managers over the node RPC.
//
// A client writes configs (Write, to any manager) or reads them (GetConfig, as fresh as the moment
// of asking) with the certificate of a manager, as another manager would. Clients are spread over
// the members, up to kConnectionsMax connections each, like those of the peer. One thread, one
// loop.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/manager/writes.hpp"
#include "daemon/transport/node_rpc.pb.h"
#include "daemon/transport/pki_store.hpp"
#include "daemon/transport/rpc_client.hpp"
#include "tests/bench/store/load.hpp"

namespace {

namespace asio = boost::asio;
using skep::bench::Clock;
using skep::bench::Tally;
using skep::transport::Method;
using skep::transport::RpcClient;

constexpr int kConnectionsMax = 8;  // to each member
constexpr std::chrono::milliseconds kDeadline{30'000};

struct Options {
  std::vector<std::string> members;
  std::string credentials;
  std::string ids;  // where the ids of the configs to read are kept
  int clients = 1;
  int seconds = 5;
  size_t bytes = 256;
  uint64_t first = 0;
  size_t fill = 0;  // write so many configs, keep their ids, and end
  bool read = false;
};

// What the clients share.
struct Load {
  explicit Load(const Options& asked)
      : options(asked), tally(std::chrono::seconds(1), std::chrono::seconds(asked.seconds)) {}

  Options options;
  Tally tally;
  skep::base::RandomIds random;
  uint64_t next = 0;
  std::vector<std::string> ids;  // 16 bytes each
};

std::string write_request(Load& load) {
  skep::model::ConfigSpec spec;
  spec.name = "config-" + std::to_string(load.options.first + load.next++);
  spec.data = std::string(load.options.bytes, 'v');
  skep::rpc::ForwardRequest request;
  request.set_request_id(skep::codec::encode_id(skep::model::RequestId{load.random.next()}));
  skep::manager::encode(skep::manager::CreateConfig{std::move(spec)}, &request);
  return request.SerializeAsString();
}

std::string read_request(Load& load) {
  skep::rpc::GetConfigRequest request;
  request.set_config(load.ids[load.next++ % load.ids.size()]);
  return request.SerializeAsString();
}

// Whether the answer is what was asked for, and not merely an answer.
bool good(const Load& load, const std::string& payload) {
  if (!load.options.read) {
    skep::rpc::ForwardReply reply;
    return reply.ParseFromString(payload) && !reply.result().empty();
  }
  skep::rpc::GetConfigReply reply;
  return reply.ParseFromString(payload) &&
         reply.config().spec().data().size() == load.options.bytes;
}

asio::awaitable<void> drive(Load& load, std::shared_ptr<RpcClient> member) {
  const Method method = load.options.read ? Method::get_config : Method::write;
  while (!load.tally.over()) {
    std::string request = load.options.read ? read_request(load) : write_request(load);
    const Clock::time_point asked = Clock::now();
    const skep::Result<std::string> answer =
        co_await member->call(method, std::move(request), kDeadline);
    if (answer && good(load, *answer)) {
      load.tally.answered(asked);
    } else {
      load.tally.failed(answer ? "not what was asked for" : answer.error().message);
      if (!member->open()) co_return;
    }
  }
}

// Writes configs and keeps their ids, as text of 25 letters, one a line.
asio::awaitable<void> fill(Load& load, std::shared_ptr<RpcClient> member) {
  std::ofstream out(load.options.ids);
  for (size_t i = 0; i < load.options.fill; ++i) {
    std::string request = write_request(load);
    const skep::Result<std::string> answer =
        co_await member->call(Method::write, std::move(request), kDeadline);
    if (!answer) throw std::runtime_error(answer.error().message);
    skep::rpc::ForwardReply reply;
    if (!reply.ParseFromString(*answer)) throw std::runtime_error("the answer can't be read");
    out << reply.result() << "\n";
  }
}

void read_ids(Load& load) {
  std::ifstream in(load.options.ids);
  for (std::string line; std::getline(in, line);) {
    const auto id = skep::model::ConfigId::parse(line);
    if (!id) throw std::runtime_error("no id: " + line);
    load.ids.push_back(skep::codec::encode_id(*id));
  }
  if (load.ids.empty()) throw std::runtime_error("no ids in " + load.options.ids);
}

asio::awaitable<void> run(asio::io_context& loop, Load& load) {
  auto credentials = skep::transport::load_credentials(load.options.credentials);
  if (!credentials) throw std::runtime_error(credentials.error().message);
  if (!*credentials) throw std::runtime_error("no credentials in " + load.options.credentials);
  std::vector<std::shared_ptr<RpcClient>> connections;
  for (int i = 0; i < std::min(load.options.clients, kConnectionsMax); ++i) {
    for (const std::string& member : load.options.members) {
      skep::transport::ClientOptions options;
      options.root_pem = (**credentials).root_pem;
      options.credentials = **credentials;
      options.cluster = (**credentials).identity.cluster;
      skep::Result<std::unique_ptr<RpcClient>> connected =
          co_await RpcClient::connect(loop.get_executor(), member, std::move(options));
      if (!connected) throw std::runtime_error(connected.error().message);
      connections.push_back(std::move(*connected));
    }
  }
  if (load.options.fill > 0) {
    co_await fill(load, connections.front());
    co_return;
  }
  if (load.options.read) read_ids(load);
  load.tally = Tally(std::chrono::seconds(1), std::chrono::seconds(load.options.seconds));
  int running = load.options.clients;
  asio::steady_timer done(loop, asio::steady_timer::time_point::max());
  for (int i = 0; i < load.options.clients; ++i) {
    asio::co_spawn(loop, drive(load, connections[static_cast<size_t>(i) % connections.size()]),
                   [&](std::exception_ptr failure) {
                     if (failure) std::rethrow_exception(failure);
                     if (--running == 0) done.cancel();
                   });
  }
  boost::system::error_code over;
  co_await done.async_wait(asio::redirect_error(asio::use_awaitable, over));
  load.tally.print();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"clients of skep's managers in a closed loop"};
  app.add_option("--members", options.members, "host:port of each manager")
      ->required()
      ->delimiter(',');
  app.add_option("--credentials", options.credentials, "pki/ of a manager")->required();
  app.add_option("--ids", options.ids, "file of the ids of the configs to read");
  app.add_option("--clients", options.clients);
  app.add_option("--seconds", options.seconds);
  app.add_option("--bytes", options.bytes, "of each value");
  app.add_option("--first", options.first, "number of the first config");
  app.add_option("--fill", options.fill, "write so many configs, keep their ids, and end");
  app.add_flag("--read", options.read, "linearizable reads instead of writes");
  CLI11_PARSE(app, argc, argv);
  try {
    asio::io_context loop(1);
    Load load(options);
    asio::co_spawn(loop, run(loop, load), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    loop.run();
  } catch (const std::exception& error) {
    std::cerr << "skep_load: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
