// A daemon for tests of commands: it notes what it is asked and answers what it was given.
//
// One thread of its own, one connection at a time, on a socket in a folder that goes with it. What
// it has no answer to is 404, with Docker's sentence.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace skep::cli::test {

class FakeDaemon {
 public:
  FakeDaemon();
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  // For --host.
  std::string host() const { return "unix://" + folder_ + "/d.sock"; }

  // `call` is "POST /volumes/prune": without version and query.
  void answer(const std::string& call, int status, const std::string& body);
  // "POST /volumes/prune?filters={...} BODY", without version and unescaped.
  std::vector<std::string> asked() const;

 private:
  void serve();
  void answer_one(int connection);
  std::string reply_to(const std::string& request);

  struct Answer {
    int status = 0;
    std::string body;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Answer> answers_;
  std::vector<std::string> asked_;
  std::string folder_;
  int listener_ = -1;
  std::thread thread_;
};

// What the program printed, on either stream, and "exit N" behind it if it isn't 0. `input` is what
// it reads. `words` are quoted as for a shell.
std::string run_skep(const FakeDaemon& daemon, const std::string& words,
                     const std::string& input = "");

}  // namespace skep::cli::test
