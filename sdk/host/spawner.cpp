// posix_spawn, which costs the same however large the host is, on a thread that never ends.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/spawner.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "sdk/host/pidfd.hpp"

namespace skep::host {
namespace {

constexpr int first_unused = 5;     // descriptors of a child from here on are closed
constexpr int out_of_the_way = 10;  // above what a child's descriptors are called

tl::unexpected<Error> failed(const ChildPlan& plan, int number) {
  return fail(number == ENOENT ? ErrorKind::not_found : ErrorKind::internal,
              "the helper program " + plan.program + " can't be started (" + std::strerror(number) +
                  "); install it again");
}

// What posix_spawn is told, freed at the end of the scope.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  }
  ~SpawnPlan() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void give(int own, int theirs) { posix_spawn_file_actions_adddup2(&actions_, own, theirs); }
  int run(pid_t& pid, const ChildPlan& plan) {
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions_, first_unused);
    std::string program = plan.program;
    std::string name = plan.name;
    std::array<char*, 3> arguments = {program.data(), name.data(), nullptr};
    return posix_spawn(&pid, plan.program.c_str(), &actions_, &attributes_, arguments.data(),
                       environ);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

bool is_gone(int pidfd) {
  siginfo_t info{};
  return waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) != 0 ||
         info.si_pid != 0;
}

class Spawner {
 public:
  Spawner() : thread_([this] { serve(); }) {}

  Result<Child> spawn(const ChildPlan& plan) {
    Order order{plan, std::nullopt};
    std::unique_lock lock(mutex_);
    orders_.push_back(&order);
    changed_.notify_all();
    changed_.wait(lock, [&order] { return order.child.has_value(); });
    return std::move(*order.child);
  }

  void reap(int pidfd) {
    const std::lock_guard lock(mutex_);
    dying_.push_back(pidfd);
    changed_.notify_all();
  }

 private:
  struct Order {
    const ChildPlan& plan;
    std::optional<Result<Child>> child;
  };

  // Tries those that do not end ten times a second.
  [[noreturn]] void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      std::erase_if(dying_, [](int pidfd) { return is_gone(pidfd) && close(pidfd) == 0; });
      if (!orders_.empty()) {
        Order& order = *orders_.front();
        orders_.pop_front();
        lock.unlock();
        Result<Child> child = spawn_child_here(order.plan);
        lock.lock();
        order.child = std::move(child);
        changed_.notify_all();
      } else if (dying_.empty()) {
        changed_.wait(lock);
      } else {
        changed_.wait_for(lock, std::chrono::milliseconds(100));
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Order*> orders_;
  std::vector<int> dying_;  // descriptors of processes that were killed
  std::thread thread_;
};

// Never destroyed: the helpers die with its thread, and that dies with the process.
Spawner& the_spawner() {
  static auto* const spawner = new Spawner;
  return *spawner;
}

}  // namespace

Result<Child> spawn_child_here(const ChildPlan& plan) {
  // Copies out of the way of 0 to 4, so that giving one away can't overwrite another.
  const std::array<int, 3> own = {plan.socket, plan.file, plan.output};
  std::array<int, 3> copies{};
  int number = 0;
  for (size_t index = 0; index < own.size(); ++index) {
    copies.at(index) = fcntl(own.at(index), F_DUPFD_CLOEXEC, out_of_the_way);
    if (copies.at(index) < 0) number = errno;
  }
  Child child;
  if (number == 0) {
    SpawnPlan spawn;
    spawn.give(copies[2], 1);
    spawn.give(copies[2], 2);
    spawn.give(copies[0], 3);
    spawn.give(copies[1], 4);
    number = spawn.run(child.pid, plan);
  }
  for (const int copy : copies) {
    if (copy >= 0) close(copy);
  }
  if (number != 0) return failed(plan, number);
  child.pidfd = pidfd_open(child.pid, 0);
  if (child.pidfd < 0) {
    number = errno;
    ::kill(child.pid, SIGKILL);
    waitpid(child.pid, nullptr, 0);
    return failed(plan, number);
  }
  return child;
}

Result<Child> spawn_child(const ChildPlan& plan) {
  return the_spawner().spawn(plan);
}

void reap_later(int pidfd) {
  if (is_gone(pidfd)) {
    close(pidfd);
  } else {
    the_spawner().reap(pidfd);
  }
}

}  // namespace skep::host
