// Containers on this node, typed: the documents of skep/runtime.h as structs, its operations as
// coroutines.
//
// This is translation and nothing else: no retry, no policy, no state. Which operation takes which
// key (and so which ones wait for each other) and how long each may take stands in
// runtime_driver.cpp. Optional members mirror "may be absent" of the contract; an empty vector or
// map is absent as well, except where `optional` tells the difference.
//
// All calls: on the loop. Errors: the driver's own; ErrorKind::unimplemented when it lacks the
// operation. A stream ends when the coroutine is cancelled (ErrorKind::cancelled) or the driver is
// gone; the caller opens it again.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/restore_plan.hpp"

namespace skep::drivers {

class Plugin;

struct Ulimit {
  std::string name;
  int64_t soft = 0;
  int64_t hard = 0;
  bool operator==(const Ulimit&) const = default;
};

struct ContainerMount {
  enum class Type : uint8_t { bind, tmpfs };
  Type type = Type::bind;
  std::string source;  // a bind's path on the node
  std::string target;
  bool read_only = false;
  bool populate = false;   // an empty source first gets what the image has at the target
  std::string volume{};    // whose path the source is; the driver keeps it and does nothing with it
  int64_t size_bytes = 0;  // of a tmpfs; 0: no limit
  int64_t mode = 0;        // of a tmpfs's root; 0: 1777
  bool operator==(const ContainerMount&) const = default;
};

// What create() makes. Times are milliseconds or RFC 3339 text, sizes bytes.
struct ContainerRequest {
  std::string id;                                   // 64 hex, chosen by us
  std::string image;                                // fully qualified reference or image id
  std::optional<std::vector<std::string>> command;  // replaces the image's entrypoint and its cmd
  std::optional<std::vector<std::string>> args;     // replaces the image's cmd
  std::vector<std::string> env;                     // "K=V", over the image's
  std::string working_dir;
  std::string user;
  std::vector<std::string> groups;
  std::string hostname;
  bool tty = false;
  bool stdin_open = false;
  bool read_only = false;
  bool init = false;
  bool privileged = false;
  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  std::map<std::string, std::string> sysctls;
  std::vector<Ulimit> ulimits;
  std::optional<int64_t> oom_score_adj;
  std::string netns;          // path; made by the caller
  std::string cgroup_parent;  // "/skep/NODE"
  int64_t nano_cpus = 0;      // 0: no limit, also below
  int64_t memory_bytes = 0;
  int64_t pids = 0;
  std::vector<ContainerMount> mounts;
  std::map<std::string, std::string> labels;
  std::string log_dir;
  int64_t log_max_bytes = 0;
  int64_t log_max_files = 0;
  bool operator==(const ContainerRequest&) const = default;
};

struct CreatedContainer {
  std::string handle;  // opaque JSON text, for its RestorePlan
  std::string image_id;
};

struct StartedContainer {
  int64_t pid = 0;
  std::string started_at;
};

struct ContainerExit {
  int64_t exit_code = 0;
  std::string finished_at;
  bool oom_killed = false;
  std::string lost;  // why nobody knows how it ended; empty: the exit code is the real one
};

struct ContainerState {
  enum class State : uint8_t { created, running, paused, stopped };
  std::string id;
  ContainerRequest spec;  // as it was given to create()
  std::string image;
  std::string image_id;
  State state = State::created;
  int64_t pid = 0;  // 0: none
  std::optional<int64_t> exit_code;
  bool oom_killed = false;
  std::string created_at;
  std::string started_at;   // empty: never
  std::string finished_at;  // empty: never
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string working_dir;
  std::string user;
};

struct ContainerStats {
  std::string id;
  int64_t memory_bytes = 0;
  int64_t cpu_ns = 0;
  int64_t pids = 0;
};

struct RuntimeHealth {
  bool healthy = false;
  std::string reason;
  std::string name;  // "containerd"
  std::string version;
  std::string runtime_version;
};

struct RuntimeEvent {
  enum class Type : uint8_t { created, started, oom, exited, deleted, gap };
  uint64_t seq = 0;
  Type type = Type::gap;  // gap: events may be lost, list again
  std::string id;         // empty with gap
  std::string exec_id;    // empty: of the container itself
  std::optional<int64_t> exit_code;
  std::string time;
};

struct ExecRequest {
  std::string id;       // the container
  std::string exec_id;  // 64 hex, chosen by us
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string user;
  std::string working_dir;
  bool tty = false;
  bool privileged = false;
  std::string stdin_fifo;  // paths of FIFOs made by the caller; empty: none
  std::string stdout_fifo;
  std::string stderr_fifo;
  int64_t rows = 0;  // 0: not told
  int64_t columns = 0;
};

struct ImageInfo {
  std::string id;  // "sha256:.."
  std::vector<std::string> tags;
  std::vector<std::string> digests;
  std::string created_at;
  int64_t size = 0;
  std::string architecture;
  std::string os;
  std::string config;  // the image's OCI config object as JSON text
  std::vector<std::string> layers;
};

struct RegistryAuth {
  std::string username;
  std::string password;
  std::string server_address;
  std::string identity_token;
};

struct PullProgress {
  std::string layer;
  std::string status;
  int64_t current = 0;
  int64_t total = 0;
};

struct RemovedImage {
  std::vector<std::string> untagged;
  std::vector<std::string> deleted;
};

class RuntimeDriver {
 public:
  template <class T>
  using Reply = boost::asio::awaitable<Result<T>>;

  // `plugin` must outlive this object.
  explicit RuntimeDriver(Plugin& plugin);
  virtual ~RuntimeDriver() = default;
  RuntimeDriver(const RuntimeDriver&) = delete;
  RuntimeDriver& operator=(const RuntimeDriver&) = delete;

  // Streams: on_item runs on the loop, in order. They end only by cancellation or an error.
  virtual Reply<void> fingerprint(std::function<void(RuntimeHealth)> on_item);
  virtual Reply<void> events(std::function<void(RuntimeEvent)> on_item);

  virtual Reply<CreatedContainer> create(ContainerRequest request);
  virtual Reply<StartedContainer> start(std::string id);
  virtual Reply<ContainerExit> wait(std::string id);  // no deadline
  // Empty `signal`: the image's own. Returns when it has stopped; killed after `grace_ms`.
  virtual Reply<void> stop(std::string id, std::string signal, int64_t grace_ms);
  virtual Reply<void> signal(std::string id, std::string signal);
  virtual Reply<void> remove(std::string id, bool force);
  virtual Reply<ContainerState> inspect(std::string id);
  virtual Reply<std::vector<ContainerState>> list();
  virtual Reply<std::vector<ContainerStats>> stats(std::vector<std::string> ids);

  virtual Reply<void> exec_create(ExecRequest request);
  virtual Reply<int64_t> exec_start(std::string id, std::string exec_id);  // -> pid
  virtual Reply<void> exec_resize(std::string id, std::string exec_id, int64_t rows,
                                  int64_t columns);
  virtual Reply<int64_t> exec_wait(std::string id,
                                   std::string exec_id);  // -> exit code; no deadline
  virtual Reply<void> exec_close_stdin(std::string id, std::string exec_id);
  virtual Reply<void> exec_signal(std::string id, std::string exec_id, std::string signal);

  // `on_progress` may be empty. No deadline: cancel the coroutine to give up.
  virtual Reply<ImageInfo> image_pull(std::string reference, std::optional<RegistryAuth> auth,
                                      std::function<void(PullProgress)> on_progress);
  virtual Reply<ImageInfo> image_inspect(std::string reference_or_id);
  virtual Reply<std::vector<ImageInfo>> image_list();
  virtual Reply<RemovedImage> image_remove(std::string reference_or_id, bool force);

  // skep.base/1: tells the driver about a container that existed before a restart, and ends that
  // phase.
  // Registers who knows the objects and restores them, now and whenever the driver was started
  // anew (daemon/drivers/restore_plan.hpp).
  virtual Reply<void> restore_from(RestoreSource source);
  virtual void forget_source();
  // skep.base/1 restore_done, when the plan did not know yet what there is.
  virtual Reply<void> restore_done(std::vector<std::string> ids);

 protected:
  // For a stand-in that overrides every operation (tests of the rooms above).
  RuntimeDriver() = default;

 private:
  Plugin* plugin_ = nullptr;
};

}  // namespace skep::drivers
