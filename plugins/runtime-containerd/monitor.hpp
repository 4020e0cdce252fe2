// The driver's one subscription to containerd's task events, and what follows from whether it
// stands: the health that fingerprint() tells, the events() streams, and the "gap" that asks the
// host to list again. containerd does not say when a subscription has begun, so the monitor
// publishes an event of its own and takes its return for the proof; only then does it tell
// "healthy" and the gap. When the connection breaks it tries again for ever, with a bounded and
// jittered pause.
//
// Events of containers that are not ours are dropped: the set of our ids is filled by create and,
// after each reconnect, by a listing that ends before the gap is told.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "runtime-containerd/config.hpp"
#include "runtime-containerd/pending.hpp"
#include "runtime-containerd/rpc.hpp"

namespace skep::containerd {

class Monitor {
 public:
  // `log` gets a line on each change of health.
  Monitor(Rpc& rpc, const Config& config, std::function<void(int, std::string)> log);

  // Begins to connect. Once.
  void begin();
  // Adds a stream; it gets its first item at once (fingerprint) or when the subscription stands
  // (events). [any-thread]
  void add_fingerprint(HeldPtr held);
  void add_events(HeldPtr held);
  // From now on this container's events are ours; before its task is made. [any-thread]
  void own(const std::string& id);
  // After its remains are gone. Its delete event, which comes later, still passes.
  void disown(const std::string& id);

  struct Health {
    bool healthy = false;
    std::string reason;
    std::string version;
  };
  Health health() const;

 private:
  enum class Stage { none, created, started, exited, deleted };

  void connect();
  void subscribe();
  void publish_proof(int attempt);
  void on_envelope(std::string_view bytes);
  void on_standing();
  void on_broken(const std::string& reason);
  void set_health(bool healthy, const std::string& reason);
  void on_task_event(const std::string& topic, const std::string& bytes, const std::string& time);
  // Drops repetitions, fills in a missing start; false when the event is to be dropped.
  bool advance(const std::string& id, Stage stage, const std::string& time);
  void tell(sdk::json item);
  sdk::json fingerprint_item() const;  // requires mutex_

  Rpc& rpc_;
  const Config& config_;
  std::function<void(int, std::string)> log_;

  mutable std::mutex mutex_;
  Health health_;
  std::vector<HeldPtr> fingerprints_;
  std::vector<HeldPtr> events_;
  std::set<std::string> own_;
  std::map<std::string, Stage> stages_;
  std::deque<std::string> deleted_;  // the ids in stages_ that are over, the oldest first
  uint64_t seq_ = 0;

  // Of the callback thread alone.
  std::minstd_rand random_;
  int failures_ = 0;
  uint64_t generation_ = 0;
  bool standing_ = false;
  std::string proof_topic_;
  CallHandlePtr subscription_;
};

}  // namespace skep::containerd
