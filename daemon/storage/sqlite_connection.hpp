// SQLite with owners: a connection and prepared statements that close themselves, and errors as
// values. Knows nothing of raft. One thread at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/model/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace skep::storage {

// A prepared statement. Bound values are not copied: they live until the statement was run.
class Statement {
 public:
  Statement() = default;

  // Positions count from 1.
  void bind(int position, uint64_t number);
  void bind(int position, std::string_view bytes);

  // One row is ready (true) or there are no more (false). After an error or the last row the
  // statement is ready to be bound anew.
  Result<bool> next();
  // Runs a statement that yields no rows.
  Status run();
  // Gives the remaining rows up.
  void reset();

  // Of the present row; columns count from 0. A view lives until next() or reset().
  uint64_t number(int column) const;
  std::string_view bytes(int column) const;

 private:
  friend class Connection;
  struct Finalise {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalise> statement_;
};

class Connection {
 public:
  // Opens or makes the file. `vfs` is one that was registered with SQLite; empty: the machine's.
  static Result<Connection> open(const std::string& path, const std::string& vfs = {});
  // Runs one or more statements without results.
  Status execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  // SQLite ends one by itself when it can't write, and a ROLLBACK is then an error.
  bool in_transaction() const;

  // From here on nothing is moved from the write-ahead log to the database but by checkpoint():
  // SQLite's own automatic one swallows the errors of its writes and flushes. The log file stays
  // when the connection closes, so that the next one need not let it grow anew.
  Status take_over_checkpoints();
  // Pages in the write-ahead log after the last commit.
  int log_pages() const { return log_pages_ ? *log_pages_ : 0; }
  // Moves all of them.
  Status checkpoint();

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  std::unique_ptr<int> log_pages_;  // SQLite has its address, so it outlives the connection
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace skep::storage
