// One task on this node, from its assignment to its last trace: a coroutine that walks the states.
//
//   ACCEPTED -> PREPARING (namespace, network, volumes, container; the image is pulled only if it
//   is not here) -> READY (waits for desired > READY) -> STARTING -> RUNNING -> COMPLETE | FAILED
//   any -> SHUTDOWN when that is desired;  before STARTING a final error is REJECTED
//
// Invariants: the observed state never goes backwards; every change is stored, shown and reported
// before the next step. A step that failed for a passing reason (runtime or registry away) leaves
// the state as it is, says why in status.error, and is tried again with a growing delay, or at once
// when the runtime is back. A running task is never touched because something is away.
//
// What it deliberately does not do: restart anything. An ended task stays, its container stopped
// and readable, its network freed, until the managers don't list it any more or want it removed.
//
// The surprise: the image isn't looked up before the container is made. Asking for the container
// and pulling on "no such image" saves a round trip on every start whose image is here. All on the
// loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "daemon/agent/agent_db.hpp"
#include "daemon/agent/assignments.hpp"
#include "daemon/agent/blocking_work.hpp"
#include "daemon/agent/container_table.hpp"
#include "daemon/agent/coroutine_group.hpp"
#include "daemon/agent/local_network.hpp"
#include "daemon/agent/network_namespace.hpp"
#include "daemon/agent/node_volumes.hpp"
#include "daemon/agent/options.hpp"
#include "daemon/agent/path_looks.hpp"
#include "daemon/agent/signal.hpp"
#include "daemon/drivers/runtime_driver.hpp"

namespace skep::agent {

// What all tasks of a node share. Owned by the Agent, which outlives its tasks.
struct TaskSurroundings {
  boost::asio::any_io_executor loop;
  const AgentOptions& options;
  drivers::RuntimeDriver& runtime;
  LocalNetwork& network;
  NodeVolumes& volumes;
  NetworkNamespaces& namespaces;
  BlockingWork& disk;  // of this node's own folders; users' paths are looked at by `paths`
  PathLooks& paths;
  AgentDb& db;
  ContainerTable& table;
  CoroutineGroup& background;
  Signal& runtime_back;                          // notified when the runtime is well again
  std::function<std::string()> runtime_trouble;  // "" when it is well
  std::function<void(TaskReport)> report;
};

// What became of a container's main process.
struct TaskExit {
  bool vanished = false;  // the container is gone, nobody knows how it ended
  int64_t exit_code = 0;
  bool oom_killed = false;
  std::string lost;  // why the exit code is not the real one; empty: it is
  model::WallTime finished_at;
};

class TaskController {
 public:
  // `adopted`: the task was stored by an earlier life of the agent.
  TaskController(TaskSurroundings& surroundings, StoredTask stored, bool adopted);
  TaskController(const TaskController&) = delete;
  TaskController& operator=(const TaskController&) = delete;

  // Ends when nothing of the task is left on this node. Run once; *this must outlive it.
  boost::asio::awaitable<void> run();

  void assign(const AssignedTask& assigned);  // as it is wanted now
  void unlist();                              // not wanted at all any more

  const StoredTask& stored() const { return stored_; }
  const std::string& container_id() const { return container_id_; }

 private:
  boost::asio::awaitable<void> step();
  boost::asio::awaitable<void> prepare_step();
  boost::asio::awaitable<void> start_step();
  boost::asio::awaitable<void> running_step();
  boost::asio::awaitable<void> shut_down_step();
  boost::asio::awaitable<void> ended_step();
  boost::asio::awaitable<void> erase();

  boost::asio::awaitable<Status> prepare();
  boost::asio::awaitable<Status> attach();
  boost::asio::awaitable<Status> make_container();
  // The runtime's, for as long as the task is wanted: one that fills a volume takes minutes.
  boost::asio::awaitable<Result<drivers::CreatedContainer>> create(
      const drivers::ContainerRequest& request);
  // The task's mounts, with every volume published to the container.
  boost::asio::awaitable<Result<std::vector<drivers::ContainerMount>>> mounts();
  boost::asio::awaitable<Status> check_sources();  // of its binds
  Container shown_container() const;
  boost::asio::awaitable<Status> pull();
  boost::asio::awaitable<void> stop_wanted();
  boost::asio::awaitable<Status> stop_container();
  boost::asio::awaitable<Status> release_network();
  // Of an ended task: its container was never whole, so nobody can look at it, and nobody would
  // know what holds its volumes.
  bool has_unseen_container() const;
  boost::asio::awaitable<Status> drop_container();
  boost::asio::awaitable<Status> erase_once();
  // Follows the running container until it ended, through absences of the runtime.
  boost::asio::awaitable<void> watch();
  boost::asio::awaitable<bool> watch_once();  // true: ended
  boost::asio::awaitable<void> describe();    // fills the table's row of an ended container

  void advance(model::TaskState state, std::string_view message, std::string error);
  void trouble(const Error& error);  // the state stays, the text is told
  void publish_status();
  void note_exit(TaskExit exit);
  void begin_watch();
  bool unwanted() const;
  boost::asio::awaitable<void> pause();  // before the next try
  boost::asio::awaitable<void> background_pause(std::chrono::milliseconds delay);
  // Its container was whole once, in this life or an earlier one: people may look at it, and what
  // it left belongs to the task's history. Stored with the status.
  bool was_prepared() const { return stored_.status.container.has_value(); }
  void show_known_container();  // if it was whole

  TaskSurroundings& around_;
  StoredTask stored_;
  std::string container_id_;
  std::string name_;  // of the namespace: the task's id
  bool adopted_;
  bool listed_ = true;
  bool watching_ = false;
  bool describing_ = false;
  bool erased_ = false;  // nothing is left on the node
  bool network_held_ = false;
  bool shown_ = false;  // the table has, or had, our row
  std::optional<TaskExit> exit_;
  std::chrono::milliseconds delay_{0};
  Signal changed_;  // wanted state, exit, or the end of what runs in the background
  Signal removed_;  // the container is gone: background work need not wait any longer
};

// Whether trying again later may help.
bool is_temporary(ErrorKind kind);

}  // namespace skep::agent
