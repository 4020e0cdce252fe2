// HTTP/1.1 on one socket, by Beast: the only file that knows it.
//
// A request's body is read whole (bounded) before its handler runs, also the one that is a file.
// What the client sent beyond the body stays in the buffer; it is the next request,
// or, after a hijack, standard input. That a client has gone for good (not merely shut its sending
// side) shows as a hang-up on the socket, which `async_wait(wait_error)` reports.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/connection.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "daemon/api/docker_json/docker_json.hpp"

namespace skep::api {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Socket = asio::local::stream_protocol::socket;

constexpr uint64_t kBodyMax = 4 * 1024 * 1024;  // the largest spec is far below
// A snapshot of the whole cluster: a million tasks take about half of it.
constexpr uint64_t kRestoreMax = 1024 * 1024 * 1024;
constexpr std::string_view kRestorePath = "/skep/v1/snapshot/restore";
constexpr uint32_t kHeaderMax = 64 * 1024;        // filters travel in the request line
constexpr uint64_t kDrainMax = 64 * 1024 * 1024;  // read and dropped so that a 413 is seen
constexpr size_t kRawRead = 32 * 1024;            // one piece of a hijacked stream

class HttpConnection final : public Connection, public Exchange {
 public:
  HttpConnection(Socket socket, const Dispatcher& dispatcher, Context& context)
      : socket_(std::move(socket)), dispatcher_(dispatcher), context_(context) {}

  asio::awaitable<void> run() override;
  void close() override {
    error_code ignored;  // closing twice is fine
    socket_.close(ignored);
  }

  asio::awaitable<bool> begin_stream(int status, std::string content_type) override;
  asio::awaitable<bool> write(std::string bytes) override;
  asio::awaitable<bool> hijack(std::string content_type) override;
  asio::awaitable<std::optional<std::string>> read_raw() override;
  asio::awaitable<bool> write_raw(std::string bytes) override;
  asio::awaitable<bool> until_gone(asio::awaitable<void> work) override;
  asio::awaitable<void> until_first_ends(asio::awaitable<void> output,
                                         asio::awaitable<void> input) override;

 private:
  using Parser = http::request_parser<http::string_body>;

  asio::awaitable<bool> serve_one();
  asio::awaitable<bool> read_request(Parser& parser);
  asio::awaitable<void> refuse(const error_code& error);
  asio::awaitable<bool> send(Response response, bool is_head);
  asio::awaitable<void> end_stream();
  asio::awaitable<void> wait_until_gone();
  asio::awaitable<void> run_then_wait(asio::awaitable<void> work);

  template <class Message>
  void add_common_headers(Message& message) const;

  Socket socket_;
  beast::flat_buffer buffer_;
  const Dispatcher& dispatcher_;
  Context& context_;

  // Of the request being answered.
  unsigned http_version_ = 11;
  bool keep_alive_ = true;
  bool upgrade_ = false;
  bool streaming_ = false;
  bool chunked_ = false;
  bool hijacked_ = false;
};

template <class Message>
void HttpConnection::add_common_headers(Message& message) const {
  message.set("Api-Version", kApiVersion);
  message.set("Docker-Experimental", "false");
  message.set("Ostype", "linux");
  message.set("Builder-Version", "1");  // "2" would make clients look for BuildKit
  message.set("Swarm", swarm_header(context_.control.membership()));
  message.set(http::field::server, "skep/" + context_.options.version + " (linux)");
}

asio::awaitable<void> HttpConnection::run() {
  try {
    while (socket_.is_open() && co_await serve_one()) {
    }
  } catch (const boost::system::system_error&) {
    // The socket broke or was closed under us: nobody is left to tell.
  }
  error_code ignored;  // the peer may have gone first
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
}

// False when the connection must end.
asio::awaitable<bool> HttpConnection::serve_one() {
  Parser parser;
  parser.body_limit(kRestoreMax);  // until it is known what is asked
  parser.header_limit(kHeaderMax);
  if (!co_await read_request(parser)) co_return false;
  http::request<http::string_body>& message = parser.get();
  http_version_ = message.version();
  keep_alive_ = message.keep_alive();
  upgrade_ = beast::iequals(message[http::field::upgrade], "tcp");
  streaming_ = hijacked_ = false;

  Request request;
  request.method = std::string(message.method_string());
  request.registry_auth = std::string(message["X-Registry-Auth"]);
  request.wants_upgrade = upgrade_;
  request.body = std::move(message.body());
  const bool is_head = message.method() == http::verb::head;
  const std::string target(message.target());
  Exchange& exchange = *this;
  Response response = co_await dispatcher_.answer(context_, std::move(request), target, exchange);
  if (hijacked_) co_return false;
  if (streaming_) {
    co_await end_stream();
    co_return keep_alive_;
  }
  if (response.already_sent) co_return false;
  co_return co_await send(std::move(response), is_head) && keep_alive_;
}

asio::awaitable<bool> HttpConnection::read_request(Parser& parser) {
  error_code error;
  co_await http::async_read_header(socket_, buffer_, parser,
                                   asio::redirect_error(asio::use_awaitable, error));
  if (!error && !parser.get().target().starts_with(kRestorePath)) {
    parser.body_limit(kBodyMax);
    if (parser.content_length().value_or(0) > kBodyMax) error = http::error::body_limit;
  }
  if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(socket_, asio::buffer(go_on),
                               asio::redirect_error(asio::use_awaitable, error));
  }
  if (!error) {
    co_await http::async_read(socket_, buffer_, parser,
                              asio::redirect_error(asio::use_awaitable, error));
  }
  if (!error) co_return true;
  if (error == http::error::end_of_stream || error.category() == asio::error::get_system_category())
    co_return false;
  co_await refuse(error);
  co_return false;
}

asio::awaitable<void> HttpConnection::refuse(const error_code& error) {
  Error told{ErrorKind::invalid, "not an HTTP request: " + error.message()};
  const bool too_large = error == http::error::body_limit;
  if (too_large) told = {ErrorKind::too_large, "the request's body is larger than 4 MiB"};
  if (error == http::error::header_limit) {
    told = {ErrorKind::too_large, "the request's header is larger than 64 KiB"};
  }
  keep_alive_ = false;
  Response response = error_response(told);
  if (!co_await send(std::move(response), false) || !too_large) co_return;
  // A client that is still sending would see its pipe break instead of our sentence.
  error_code ended;
  socket_.shutdown(Socket::shutdown_send, ended);
  std::string dropped(kRawRead, '\0');
  for (uint64_t total = 0; total < kDrainMax && !ended;) {
    total += co_await socket_.async_read_some(asio::buffer(dropped),
                                              asio::redirect_error(asio::use_awaitable, ended));
  }
}

asio::awaitable<bool> HttpConnection::send(Response response, bool is_head) {
  http::response<http::string_body> message(static_cast<http::status>(response.status), 11);
  add_common_headers(message);
  if (!response.content_type.empty()) {
    message.set(http::field::content_type, response.content_type);
  }
  message.keep_alive(keep_alive_);
  const bool bodiless = response.status == 204 || response.status == 304;
  if (!bodiless) message.content_length(is_head ? 0 : response.body.size());
  if (!is_head && !bodiless) message.body() = std::move(response.body);
  error_code error;
  co_await http::async_write(socket_, message, asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<bool> HttpConnection::begin_stream(int status, std::string content_type) {
  http::response<http::empty_body> message(static_cast<http::status>(status), 11);
  add_common_headers(message);
  message.set(http::field::content_type, content_type);
  // HTTP/1.0 knows no chunks: there the end of the connection is the end of the answer.
  chunked_ = http_version_ >= 11;
  keep_alive_ = keep_alive_ && chunked_;
  message.keep_alive(keep_alive_);
  message.chunked(chunked_);
  streaming_ = true;
  http::response_serializer<http::empty_body> serializer(message);
  error_code error;
  co_await http::async_write_header(socket_, serializer,
                                    asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<bool> HttpConnection::write(std::string bytes) {
  if (bytes.empty()) co_return true;  // an empty chunk would end the stream
  error_code error;
  if (chunked_) {
    const auto chunk = http::make_chunk(asio::buffer(bytes));
    co_await asio::async_write(socket_, chunk, asio::redirect_error(asio::use_awaitable, error));
  } else {
    co_await asio::async_write(socket_, asio::buffer(bytes),
                               asio::redirect_error(asio::use_awaitable, error));
  }
  if (error) keep_alive_ = false;
  co_return !error;
}

asio::awaitable<void> HttpConnection::end_stream() {
  if (!chunked_) co_return;
  error_code error;
  const auto last = http::make_chunk_last();
  co_await asio::async_write(socket_, last, asio::redirect_error(asio::use_awaitable, error));
  if (error) keep_alive_ = false;
}

asio::awaitable<bool> HttpConnection::hijack(std::string content_type) {
  hijacked_ = true;
  keep_alive_ = false;
  http::response<http::empty_body> message(
      upgrade_ ? http::status::switching_protocols : http::status::ok, 11);
  if (upgrade_) {
    message.reason("UPGRADED");
    message.set(http::field::connection, "Upgrade");
    message.set(http::field::upgrade, "tcp");
  }
  message.set(http::field::content_type, content_type);
  add_common_headers(message);
  http::response_serializer<http::empty_body> serializer(message);
  error_code error;
  co_await http::async_write_header(socket_, serializer,
                                    asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<std::optional<std::string>> HttpConnection::read_raw() {
  if (buffer_.size() > 0) {
    const asio::const_buffer left = buffer_.cdata();
    std::string bytes(static_cast<const char*>(left.data()), left.size());
    buffer_.consume(left.size());
    co_return bytes;
  }
  std::string bytes(kRawRead, '\0');
  error_code error;
  const size_t count = co_await socket_.async_read_some(
      asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return std::nullopt;
  bytes.resize(count);
  co_return bytes;
}

asio::awaitable<bool> HttpConnection::write_raw(std::string bytes) {
  error_code error;
  co_await asio::async_write(socket_, asio::buffer(bytes),
                             asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<void> HttpConnection::wait_until_gone() {
  error_code error;  // a closed socket is gone too
  co_await socket_.async_wait(Socket::wait_error, asio::redirect_error(asio::use_awaitable, error));
}

asio::awaitable<bool> HttpConnection::until_gone(asio::awaitable<void> work) {
  using namespace asio::experimental::awaitable_operators;
  const auto ended = co_await (std::move(work) || wait_until_gone());
  if (ended.index() != 0) keep_alive_ = false;
  co_return ended.index() == 0;
}

asio::awaitable<void> HttpConnection::run_then_wait(asio::awaitable<void> work) {
  co_await std::move(work);
  co_await wait_until_gone();
}

asio::awaitable<void> HttpConnection::until_first_ends(asio::awaitable<void> output,
                                                       asio::awaitable<void> input) {
  using namespace asio::experimental::awaitable_operators;
  co_await (std::move(output) || run_then_wait(std::move(input)));
}

}  // namespace

std::unique_ptr<Connection> Connection::make(Socket socket, const Dispatcher& dispatcher,
                                             Context& context) {
  return std::make_unique<HttpConnection>(std::move(socket), dispatcher, context);
}

}  // namespace skep::api
