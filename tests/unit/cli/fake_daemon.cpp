// HTTP as far as one program speaks it: a head, Content-Length, one exchange for a connection.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/fake_daemon.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace skep::cli::test {
namespace {

std::string unescaped(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Head and body; empty when the client went away before it had said everything.
std::string read_request(int connection) {
  std::string text;
  while (true) {
    const size_t head = text.find("\r\n\r\n");
    if (head != std::string::npos) {
      const size_t length = text.find("Content-Length: ");
      const size_t body = length < head ? std::stoul(text.substr(length + 16)) : 0;
      if (text.size() >= head + 4 + body) return text;
    }
    char bytes[4096];
    const ssize_t got = ::read(connection, bytes, sizeof bytes);
    if (got <= 0) return "";
    text.append(bytes, static_cast<size_t>(got));
  }
}

}  // namespace

FakeDaemon::FakeDaemon() {
  char name[] = "/tmp/skep-fake-daemon-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  folder_ = name;
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/d.sock", name);
  REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener_, 8) == 0);
  thread_ = std::thread([this] { serve(); });
}

FakeDaemon::~FakeDaemon() {
  ::shutdown(listener_, SHUT_RDWR);  // ends accept()
  thread_.join();
  ::close(listener_);
  std::error_code ignored;  // a folder in /tmp that stays is no reason to end the tests
  std::filesystem::remove_all(folder_, ignored);
}

void FakeDaemon::serve() {
  while (true) {
    const int connection = ::accept(listener_, nullptr, nullptr);
    if (connection < 0) return;
    answer_one(connection);
    ::close(connection);
  }
}

void FakeDaemon::answer(const std::string& call, int status, const std::string& body) {
  const std::lock_guard lock(mutex_);
  answers_[call] = Answer{status, body};
}

std::vector<std::string> FakeDaemon::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

std::string FakeDaemon::reply_to(const std::string& request) {
  const std::string method = request.substr(0, request.find(' '));
  std::string target = request.substr(method.size() + 1);
  target.resize(target.find(' '));
  if (target.starts_with("/v1.")) target.erase(0, target.find('/', 1));
  const std::string body = request.substr(request.find("\r\n\r\n") + 4);
  const std::lock_guard lock(mutex_);
  asked_.push_back(method + " " + unescaped(target) + (body.empty() ? "" : " " + body));
  Answer answer{404, R"({"message":"page not found"})"};
  const auto known = answers_.find(method + " " + target.substr(0, target.find('?')));
  if (known != answers_.end()) answer = known->second;
  return "HTTP/1.1 " + std::to_string(answer.status) +
         " Told\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(answer.body.size()) + "\r\nConnection: close\r\n\r\n" + answer.body;
}

void FakeDaemon::answer_one(int connection) {
  const std::string request = read_request(connection);
  if (request.empty()) return;
  const std::string reply = reply_to(request);
  size_t sent = 0;
  while (sent < reply.size()) {
    const ssize_t more = ::send(connection, reply.data() + sent, reply.size() - sent, MSG_NOSIGNAL);
    if (more <= 0) return;
    sent += static_cast<size_t>(more);
  }
}

std::string run_skep(const FakeDaemon& daemon, const std::string& words, const std::string& input) {
  const std::string command = "printf '" + input + "' | '" SKEP_TEST_PROGRAM "' -H " +
                              daemon.host() + " " + words + " 2>&1";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  char bytes[4096];
  while (const size_t got = std::fread(bytes, 1, sizeof bytes, pipe)) text.append(bytes, got);
  const int status = ::pclose(pipe);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) != 0) text += "exit " + std::to_string(WEXITSTATUS(status)) + "\n";
  return text;
}

}  // namespace skep::cli::test
