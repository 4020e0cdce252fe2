// clone3, a descriptor of the process, and its exit code, which is the errno of statx(2).
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/path_looks.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "daemon/agent/signal.hpp"
#include "sdk/host/pidfd.hpp"
#include "sdk/host/spawner.hpp"

namespace skep::agent {

namespace asio = boost::asio;

namespace {

// In the process that looks: a copy of one that has threads, so locks may be held for ever and
// nothing but system calls may be used, without what the C library or a sanitizer does around them.
// It lets go of all descriptors, so that no socket and no lock of the daemon lives on in it.
[[noreturn]] void look_and_end(const char* path) {
  syscall(SYS_close_range, 0U, ~0U, 0U);
  syscall(SYS_prctl, PR_SET_NAME, "skepd-look", 0L, 0L, 0L);
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0L, 0L, 0L);
  struct statx about {};
  const long missed = syscall(SYS_statx, AT_FDCWD, path, 0, STATX_TYPE, &about);
  for (;;) syscall(SYS_exit_group, missed == 0 ? 0 : errno);
}

// Returns the descriptor of a process that looks at `path`, or -1 with errno. Not fork(): the
// descriptor comes with the process or there is neither, and no handler of a signal is inherited.
int start_process(const char* path) {
  int descriptor = -1;
  clone_args plan{};
  plan.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  plan.pidfd = reinterpret_cast<uint64_t>(&descriptor);
  plan.exit_signal = SIGCHLD;
  const long pid = syscall(SYS_clone3, &plan, sizeof plan);
  if (pid == 0) look_and_end(path);
  return pid < 0 ? -1 : descriptor;
}

void end_process(int descriptor) {
  pidfd_send_signal(descriptor, SIGKILL, nullptr, 0);
  host::reap_later(descriptor);
}

Error not_now(std::string why) {
  return Error{ErrorKind::unavailable, std::move(why)};
}

Result<bool> answer_of(int number) {
  switch (number) {
    case 0:
      return true;
    case ENOENT:
    case ENOTDIR:
      return false;
    case EACCES:
    case ELOOP:
    case ENAMETOOLONG:
      return fail(ErrorKind::invalid, std::strerror(number));
    default:  // the disk's or the server's trouble, which may pass
      return fail(not_now(std::strerror(number)));
  }
}

Result<bool> answer_of_process(int descriptor) {
  siginfo_t end{};
  const bool ended = waitid(P_PIDFD, static_cast<id_t>(descriptor), &end, WEXITED | WNOHANG) == 0;
  if (ended && end.si_code == CLD_EXITED) return answer_of(end.si_status);
  return fail(not_now("the process that looked at it was killed"));
}

}  // namespace

// One process that looks. It stays in the table until it has ended.
struct PathLooks::Look {
  explicit Look(const asio::any_io_executor& loop) : process(loop), ended(loop) {}

  asio::posix::stream_descriptor process;
  std::optional<Result<bool>> answer;
  Signal ended;
};

struct PathLooks::State {
  explicit State(asio::any_io_executor on) : loop(std::move(on)), freed(loop) {}

  asio::any_io_executor loop;
  std::map<std::string, std::shared_ptr<Look>> under_way;  // by path
  Signal freed;
};

PathLooks::PathLooks(asio::any_io_executor loop, std::chrono::milliseconds limit)
    : limit_(limit), state_(std::make_shared<State>(std::move(loop))) {}

PathLooks::~PathLooks() {
  // What waits for their end is told "aborted" by the release, and doesn't touch the table.
  for (const auto& [path, look] : state_->under_way) end_process(look->process.release());
  state_->under_way.clear();
}

Result<std::shared_ptr<PathLooks::Look>> PathLooks::begin(const std::string& path) {
  const int descriptor = start_process(path.c_str());
  if (descriptor < 0) {
    return fail(not_now("can't start to look at it: " + std::string(std::strerror(errno))));
  }
  auto look = std::make_shared<Look>(state_->loop);
  boost::system::error_code refused;
  look->process.assign(descriptor, refused);
  if (refused) {
    end_process(descriptor);
    return fail(not_now("can't wait for a look at it: " + refused.message()));
  }
  state_->under_way[path] = look;
  look->process.async_wait(asio::posix::stream_descriptor::wait_read,
                           [state = state_, look, path](const boost::system::error_code& aborted) {
                             if (aborted) return;
                             look->answer = answer_of_process(look->process.native_handle());
                             state->under_way.erase(path);
                             look->ended.notify();
                             state->freed.notify();
                           });
  return look;
}

asio::awaitable<Result<bool>> PathLooks::exists(std::string path) {
  const auto limit = std::chrono::steady_clock::now() + limit_;
  const auto left = [limit] { return limit - std::chrono::steady_clock::now(); };
  auto& under_way = state_->under_way;
  while (under_way.size() >= kLooksMax && !under_way.contains(path)) {
    if (left() <= left().zero()) {
      co_return fail(not_now("it can't be looked at, because " + std::to_string(kLooksMax) +
                             " other paths do not answer"));
    }
    co_await state_->freed.changed_within(left());
  }
  std::shared_ptr<Look> look;
  if (const auto at = under_way.find(path); at != under_way.end()) {
    look = at->second;
  } else {
    Result<std::shared_ptr<Look>> begun = begin(path);
    if (!begun) co_return fail(std::move(begun).error());
    look = std::move(*begun);
  }
  while (!look->answer && left() > left().zero()) co_await look->ended.changed_within(left());
  if (!look->answer) {
    pidfd_send_signal(look->process.native_handle(), SIGKILL, nullptr, 0);
    co_return fail(not_now("its file system does not answer"));
  }
  co_return *look->answer;
}

}  // namespace skep::agent
