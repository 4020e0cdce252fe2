// Reads a container's log back: DATA_DIR/logs/CONTAINER/json.log and its rotated predecessors
// json.log.1 (newer) .. json.log.N (older), one JSON object per line with time, stream and log.
//
// Lines come oldest first. A file is known by its inode, because rotation renames it under the
// reader: the one after the file just read is the one with the next lower number than that inode
// has now, and when the inode is gone the oldest there is. A last line without its end is not given
// out before it is whole. Following waits for inotify, never polls.
//
// The surprise: a container's end isn't the end of its log; the process that writes it is a little
// behind. So a follower goes on until the file has no writer any more (a read lease tells), but not
// for long. Reading is cut into chunks with a turn of the loop after each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/result.hpp"
#include "daemon/agent/containers.hpp"

namespace skep::agent {

// One line of the file. nullopt for what is no such line.
std::optional<LogLine> parse_log_line(std::string_view line);

struct LogSource {
  std::string folder;
  std::function<bool()> ended;  // asked on the loop: will nothing more be written?
  // Returns after something changed that `ended` looks at, or at the latest after `limit`.
  std::function<boost::asio::awaitable<void>(std::chrono::milliseconds limit)> change;
};

using LogSink = std::function<boost::asio::awaitable<bool>(const LogLine&)>;

// Errors: internal when a file that is there can't be read. No file at all is an empty log.
boost::asio::awaitable<Status> read_log(boost::asio::any_io_executor loop, LogSource source,
                                        LogQuery query, LogSink sink);

}  // namespace skep::agent
