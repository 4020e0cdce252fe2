// Clients that create services as fast as they are answered, over Unix sockets of the Engine API.
//
// Each client is one connection that is kept, to the sockets in turn, and one request at a time. In
// the end everything that was created is removed again, untimed, so that one round's services are
// not in the next one's way. HTTP is spoken by hand, as little of it as it takes: the load must not
// cost more than what it measures, on the same cores.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cstdlib>
#include <deque>
#include <exception>

#include "tests/bench/store/load.hpp"

namespace asio = boost::asio;
using skep::bench::Clock;
using skep::bench::Tally;

namespace {

struct Options {
  std::vector<std::string> sockets;
  std::string prefix = "bench";
  size_t clients = 1;
  int64_t warm_up_ms = 300;
  int64_t length_ms = 2'000;
  bool unplaceable = false;
};

class Client {
 public:
  Client(asio::io_context& loop, const std::string& path) : socket_(loop), path_(path) {}

  void connect() { socket_.connect(path_); }

  // The status; the body is read and dropped, or kept for who wants to know why.
  asio::awaitable<int> ask(std::string_view method, const std::string& path,
                           const std::string& body) {
    std::string request(method);
    request += " /v1.41" + path + " HTTP/1.1\r\nHost: skep\r\n";
    if (!body.empty()) request += "Content-Type: application/json\r\n";
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    co_await asio::async_write(socket_, asio::buffer(request), asio::use_awaitable);
    size_t head = std::string::npos;
    while ((head = read_.find("\r\n\r\n")) == std::string::npos) co_await read_some();
    const size_t whole = head + 4 + number_behind("\r\nContent-Length: ", head);
    while (read_.size() < whole) co_await read_some();
    const int status = std::atoi(read_.c_str() + sizeof("HTTP/1.1"));
    answer_ = read_.substr(head + 4, whole - head - 4);
    read_.erase(0, whole);
    co_return status;
  }
  const std::string& answer() const { return answer_; }

 private:
  asio::awaitable<void> read_some() {
    const size_t count =
        co_await socket_.async_read_some(asio::buffer(piece_), asio::use_awaitable);
    read_.append(piece_.data(), count);
  }
  size_t number_behind(std::string_view name, size_t before) const {
    const size_t at = read_.find(name);
    size_t value = 0;
    if (at >= before) return value;
    const char* begin = read_.data() + at + name.size();
    std::from_chars(begin, read_.data() + before, value);
    return value;
  }

  asio::local::stream_protocol::socket socket_;
  std::string path_;
  std::array<char, 4096> piece_;
  std::string read_;
  std::string answer_;
};

std::string spec(const std::string& name, const Options& options) {
  std::string placement;
  if (options.unplaceable) {
    placement = R"(,"Placement":{"Constraints":["node.labels.x==nowhere"]})";
  }
  return R"({"Name":")" + name + R"(","TaskTemplate":{"ContainerSpec":{"Image":"httpd:2.4.34"})" +
         placement + R"(},"Mode":{"Replicated":{"Replicas":)" + (options.unplaceable ? "1" : "0") +
         "}}}";
}

// One client from its first request to the removal of what it made.
asio::awaitable<void> run(Client& client, size_t number, const Options& options, Tally& tally) {
  std::deque<std::string> made;
  while (!tally.over()) {
    std::string name =
        options.prefix + "-" + std::to_string(number) + "-" + std::to_string(made.size());
    const std::string body = spec(name, options);
    const Clock::time_point asked = Clock::now();
    const int status = co_await client.ask("POST", "/services/create", body);
    if (status == 201) {
      tally.answered(asked);
      made.push_back(std::move(name));
    } else {
      tally.failed(std::to_string(status) + " " + client.answer());
      if (status < 500) break;  // it would be refused again, at full speed
    }
  }
  for (const std::string& name : made) {
    const std::string path = "/services/" + name;
    const int status = co_await client.ask("DELETE", path, "");
    if (status != 200) throw std::runtime_error("removing " + name + ": " + client.answer());
  }
}

int measure(const Options& options) {
  asio::io_context loop;
  std::deque<Client> clients;
  for (size_t number = 0; number < options.clients; ++number) {
    clients.emplace_back(loop, options.sockets[number % options.sockets.size()]).connect();
  }
  Tally tally{std::chrono::milliseconds(options.warm_up_ms),
              std::chrono::milliseconds(options.length_ms)};
  for (size_t number = 0; number < options.clients; ++number) {
    asio::co_spawn(loop, run(clients[number], number, options, tally),
                   [](const std::exception_ptr& failure) {
                     if (failure) std::rethrow_exception(failure);
                   });
  }
  loop.run();
  tally.print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("creates services through the Engine API and prints one line of JSON");
  app.add_option("--socket", options.sockets, "of a manager; clients take them in turn")
      ->required();
  app.add_option("--prefix", options.prefix, "of the services' names");
  app.add_option("--clients", options.clients);
  app.add_option("--warm-up-ms", options.warm_up_ms);
  app.add_option("--length-ms", options.length_ms);
  app.add_flag("--unplaceable", options.unplaceable, "one task each, which no node may run");
  CLI11_PARSE(app, argc, argv);
  try {
    return measure(options);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench_service_create: %s\n", failure.what());
    return 1;
  }
}
