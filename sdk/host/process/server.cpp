// The one loop that every thread of a helper runs.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/process/server.hpp"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "sdk/host/process/leave.hpp"
#include "sdk/host/process/threads.hpp"

namespace skep::host {
namespace {

constexpr size_t running_max = 32;
constexpr size_t threads_max = running_max + 1;  // and the reader
constexpr int exit_nonsense = 4;

}  // namespace

void receive_frame(int socket, FrameReader& reader, Frame& frame) {
  for (;;) {
    const FrameReader::Next next = reader.next(frame);
    if (next == FrameReader::Next::frame) return;
    if (next == FrameReader::Next::broken) {
      std::fputs("skep-plugin-host: a frame of the host can't be understood\n", stderr);
      _exit(exit_nonsense);
    }
    const std::span<char> room = reader.room();
    const ssize_t count = recv(socket, room.data(), room.size(), 0);
    if (count > 0) {
      reader.received(static_cast<size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      leave(count == 0 ? 0 : errno);
    }
  }
}

Server::Server(int socket, FrameReader reader, std::unique_ptr<Instance> instance, Output& output,
               HostLink& link)
    : socket_(socket),
      reader_(std::move(reader)),
      instance_(std::move(instance)),
      output_(output),
      link_(link) {}

void Server::run() {
  {
    // From the start, so that the reader's place never depends on the memory a driver leaves.
    const std::lock_guard lock(mutex_);
    if (start_thread([this] { serve(); })) ++threads_;
  }
  serve();
}

void Server::serve() {
  Lock lock(mutex_);
  for (;;) {
    // Whoever takes a job makes sure first that somebody reads.
    const bool job_ready = !ready_.empty() && running_ < running_max;
    Follower follower = Follower::none;
    if (job_ready && (reading_ || (follower = find_follower()) != Follower::none)) {
      Job job = std::move(ready_.front());
      ready_.pop_front();
      run_job(lock, std::move(job), follower);
    } else if (!reading_) {
      read_one(lock);
    } else {
      ++idle_;
      wake_.wait(lock);
      --idle_;
    }
  }
}

// Who reads on when this thread does something else.
Server::Follower Server::find_follower() {
  if (idle_ > 0) return Follower::sleeps;
  if (threads_ >= threads_max || !start_thread([this] { serve(); })) return Follower::none;
  ++threads_;
  return Follower::comes;
}

// Lets go of the lock, and then wakes the follower: the other way round it would wake to wait.
void Server::step_down(Lock& lock, Follower follower) {
  lock.unlock();
  if (follower == Follower::sleeps) wake_.notify_one();
}

void Server::read_one(Lock& lock) {
  reading_ = true;
  lock.unlock();
  Frame frame;
  receive_frame(socket_, reader_, frame);
  if (frame.head.kind == FrameKind::call) link_.begin(frame.head.number, frame.head.value);
  lock.lock();
  reading_ = false;
  switch (frame.head.kind) {
    case FrameKind::call:
      return take_call(lock, frame);
    case FrameKind::cancel:
      return cancel(lock, frame.head.number);
    case FrameKind::taken:
      return link_.taken(frame.head.number, frame.head.value);
    case FrameKind::log_level:
      return link_.set_log_level(frame.head.code);
    case FrameKind::end:
      if (ending_) return;  // asked for twice; the first is under way
      end(lock);
    case FrameKind::hello:
    case FrameKind::ready:
    case FrameKind::refused:
    case FrameKind::reply:
    case FrameKind::item:
    case FrameKind::log:
    case FrameKind::metric:
      _exit(exit_nonsense);
  }
}

void Server::take_call(Lock& lock, const Frame& frame) {
  Job job{frame.head.number, std::string(frame.first), static_cast<uint32_t>(frame.head.code),
          std::string(frame.second), std::string(frame.rest)};
  reader_.forget(frame);
  if (!job.key.empty()) {
    const auto [found, first] = held_.try_emplace(job.key);
    if (!first) return found->second.push_back(std::move(job));
  }
  Follower follower = Follower::none;
  if (ready_.empty() && running_ < running_max) follower = find_follower();
  if (follower != Follower::none) return run_job(lock, std::move(job), follower);
  ready_.push_back(std::move(job));
  if (idle_ > 0 && running_ < running_max) wake_.notify_one();
}

void Server::run_job(Lock& lock, Job job, Follower follower) {
  ++running_;
  const bool refused = ending_;
  step_down(lock, follower);
  if (!refused && link_.start(job.number)) {
    const Operation* known = find_operation_at(job.interface, job.offset);
    Operation unknown;
    unknown.interface = job.interface;
    unknown.name = "of a table that this host does not know";
    unknown.offset = job.offset;
    instance_->call(known != nullptr ? *known : unknown, job.number, job.request);
  } else {
    link_.refuse(job.number);
  }
  // Whoever is called forgets the secrets of a request, and so does who calls.
  explicit_bzero(job.request.data(), job.request.size());
  lock.lock();
  --running_;
  if (!job.key.empty()) {
    const auto found = held_.find(job.key);
    if (found->second.empty()) {
      held_.erase(found);
    } else {
      ready_.push_back(std::move(found->second.front()));
      found->second.pop_front();
    }
  }
  if (ending_) quiet_.notify_all();
}

void Server::cancel(Lock& lock, uint64_t number) {
  // Once the end waits for the last of them, all are cancelled, and no hook may begin.
  if (ending_) return;
  const bool begun = link_.cancel(number);
  ++cancelling_;
  // The driver's hook must not block; should it, somebody else reads on, if there is anybody.
  step_down(lock, find_follower());
  if (begun) {
    instance_->cancel(number);
  } else {
    // Not when its turn comes: the host would take a driver that is busy for one that hangs.
    link_.refuse(number);
  }
  lock.lock();
  --cancelling_;
  if (ending_) quiet_.notify_all();
}

void Server::end(Lock& lock) {
  ending_ = true;
  step_down(lock, find_follower());  // who sees the end of a host that loses its patience
  for (const uint64_t number : link_.cancel_all()) instance_->cancel(number);
  link_.wait_until_idle();
  lock.lock();
  quiet_.wait(lock, [this] { return running_ == 0 && cancelling_ == 0 && ready_.empty(); });
  lock.unlock();
  instance_.reset();
  output_.flush();
  _exit(0);
}

}  // namespace skep::host
