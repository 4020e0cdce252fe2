// The peer's side of the store bench: closed-loop clients of etcd over gRPC and TLS.
//
// gRPC's callback API runs the clients on its own threads, so the tally is under a mutex; that
// costs far less than a request. Clients are spread over the members, up to kChannelsMax
// connections each.
// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <sstream>

#include "etcd.pb.h"
#include "tests/bench/store/load.hpp"

namespace {

using skep::bench::Clock;
using skep::bench::Tally;

constexpr int kChannelsMax = 8;  // to each member
constexpr auto kDeadline = std::chrono::seconds(30);

struct Options {
  std::vector<std::string> endpoints;
  std::string ca, certificate, key;
  int clients = 1;
  int seconds = 5;
  size_t bytes = 256;
  uint64_t first_key = 0;
  uint64_t keys = 1000;  // that a reader chooses from
  bool read = false;
};

std::string file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("can't read " + path);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

std::string key_of(uint64_t number) {
  return "config/" + std::to_string(number);
}

// What the clients share.
struct Load {
  Load(const Options& asked)
      : options(asked), tally(std::chrono::seconds(1), std::chrono::seconds(asked.seconds)) {}

  Options options;
  std::mutex mutex;
  Tally tally;  // under mutex
  std::atomic<uint64_t> next{0};
};

template <class Request, class Answer>
class Client {
 public:
  Client(Load& load, std::shared_ptr<grpc::Channel> channel, std::string method)
      : load_(load), stub_(std::move(channel)), method_(std::move(method)) {}

  void run() {
    {
      const std::lock_guard lock(load_.mutex);
      if (load_.tally.over()) return done_.set_value();
    }
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_deadline(std::chrono::system_clock::now() + kDeadline);
    fill();
    asked_ = Clock::now();
    stub_.UnaryCall(
        context_.get(), method_, {}, &request_, &answer_, [this](const grpc::Status& status) {
          {
            const std::lock_guard lock(load_.mutex);
            if (status.ok() && good()) {
              load_.tally.answered(asked_);
            } else {
              load_.tally.failed(status.ok() ? "an empty answer" : status.error_message());
            }
          }
          run();
        });
  }
  void wait() { done_.get_future().wait(); }

 private:
  void fill();
  bool good() const;

  Load& load_;
  grpc::TemplatedGenericStub<Request, Answer> stub_;
  std::string method_;
  std::unique_ptr<grpc::ClientContext> context_;
  Request request_;
  Answer answer_;
  Clock::time_point asked_;
  std::promise<void> done_;
};

using Writer = Client<skep::bench::EtcdPut, skep::bench::EtcdPutAnswer>;
using Reader = Client<skep::bench::EtcdRange, skep::bench::EtcdRangeAnswer>;

template <>
void Writer::fill() {
  request_.set_key(key_of(load_.options.first_key + load_.next++));
  request_.set_value(std::string(load_.options.bytes, 'v'));
}
template <>
bool Writer::good() const {
  return true;
}
template <>
void Reader::fill() {
  request_.set_key(key_of(load_.options.first_key + load_.next++ % load_.options.keys));
}
template <>
bool Reader::good() const {
  return answer_.kvs_size() == 1 && answer_.kvs(0).value().size() == load_.options.bytes;
}

template <class Kind>
void drive(Load& load, const std::vector<std::shared_ptr<grpc::Channel>>& channels,
           const std::string& method) {
  std::vector<std::unique_ptr<Kind>> clients;
  for (int i = 0; i < load.options.clients; ++i) {
    clients.push_back(
        std::make_unique<Kind>(load, channels[static_cast<size_t>(i) % channels.size()], method));
  }
  for (const auto& client : clients) client->run();
  for (const auto& client : clients) client->wait();
  load.tally.print();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"clients of etcd in a closed loop"};
  app.add_option("--endpoints", options.endpoints, "host:port of each member")
      ->required()
      ->delimiter(',');
  app.add_option("--ca", options.ca)->required();
  app.add_option("--certificate", options.certificate)->required();
  app.add_option("--key", options.key)->required();
  app.add_option("--clients", options.clients);
  app.add_option("--seconds", options.seconds);
  app.add_option("--bytes", options.bytes, "of each value");
  app.add_option("--first-key", options.first_key);
  app.add_option("--keys", options.keys, "how many keys a reader chooses from");
  app.add_flag("--read", options.read, "linearizable reads instead of writes");
  CLI11_PARSE(app, argc, argv);
  try {
    grpc::SslCredentialsOptions tls{file(options.ca), file(options.key), file(options.certificate)};
    const auto credentials = grpc::SslCredentials(tls);
    std::vector<std::shared_ptr<grpc::Channel>> channels;
    for (int i = 0; i < std::min(options.clients, kChannelsMax); ++i) {
      for (const std::string& endpoint : options.endpoints) {
        grpc::ChannelArguments own;  // else gRPC would share one connection
        own.SetInt("skep.bench.channel", i);
        channels.push_back(grpc::CreateCustomChannel(endpoint, credentials, own));
      }
    }
    Load load(options);
    if (options.read) {
      drive<Reader>(load, channels, "/etcdserverpb.KV/Range");
    } else {
      drive<Writer>(load, channels, "/etcdserverpb.KV/Put");
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "etcd_load: %s\n", error.what());
    return 1;
  }
  return 0;
}
