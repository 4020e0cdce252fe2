// The only file that includes sqlite3.h.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/storage/sqlite_connection.hpp"

#include <sqlite3.h>

#include <limits>

namespace skep::storage {
namespace {

tl::unexpected<Error> failure(sqlite3* connection, int code) {
  const char* message = connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
  const int primary = code & 0xff;
  // What may be better the next time is told from a file that no second look mends.
  ErrorKind kind = ErrorKind::internal;
  if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) kind = ErrorKind::unavailable;
  if (primary == SQLITE_FULL) kind = ErrorKind::exhausted;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) kind = ErrorKind::conflict;
  return fail(kind, std::string("SQLite: ") + message + " (" + std::to_string(code) + ")");
}

}  // namespace

void Statement::Finalise::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}
void Connection::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

// Binding fails only for a wrong position or a value over SQLite's limit: both ours to avoid.
void Statement::bind(int position, uint64_t number) {
  const int code =
      sqlite3_bind_int64(statement_.get(), position, static_cast<sqlite3_int64>(number));
  SKEP_ASSERT(code == SQLITE_OK, "the position exists");
}

void Statement::bind(int position, std::string_view bytes) {
  // A null pointer would bind NULL; an empty blob needs an address.
  const char* data = bytes.empty() ? "" : bytes.data();
  const int code =
      sqlite3_bind_blob64(statement_.get(), position, data, bytes.size(), SQLITE_STATIC);
  SKEP_ASSERT(code == SQLITE_OK || code == SQLITE_TOOBIG, "the position exists");
}

Result<bool> Statement::next() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  tl::unexpected<Error> error = failure(sqlite3_db_handle(statement_.get()), code);
  reset();
  return error;
}

Status Statement::run() {
  SKEP_TRY_ASSIGN(const bool row, next());
  if (row) reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

uint64_t Statement::number(int column) const {
  return static_cast<uint64_t>(sqlite3_column_int64(statement_.get(), column));
}

std::string_view Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  if (data == nullptr || size <= 0) return {};
  return {static_cast<const char*>(data), static_cast<size_t>(size)};
}

Result<Connection> Connection::open(const std::string& path, const std::string& vfs) {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, vfs.empty() ? nullptr : vfs.c_str());
  Connection connection;
  connection.connection_.reset(raw);  // SQLite gives one even when it fails
  if (code != SQLITE_OK) return failure(raw, code);
  sqlite3_extended_result_codes(raw, 1);
  return connection;
}

Status Connection::execute(const char* sql) {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(connection_.get(), code);
  return {};
}

Result<Statement> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return failure(connection_.get(), code);
  Statement statement;
  statement.statement_.reset(raw);
  return statement;
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(connection_.get()) == 0;
}

Status Connection::take_over_checkpoints() {
  log_pages_ = std::make_unique<int>(0);
  const auto committed = [](void* pages, sqlite3*, const char*, int count) {
    *static_cast<int*>(pages) = count;
    return SQLITE_OK;
  };
  // The hook takes the place of the automatic checkpoint.
  sqlite3_wal_hook(connection_.get(), committed, log_pages_.get());
  int keep = 1;
  const int code = sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
  if (code != SQLITE_OK && code != SQLITE_NOTFOUND) return failure(connection_.get(), code);
  return {};
}

Status Connection::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(connection_.get(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                             nullptr, nullptr);
  if (code != SQLITE_OK) return failure(connection_.get(), code);
  *log_pages_ = 0;
  return {};
}

}  // namespace skep::storage
