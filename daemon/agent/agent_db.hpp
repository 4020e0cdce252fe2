// What this node must remember over a restart of its agent: its tasks and volumes, how far they
// are, and the handles the drivers gave for them.
//
// One row per task or volume, written before a driver is asked to make anything for it (so that
// nothing is made that nobody knows), and again with what the driver answered. One SQLite file in
// WAL mode, synchronous=NORMAL: the row survives a crash of the agent, and after a loss of power
// the managers and the runtime know better anyway; so no start of a task waits for a disk flush.
//
// Blocking, for tens of microseconds; on the loop. Errors: internal, with SQLite's reason.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "daemon/agent/assignments.hpp"

struct sqlite3;

namespace skep::agent {

// A task's place in a network of this node.
struct StoredEndpoint {
  std::string network;
  std::string endpoint;
  std::string handle;   // the driver's; empty until it answered
  std::string address;  // CIDR
  std::string mac;
  std::string gateway;
  bool operator==(const StoredEndpoint&) const = default;
};

struct StoredTask {
  AssignedTask assigned;     // as last handed over
  model::TaskStatus status;  // as last observed here
  std::optional<StoredEndpoint> endpoint;
  // The runtime was, or was going to be, asked to make the container.
  bool container_intended = false;
  std::string container_handle;  // the driver's; empty until it answered
};

struct StoredNetwork {
  std::string id;  // 64 hex
  std::string name;
  std::string handle;
  std::string subnet;
  std::string gateway;
  model::WallTime created_at;
};

// How far a volume is. A row is written before its driver is asked for anything, so that a crash in
// between is found: what was to be made is made at the next start, what was to go goes.
enum class VolumeStage : uint8_t { intended, made, leaving };

struct StoredVolume {
  std::string name;
  std::string driver;  // Docker's name of it: "local", else the plugin's id
  std::map<std::string, std::string> options;
  model::Labels labels;
  model::WallTime created_at;
  VolumeStage stage = VolumeStage::intended;
  std::string handle;  // the driver's; empty until it answered
  std::string path;    // where its data are on the node; empty: not known before it is published
  std::string owner;   // the one container it was made for and goes with; empty: it has a name
  std::set<std::string> holders;  // containers that have it, or are about to
  bool operator==(const StoredVolume&) const = default;
};

class AgentDb {
 public:
  // Makes the file and its tables when they are missing. A row that can't be read (of a newer
  // version, or damaged) is an error that names the task, network or volume.
  static Result<std::unique_ptr<AgentDb>> open(const std::string& path);
  ~AgentDb();
  AgentDb(const AgentDb&) = delete;
  AgentDb& operator=(const AgentDb&) = delete;

  // Moves what was written from the log file into the database file, and waits for the disk. On a
  // connection of its own, because the other calls never wait for the disk. [any thread]
  static Status checkpoint(const std::string& path);

  Result<std::vector<StoredTask>> tasks();
  Status put(const StoredTask& task);
  // The status alone, of a task that was put.
  Status put_status(model::TaskId id, const model::TaskStatus& status);
  Status remove(model::TaskId id);

  Result<std::vector<StoredNetwork>> networks();
  Status put(const StoredNetwork& network);
  Status remove_network(const std::string& id);

  Result<std::vector<StoredVolume>> volumes();
  Status put(const StoredVolume& volume);
  Status remove_volume(const std::string& name);

  // The volume drivers that have told once which volumes they have, so that the rows name them all.
  Result<std::set<std::string>> volume_drivers();
  Status put_volume_driver(const std::string& name);

 private:
  explicit AgentDb(sqlite3* connection) : connection_(connection) {}

  sqlite3* connection_;
};

}  // namespace skep::agent
