// The containers and images of this node, as the Engine API needs them.
//
// Lists and lookups answer from a table in memory that follows the runtime's events, so `docker ps`
// never waits for a driver. Actions go to the runtime driver. All on the daemon's loop.
//
// Errors: an unknown container is not_found "No such container: X"; a state that forbids the action
// is conflict; a runtime that is away is unavailable and names it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::agent {

namespace asio = boost::asio;

enum class ContainerState : uint8_t { created, running, paused, exited, dead };

struct ContainerNetwork {
  std::string name;  // "bridge"
  std::string network_id;
  std::string endpoint_id;
  std::string address;  // without the prefix length
  int prefix_length = 0;
  std::string gateway;
  std::string mac;
};

// What a container has mounted.
struct ContainerMount {
  model::MountType type = model::MountType::bind;
  std::string name;    // of a volume
  std::string source;  // path on the node; empty: memory, or not known
  std::string target;
  std::string driver;  // of a volume
  bool read_only = false;
};

struct Container {
  std::string id;        // 64 hex
  std::string name;      // task name, "web.1.TASKID"
  std::string image;     // reference as in the spec
  std::string image_id;  // sha256:...
  model::Labels labels;  // user's and com.docker.swarm.*
  model::ContainerSpec spec;
  std::optional<model::Resources> limits;
  std::vector<std::string> argv;  // what really runs
  std::vector<std::string> env;
  std::string working_dir;
  std::string user;
  std::string stop_signal;
  ContainerState state = ContainerState::created;
  int64_t pid = 0;
  int64_t exit_code = 0;
  bool oom_killed = false;
  std::string error;
  model::WallTime created_at;
  model::WallTime started_at;
  model::WallTime finished_at;
  std::string log_path;  // the JSON lines file now written
  std::vector<ContainerNetwork> networks;
  std::vector<ContainerMount> mounts;
};

struct LogLine {
  model::WallTime time;
  bool is_stderr = false;
  std::string text;  // with its newline, unless the line was split
};

struct LogQuery {
  bool out = true;
  bool err = true;
  bool follow = false;
  std::optional<uint64_t> tail;  // absent: all
  model::WallTime since;
  model::WallTime until;
};

struct ExecConfig {
  std::string container_id;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string user;
  std::string working_dir;
  bool tty = false;
  bool attach_stdin = false;
  bool attach_stdout = true;
  bool attach_stderr = true;
  bool privileged = false;
  std::string detach_keys;
  uint16_t rows = 0;
  uint16_t columns = 0;
};

struct ExecState {
  ExecConfig config;
  bool started = false;
  bool running = false;
  std::optional<int64_t> exit_code;  // absent while running
  int64_t pid = 0;
};

// The byte streams of one running exec. Owned by whoever started it; destroying it detaches: the
// process goes on, its output is discarded.
class ExecStreams {
 public:
  virtual ~ExecStreams() = default;
  struct Chunk {
    bool is_stderr = false;
    std::string bytes;
  };
  // The next output, in order per stream; nullopt when the process has ended and everything was
  // read.
  virtual asio::awaitable<std::optional<Chunk>> read() = 0;
  virtual asio::awaitable<Status> write(std::string bytes) = 0;  // standard input
  virtual asio::awaitable<void> close_input() = 0;
};

struct Image {
  std::string id;                    // sha256:...
  std::vector<std::string> tags;     // short form, "httpd:2.4.34"
  std::vector<std::string> digests;  // "httpd@sha256:..."
  model::WallTime created_at;
  int64_t size = 0;
  std::string architecture;
  std::string os;
  std::string config_json;  // OCI image config's "config" object, as JSON text
  std::vector<std::string> layers;
};

struct PullProgress {
  std::string layer;
  std::string status;
  uint64_t current = 0;
  uint64_t total = 0;
};

struct RegistryAuth {
  std::string username;
  std::string password;
  std::string server_address;
  std::string identity_token;
};

struct ImageRemoval {
  std::vector<std::string> untagged;
  std::vector<std::string> deleted;
};

struct NodeEvent {
  std::string type;    // "container", "image", "volume"
  std::string action;  // "create", "start", "die", "stop", "kill", "destroy", "exec_start: CMD",
                       // "pull", ...
  std::string id;
  model::Labels attributes;  // name, image, exitCode, labels
  model::WallTime time;
};

// not_running: at once when it does not run now, also when it never did.
enum class WaitCondition : uint8_t { not_running, next_exit, removed };

class Containers {
 public:
  virtual ~Containers() = default;

  virtual std::vector<std::shared_ptr<const Container>> list() const = 0;
  // By full id, then name, then unique id prefix.
  virtual Result<std::shared_ptr<const Container>> find(std::string_view reference) const = 0;

  // Absent grace: the spec's, else 10 s. False when it was not running to begin with.
  virtual asio::awaitable<Result<bool>> stop(std::string id, std::string signal,
                                             std::optional<model::Nanoseconds> grace) = 0;
  virtual asio::awaitable<Status> kill(std::string id, std::string signal) = 0;
  virtual asio::awaitable<Status> remove(std::string id, bool force) = 0;
  // The exit code.
  virtual asio::awaitable<Result<int64_t>> wait(std::string id, WaitCondition condition) = 0;

  // Calls sink for each line; false from it ends the read. Returns at the end of the log, or, when
  // following, when the container has ended and everything was read.
  virtual asio::awaitable<Status> logs(
      std::string id, LogQuery query,
      std::function<asio::awaitable<bool>(const LogLine&)> sink) = 0;

  virtual Result<std::string> exec_create(ExecConfig config) = 0;  // exec id, 64 hex
  virtual Result<ExecState> exec_inspect(std::string_view exec_id) const = 0;
  // A command that can't start is not an error: the streams say why and the exit code is 126 or
  // 127.
  virtual asio::awaitable<Result<std::unique_ptr<ExecStreams>>> exec_start(std::string exec_id) = 0;
  virtual asio::awaitable<Status> exec_resize(std::string exec_id, uint16_t rows,
                                              uint16_t columns) = 0;

  virtual asio::awaitable<Result<std::vector<Image>>> images() = 0;
  // How many there were when they were last counted: at the start, after every change made through
  // this node, and now and then. From memory.
  virtual size_t image_count() const = 0;
  // By short or full reference, id or unique id prefix.
  virtual asio::awaitable<Result<Image>> image(std::string reference) = 0;
  virtual asio::awaitable<Result<Image>> pull(
      std::string reference, std::optional<RegistryAuth> auth,
      std::function<void(const PullProgress&)> progress) = 0;
  virtual asio::awaitable<Result<ImageRemoval>> remove_image(std::string reference, bool force) = 0;

  // The node-local networks ("bridge") with who is on them.
  struct LocalNetwork {
    std::string id;  // 64 hex
    std::string name;
    std::string driver;
    std::string subnet;
    std::string gateway;
    model::WallTime created_at;
  };
  virtual std::vector<LocalNetwork> networks() const = 0;

  // What the runtime says of itself: "" when it is well.
  virtual std::string runtime_trouble() const = 0;
  virtual std::string runtime_version() const = 0;  // "containerd 1.6.20"

  virtual uint64_t subscribe(std::function<void(const NodeEvent&)> sink) = 0;
  virtual void unsubscribe(uint64_t subscription) = 0;
};

}  // namespace skep::agent
