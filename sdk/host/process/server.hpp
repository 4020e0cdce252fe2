// The threads of a helper, and who of them does what.
//
// Leader and followers: at each moment at most one thread reads from the host. The one that has
// read a call steps down, wakes a follower to read on, and runs the call itself. So a call costs
// the host and the helper one wake-up each, and no hand-over in between; and however many calls
// hang in the driver, there is a reader: the thread that would have been the last runs nothing, its
// calls queue. So `cancel`, `end` and the end of the host are always seen.
//
// Calls of one key come one after the other: while one runs, those behind it are set aside and
// occupy no thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "sdk/host/instance.hpp"
#include "sdk/host/process/link.hpp"
#include "sdk/host/wire.hpp"

namespace skep::host {

class Server {
 public:
  // `reader` may hold frames already.
  Server(int socket, FrameReader reader, std::unique_ptr<Instance> instance, Output& output,
         HostLink& link);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until the host is gone or has asked for the end; the process ends from here.
  [[noreturn]] void run();

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct Job {
    uint64_t number = 0;
    std::string interface;
    uint32_t offset = 0;
    std::string key;
    std::string request;
  };

  [[noreturn]] void serve();
  void read_one(Lock& lock);
  void take_call(Lock& lock, const Frame& frame);
  enum class Follower : uint8_t { none, sleeps, comes };
  Follower find_follower();
  void step_down(Lock& lock, Follower follower);
  void run_job(Lock& lock, Job job, Follower follower);
  void cancel(Lock& lock, uint64_t number);
  [[noreturn]] void end(Lock& lock);

  const int socket_;
  FrameReader reader_;  // of the thread that reads
  std::unique_ptr<Instance> instance_;
  Output& output_;
  HostLink& link_;

  std::mutex mutex_;
  std::condition_variable wake_;   // the reader's place is free, or a job is ready
  std::condition_variable quiet_;  // a job has ended
  std::deque<Job> ready_;
  std::unordered_map<std::string, std::deque<Job>> held_;  // a key that runs -> its jobs to come
  bool reading_ = false;
  bool ending_ = false;
  size_t running_ = 0;
  size_t cancelling_ = 0;  // threads in the driver's hook, which needs the instance too
  size_t idle_ = 0;
  size_t threads_ = 1;
};

// Receives until a frame is whole. The process ends when the host is gone or talks nonsense.
void receive_frame(int socket, FrameReader& reader, Frame& frame);

}  // namespace skep::host
