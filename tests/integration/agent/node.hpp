// A whole node but for its managers: a containerd of its own, both drivers, the agent.
//
// The program has moved into a network and a mount namespace of its own before this is made, so
// nothing it does shows on the machine, and what a failed test leaves mounted goes with it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/agent/agent.hpp"
#include "daemon/drivers/driver_set.hpp"

namespace skep::agent::test {

inline constexpr const char* kImage = "docker.io/library/tiny:1";

class Node {
 public:
  Node();
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void start_containerd();
  void kill_containerd();
  void start_agent();
  void stop_agent();
  bool until(const std::function<bool()>& fact);
  template <class T>
  T run(boost::asio::awaitable<T> body) {
    std::optional<T> result;
    std::exception_ptr failure;
    boost::asio::co_spawn(loop, std::move(body), [&](std::exception_ptr error, T value) {
      failure = error;
      result.emplace(std::move(value));
    });
    until([&] { return result.has_value(); });
    if (failure) std::rethrow_exception(failure);
    return std::move(result.value());
  }

  AssignedTask task(uint64_t number, const std::string& script) const;
  void assign(std::vector<AssignedTask> tasks);
  model::TaskStatus last(const AssignedTask& task) const;
  bool is(const AssignedTask& task, model::TaskState state);
  // Output of a shell command, without the last newline.
  static std::string shell(const std::string& command);
  std::string ctr() const { return "ctr -a " + folder + "/c.sock -n k8s.io "; }

  std::string folder;
  boost::asio::io_context loop{1};
  std::unique_ptr<drivers::DriverSet> drivers;
  std::unique_ptr<Agent> agent;
  std::vector<TaskReport> reports;

 private:
  pid_t containerd_ = -1;
};

}  // namespace skep::agent::test
