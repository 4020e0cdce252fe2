// SQLite and protobuf stay in here. Tasks and specs are stored in their wire form, the rest as
// text.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/agent_db.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/service.pb.h"
#include "core/model/codec/task.pb.h"

namespace skep::agent {
namespace {

using json = nlohmann::json;

constexpr int kBusyMs = 2000;  // a daemon that is being killed still has the file
// Keeps the index of the write-ahead log in memory that the connections of this process share. In
// its usual place, a mapped file, it is a bus error when the disk is full: the page is promised and
// can't be had.
constexpr const char* kVfs = "unix-excl";
// In this mode only a checkpoint waits for the disk: it is asked for by checkpoint(), elsewhere
// than on the loop, where a slow disk would cost the node its lease.
constexpr const char* kSchema =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
    "CREATE TABLE IF NOT EXISTS task(id TEXT PRIMARY KEY, task BLOB NOT NULL, spec BLOB NOT NULL,"
    " status BLOB NOT NULL, more TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS network(id TEXT PRIMARY KEY, more TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS volume(name TEXT PRIMARY KEY, more TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS volume_driver(name TEXT PRIMARY KEY) WITHOUT ROWID;";

// A prepared statement for one use.
class Statement {
 public:
  Statement(sqlite3* connection, const char* text) : connection_(connection) {
    sqlite3_prepare_v2(connection, text, -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& text(int at, std::string_view value) {
    sqlite3_bind_text(statement_, at, value.data(), static_cast<int>(value.size()),
                      SQLITE_TRANSIENT);
    return *this;
  }
  Statement& blob(int at, const std::string& value) {
    sqlite3_bind_blob(statement_, at, value.data(), static_cast<int>(value.size()),
                      SQLITE_TRANSIENT);
    return *this;
  }
  // True: a row is there; false: the end.
  Result<bool> step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return fail(ErrorKind::internal, std::string("agent.db: ") + sqlite3_errmsg(connection_));
  }
  std::string column(int at) const {
    const void* bytes = sqlite3_column_blob(statement_, at);
    const int size = sqlite3_column_bytes(statement_, at);
    if (bytes == nullptr) return {};
    return std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
  }

 private:
  sqlite3* connection_;
  sqlite3_stmt* statement_ = nullptr;
};

template <class Message, class Value>
std::string encoded(const Value& value) {
  Message message;
  codec::encode(value, &message);
  return message.SerializeAsString();
}

template <class Message>
auto decoded(const std::string& bytes) -> decltype(codec::decode(std::declval<Message>())) {
  Message message;
  if (!message.ParseFromString(bytes)) {
    return fail(ErrorKind::internal, "the stored bytes are damaged");
  }
  return codec::decode(message);
}

std::string more_of(const StoredTask& task) {
  json more = {{"container_intended", task.container_intended},
               {"container_handle", task.container_handle},
               {"service_labels", task.assigned.service_labels}};
  if (task.endpoint) {
    more["endpoint"] = {{"network", task.endpoint->network}, {"endpoint", task.endpoint->endpoint},
                        {"handle", task.endpoint->handle},   {"address", task.endpoint->address},
                        {"mac", task.endpoint->mac},         {"gateway", task.endpoint->gateway}};
  }
  return more.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string member(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::map<std::string, std::string> texts(const json& object, const char* name) {
  std::map<std::string, std::string> all;
  const auto at = object.find(name);
  if (at == object.end() || !at->is_object()) return all;
  for (const auto& [key, value] : at->items()) {
    if (value.is_string()) all[key] = value.get<std::string>();
  }
  return all;
}

// Whether a member is of this kind, or not there; anything else was not written by us.
bool is_kind(const json& object, const char* name, json::value_t kind) {
  const auto at = object.find(name);
  const bool whole = kind == json::value_t::number_integer;
  return at == object.end() || (whole ? at->is_number_integer() : at->type() == kind);
}

Status read_more(const std::string& text, StoredTask* task) {
  const json more = json::parse(text, nullptr, false);
  if (!more.is_object() || !is_kind(more, "container_intended", json::value_t::boolean)) {
    return fail(ErrorKind::internal, "the stored text is damaged");
  }
  task->container_intended = more.value("container_intended", false);
  task->container_handle = member(more, "container_handle");
  task->assigned.service_labels = texts(more, "service_labels");
  if (const auto at = more.find("endpoint"); at != more.end() && at->is_object()) {
    task->endpoint =
        StoredEndpoint{member(*at, "network"), member(*at, "endpoint"), member(*at, "handle"),
                       member(*at, "address"), member(*at, "mac"),      member(*at, "gateway")};
  }
  return {};
}

constexpr std::pair<VolumeStage, std::string_view> kStages[] = {
    {VolumeStage::intended, "intended"},
    {VolumeStage::made, "made"},
    {VolumeStage::leaving, "leaving"},
};

std::string more_of(const StoredVolume& volume) {
  json more = {{"driver", volume.driver}, {"options", volume.options},
               {"labels", volume.labels}, {"created_at", volume.created_at.unix_ns},
               {"handle", volume.handle}, {"path", volume.path},
               {"owner", volume.owner},   {"holders", volume.holders}};
  for (const auto& [stage, word] : kStages) {
    if (stage == volume.stage) more["stage"] = word;
  }
  return more.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<StoredVolume> read_volume(const Statement& row) {
  StoredVolume volume;
  volume.name = row.column(0);
  const json more = json::parse(row.column(1), nullptr, false);
  const std::string word = more.is_object() ? member(more, "stage") : "";
  bool known = false;
  for (const auto& [stage, text] : kStages) {
    if (text != word) continue;
    volume.stage = stage;
    known = true;
  }
  if (!known || !is_kind(more, "created_at", json::value_t::number_integer) ||
      !is_kind(more, "holders", json::value_t::array) || member(more, "driver").empty()) {
    return fail(ErrorKind::internal, "agent.db: volume " + volume.name + " is damaged");
  }
  volume.driver = member(more, "driver");
  volume.options = texts(more, "options");
  volume.labels = texts(more, "labels");
  volume.created_at = model::WallTime{more.value("created_at", int64_t{0})};
  volume.handle = member(more, "handle");
  volume.path = member(more, "path");
  volume.owner = member(more, "owner");
  for (const json& holder : more.value("holders", json::array())) {
    if (holder.is_string()) volume.holders.insert(holder.get<std::string>());
  }
  return volume;
}

Result<StoredTask> read_task(const Statement& row) {
  StoredTask task;
  SKEP_TRY_ASSIGN(task.assigned.task, decoded<proto::Task>(row.column(1)));
  SKEP_TRY_ASSIGN(model::TaskSpec spec, decoded<proto::TaskSpec>(row.column(2)));
  task.assigned.spec = std::make_shared<const model::TaskSpec>(std::move(spec));
  SKEP_TRY_ASSIGN(task.status, decoded<proto::TaskStatus>(row.column(3)));
  SKEP_TRY(read_more(row.column(4), &task));
  return task;
}

}  // namespace

Result<std::unique_ptr<AgentDb>> AgentDb::open(const std::string& path) {
  // It holds the environment of tasks and credentials for registries: nobody else's to read.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const bool closed_to_others = file >= 0 && ::fchmod(file, 0600) == 0;
  const int why = errno;
  if (file >= 0) ::close(file);
  if (!closed_to_others) return fail(ErrorKind::internal, path + ": " + std::strerror(why));
  sqlite3* connection = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, kVfs);
  std::unique_ptr<AgentDb> db(new AgentDb(connection));
  if (opened != SQLITE_OK) {
    return fail(ErrorKind::internal, "can't open " + path + ": " + sqlite3_errstr(opened));
  }
  sqlite3_busy_timeout(connection, kBusyMs);
  if (sqlite3_exec(connection, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return fail(ErrorKind::internal, path + ": " + sqlite3_errmsg(connection));
  }
  return db;
}

Status AgentDb::checkpoint(const std::string& path) {
  sqlite3* connection = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE, kVfs);
  // Passive: it waits for nobody but the disk.
  if (code == SQLITE_OK) {
    code =
        sqlite3_wal_checkpoint_v2(connection, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }
  sqlite3_close(connection);
  if (code == SQLITE_OK || code == SQLITE_BUSY) return {};
  return fail(ErrorKind::internal, path + ": " + sqlite3_errstr(code));
}

AgentDb::~AgentDb() {
  sqlite3_close(connection_);
}

Result<std::vector<StoredTask>> AgentDb::tasks() {
  std::vector<StoredTask> tasks;
  Statement rows(connection_, "SELECT id, task, spec, status, more FROM task ORDER BY id");
  while (true) {
    SKEP_TRY_ASSIGN(const bool more, rows.step());
    if (!more) return tasks;
    Result<StoredTask> task = read_task(rows);
    if (!task) return fail(task.error().within("agent.db: task " + rows.column(0)));
    tasks.push_back(std::move(*task));
  }
}

Status AgentDb::put(const StoredTask& task) {
  Statement write(connection_, "INSERT OR REPLACE INTO task VALUES(?, ?, ?, ?, ?)");
  SKEP_TRY(write.text(1, task.assigned.task.id.str())
               .blob(2, encoded<proto::Task>(task.assigned.task))
               .blob(3, encoded<proto::TaskSpec>(*task.assigned.spec))
               .blob(4, encoded<proto::TaskStatus>(task.status))
               .text(5, more_of(task))
               .step());
  return {};
}

Status AgentDb::put_status(model::TaskId id, const model::TaskStatus& status) {
  Statement write(connection_, "UPDATE task SET status = ? WHERE id = ?");
  SKEP_TRY(write.blob(1, encoded<proto::TaskStatus>(status)).text(2, id.str()).step());
  return {};
}

Status AgentDb::remove(model::TaskId id) {
  Statement write(connection_, "DELETE FROM task WHERE id = ?");
  SKEP_TRY(write.text(1, id.str()).step());
  return {};
}

Result<std::vector<StoredNetwork>> AgentDb::networks() {
  std::vector<StoredNetwork> networks;
  Statement rows(connection_, "SELECT id, more FROM network ORDER BY id");
  while (true) {
    SKEP_TRY_ASSIGN(const bool more, rows.step());
    if (!more) return networks;
    const json text = json::parse(rows.column(1), nullptr, false);
    if (!text.is_object() || !is_kind(text, "created_at", json::value_t::number_integer)) {
      return fail(ErrorKind::internal, "agent.db: network " + rows.column(0) + " is damaged");
    }
    networks.push_back({rows.column(0), member(text, "name"), member(text, "handle"),
                        member(text, "subnet"), member(text, "gateway"),
                        model::WallTime{text.value("created_at", int64_t{0})}});
  }
}

Status AgentDb::put(const StoredNetwork& network) {
  const json more = {{"name", network.name},
                     {"handle", network.handle},
                     {"subnet", network.subnet},
                     {"gateway", network.gateway},
                     {"created_at", network.created_at.unix_ns}};
  Statement write(connection_, "INSERT OR REPLACE INTO network VALUES(?, ?)");
  SKEP_TRY(write.text(1, network.id)
               .text(2, more.dump(-1, ' ', false, json::error_handler_t::replace))
               .step());
  return {};
}

Status AgentDb::remove_network(const std::string& id) {
  Statement write(connection_, "DELETE FROM network WHERE id = ?");
  SKEP_TRY(write.text(1, id).step());
  return {};
}

Result<std::vector<StoredVolume>> AgentDb::volumes() {
  std::vector<StoredVolume> volumes;
  Statement rows(connection_, "SELECT name, more FROM volume ORDER BY name");
  while (true) {
    SKEP_TRY_ASSIGN(const bool more, rows.step());
    if (!more) return volumes;
    SKEP_TRY_ASSIGN(StoredVolume volume, read_volume(rows));
    volumes.push_back(std::move(volume));
  }
}

Status AgentDb::put(const StoredVolume& volume) {
  Statement write(connection_, "INSERT OR REPLACE INTO volume VALUES(?, ?)");
  SKEP_TRY(write.text(1, volume.name).text(2, more_of(volume)).step());
  return {};
}

Status AgentDb::remove_volume(const std::string& name) {
  Statement write(connection_, "DELETE FROM volume WHERE name = ?");
  SKEP_TRY(write.text(1, name).step());
  return {};
}

Result<std::set<std::string>> AgentDb::volume_drivers() {
  std::set<std::string> names;
  Statement rows(connection_, "SELECT name FROM volume_driver");
  while (true) {
    SKEP_TRY_ASSIGN(const bool more, rows.step());
    if (!more) return names;
    names.insert(rows.column(0));
  }
}

Status AgentDb::put_volume_driver(const std::string& name) {
  Statement write(connection_, "INSERT OR REPLACE INTO volume_driver VALUES(?)");
  SKEP_TRY(write.text(1, name).step());
  return {};
}

}  // namespace skep::agent
