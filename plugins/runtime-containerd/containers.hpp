// The containers of this node: the operations of skep.runtime/1 but for the streams, which are the
// monitor's. All state is containerd's: the request lies in the container record as an extension,
// what became of the process in its shim. The one thing containerd does not keep, the time of the
// start, is a small file in the driver's data folder; without it started_at is merely absent, and
// the reason why an exit status was lost less exact.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime-containerd/config.hpp"
#include "runtime-containerd/image_store.hpp"
#include "runtime-containerd/leases.hpp"
#include "runtime-containerd/monitor.hpp"
#include "runtime-containerd/pending.hpp"
#include "runtime-containerd/record.hpp"
#include "runtime-containerd/rpc.hpp"

namespace containerd::v1::types {
class Process;
}

namespace skep::containerd {

using ProcessRecord = ::containerd::v1::types::Process;

inline constexpr int task_timeout_ms = 120'000;  // shim and runc, on a machine that is overloaded

// Each method is the operation of the same name in runtime.h; those that block are for host
// threads.
class Containers {
 public:
  Containers(Rpc& rpc, const Config& config, Leases& leases, ImageStore& images, Monitor& monitor);

  sdk::json create(const sdk::json& request);
  sdk::json start(const sdk::json& request);
  void wait(HeldPtr held);
  void stop(HeldPtr held);
  sdk::json signal(const sdk::json& request);
  sdk::json remove(const sdk::json& request);
  sdk::json inspect(const sdk::json& request);
  sdk::json list();
  sdk::json stats(const sdk::json& request);
  // Throws Failure(SKEP_E_NOTFOUND) when it does not exist.
  void restore(const std::string& id);
  // Deletes snapshots and leases of this node that no container and no create in flight needs.
  void clean_up();

  // The record of one of ours. Throws Failure(SKEP_E_NOTFOUND) "No such container: ID". Blocks.
  ContainerRecord record(const std::string& id);

 private:
  struct Draft;  // a container on its way into being

  std::optional<sdk::json> existing(const sdk::json& request);
  // One try; nothing when it found, and removed, what an earlier one had left half made.
  std::optional<sdk::json> create_unless_remains(const sdk::json& request);
  void prepare_snapshot(Draft& draft);
  void populate_mounts(const Draft& draft);
  void create_record(Draft& draft);
  void create_task(Draft& draft);
  void undo(const Draft& draft);
  std::string log_uri(const sdk::json& request) const;
  void delete_task(const std::string& id, bool force);
  void delete_snapshot(const std::string& id);
  bool delete_own_snapshot(const std::string& id);
  std::vector<std::string> own_snapshots();
  bool has_task(const std::string& id);
  // Waits until containerd has taken away what interrupted creates of these began, and kills shims
  // that it has lost sight of.
  void await_cleaning(const std::set<std::string>& ids);
  sdk::json describe(const ContainerRecord& record, const ProcessRecord* process) const;
  void await_end(HeldPtr held, const std::string& id, int timeout_ms,
                 std::function<void()> on_timeout);
  void kill_then_await(HeldPtr held, const std::string& id);
  // "TIME LIFE": when it was started, and in which life of the machine.
  std::filesystem::path start_file(const std::string& id) const;
  std::string started_at(const std::string& id) const;  // empty when it isn't known
  // Why the exit status of a container without a task is not known.
  std::string lost_reason(const std::string& id) const;

  Rpc& rpc_;
  const Config& config_;
  Leases& leases_;
  ImageStore& images_;
  Monitor& monitor_;
  std::mutex mutex_;
  std::set<std::string> creating_;  // guarded by mutex_
};

}  // namespace skep::containerd
