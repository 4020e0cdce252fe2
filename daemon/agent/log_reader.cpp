// Files by inode, chunks, and one inotify watch on the folder.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/log_reader.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "daemon/agent/identity_text.hpp"

namespace skep::agent {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

namespace {

constexpr size_t kChunk = size_t{64} << 10;
constexpr size_t kLineMax = size_t{1} << 20;  // a longer "line" is damage and is skipped
constexpr std::chrono::milliseconds kWriterBehindMax{1000};
constexpr std::chrono::milliseconds kWriterLook{20};
constexpr std::chrono::milliseconds kFollowLook{5000};

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      if (fd_ >= 0) close(fd_);
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct LogFile {
  std::string path;
  ino_t inode = 0;
};

// Oldest first.
std::vector<LogFile> log_files(const std::string& folder) {
  std::map<int, LogFile, std::greater<>> by_number;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    int number = 0;
    if (name != "json.log") {
      if (!name.starts_with("json.log.")) continue;
      const char* last = name.data() + name.size();
      const auto [stop, bad] = std::from_chars(name.data() + 9, last, number);
      if (bad != std::errc() || stop != last) continue;
    }
    struct stat about {};
    if (stat(at->path().c_str(), &about) != 0) continue;
    by_number[number] = LogFile{at->path().string(), about.st_ino};
  }
  std::vector<LogFile> files;
  for (auto& [number, file] : by_number) files.push_back(std::move(file));
  return files;
}

bool has_writer(int fd) {
  if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
  fcntl(fd, F_SETLEASE, F_UNLCK);
  return false;
}

// One pass over the log, file after file.
class Reader {
 public:
  explicit Reader(std::string folder) : folder_(std::move(folder)) {}

  // Opens the file after the present one (or the oldest). False when there is none.
  bool open_next() {
    const std::optional<LogFile> next = next_file();
    return next && open(*next);
  }

  bool has_next() const { return next_file().has_value(); }

  // Opens the file `back` places before the newest; the oldest when there are not so many.
  bool open_back(size_t back) {
    const std::vector<LogFile> files = log_files(folder_);
    if (files.empty()) return false;
    return open(files[back + 1 >= files.size() ? 0 : files.size() - 1 - back]);
  }

  // Appends what the file has to `lines`; false at its present end.
  Result<bool> read_chunk(std::deque<LogLine>* lines) {
    char bytes[kChunk];
    ssize_t count = 0;
    do {
      count = read(file_.get(), bytes, sizeof bytes);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      return fail(ErrorKind::internal, "can't read the log: " + std::string(std::strerror(errno)));
    }
    if (count == 0) return false;
    rest_.append(bytes, static_cast<size_t>(count));
    size_t from = 0;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', from)) {
      std::optional<LogLine> line =
          parse_log_line(std::string_view(rest_).substr(from, end - from));
      if (line) lines->push_back(std::move(*line));
      from = end + 1;
    }
    rest_.erase(0, from);
    if (rest_.size() > kLineMax) rest_.clear();
    return true;
  }

  bool is_open() const { return static_cast<bool>(file_); }
  bool written_to() const { return file_ && has_writer(file_.get()); }

 private:
  std::optional<LogFile> next_file() const {
    const std::vector<LogFile> files = log_files(folder_);
    size_t next = 0;
    if (file_) {
      const auto now = std::find_if(files.begin(), files.end(),
                                    [&](const LogFile& file) { return file.inode == inode_; });
      if (now != files.end()) next = static_cast<size_t>(now - files.begin()) + 1;
    }
    if (next >= files.size()) return std::nullopt;
    return files[next];
  }

  bool open(const LogFile& file) {
    Descriptor opened(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat about {};
    if (!opened || fstat(opened.get(), &about) != 0) return false;
    file_ = std::move(opened);
    inode_ = about.st_ino;
    rest_.clear();
    return true;
  }

  std::string folder_;
  Descriptor file_;
  ino_t inode_ = 0;
  std::string rest_;
};

bool matches(const LogLine& line, const LogQuery& query) {
  if (line.is_stderr ? !query.err : !query.out) return false;
  if (query.since && line.time < query.since) return false;
  return !query.until || line.time <= query.until;
}

asio::awaitable<void> breathe() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

// Reads from the reader's place to the present end of the log; passes lines to `take`, which
// returns false to end.
template <class Take>
asio::awaitable<Result<bool>> drain(Reader& reader, Take take) {
  std::deque<LogLine> lines;
  if (!reader.is_open() && !reader.open_next()) co_return true;
  bool rotated = false;  // nothing is added to this file any more
  while (true) {
    Result<bool> more = reader.read_chunk(&lines);
    if (!more) co_return fail(std::move(more).error());
    for (LogLine& line : lines) {
      const bool go_on = co_await take(std::move(line));
      if (!go_on) co_return false;
    }
    lines.clear();
    if (*more) {
      co_await breathe();
    } else if (!rotated) {
      // What was written between the end just seen and the rotation is read by one more round.
      rotated = reader.has_next();
      if (!rotated) co_return true;
    } else {
      rotated = false;
      if (!reader.open_next()) co_return true;
    }
  }
}

// The last `count` matching lines. Leaves the reader at the end, for following.
asio::awaitable<Result<std::deque<LogLine>>> last_lines(Reader& reader, const std::string& folder,
                                                        const LogQuery& query, uint64_t count) {
  const size_t files = log_files(folder).size();
  for (size_t back = 0;; ++back) {
    std::deque<LogLine> kept;
    if (files > 0) reader.open_back(back);
    const auto keep = [&](LogLine line) -> asio::awaitable<bool> {
      if (matches(line, query)) kept.push_back(std::move(line));
      if (kept.size() > count) kept.pop_front();
      co_return true;
    };
    Result<bool> read = co_await drain(reader, keep);
    if (!read) co_return fail(std::move(read).error());
    if (kept.size() >= count || back + 1 >= files) co_return kept;
  }
}

// The folder's news. A folder that can't be watched (gone) leaves the waits to their limits.
class FolderWatch {
 public:
  FolderWatch(asio::any_io_executor loop, const std::string& folder) : loop_(loop), stream_(loop) {
    Descriptor watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!watch) return;
    if (inotify_add_watch(watch.get(), folder.c_str(),
                          IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE) < 0) {
      return;
    }
    stream_.assign(dup(watch.get()));
  }

  asio::awaitable<void> changed() {
    if (!stream_.is_open()) {
      asio::steady_timer timer(loop_, kFollowLook);
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
      co_return;
    }
    co_await stream_.async_wait(asio::posix::stream_descriptor::wait_read,
                                asio::as_tuple(asio::use_awaitable));
    char news[4096];
    while (read(stream_.native_handle(), news, sizeof news) > 0) {
    }
  }

 private:
  asio::any_io_executor loop_;
  asio::posix::stream_descriptor stream_;
};

template <class Take>
asio::awaitable<Status> follow(asio::any_io_executor loop, Reader& reader, const LogSource& source,
                               Take take) {
  FolderWatch watch(loop, source.folder);
  std::optional<std::chrono::steady_clock::time_point> ended_at;
  while (true) {
    const bool ended = source.ended();
    const bool written = reader.written_to();
    // Asked before the read, so that what was written before the end is read.
    Result<bool> read = co_await drain(reader, take);
    if (!read) co_return fail(std::move(read).error());
    if (!*read) co_return Status();
    if (!ended) {
      co_await (watch.changed() || source.change(kFollowLook));
      continue;
    }
    const auto now = std::chrono::steady_clock::now();
    if (!ended_at) ended_at = now;
    if (!written || now - *ended_at > kWriterBehindMax) co_return Status();
    asio::steady_timer look(loop, kWriterLook);
    co_await (watch.changed() || look.async_wait(asio::as_tuple(asio::use_awaitable)));
  }
}

}  // namespace

std::optional<LogLine> parse_log_line(std::string_view line) {
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto text = object.find("log");
  const auto time = object.find("time");
  const auto stream = object.find("stream");
  if (text == object.end() || !text->is_string()) return std::nullopt;
  LogLine result;
  result.text = text->get<std::string>();
  if (time != object.end() && time->is_string()) {
    result.time = parse_time_text(time->get_ref<const std::string&>());
  }
  result.is_stderr = stream != object.end() && *stream == "stderr";
  return result;
}

asio::awaitable<Status> read_log(asio::any_io_executor loop, LogSource source, LogQuery query,
                                 LogSink sink) {
  Reader reader(source.folder);
  const bool bounded = static_cast<bool>(query.until);
  const auto give = [&](LogLine line) -> asio::awaitable<bool> {
    if (bounded && line.time > query.until) co_return false;
    if (!matches(line, query)) co_return true;
    const bool go_on = co_await sink(line);
    co_return go_on;
  };
  bool go_on = true;
  if (query.tail) {
    Result<std::deque<LogLine>> lines =
        co_await last_lines(reader, source.folder, query, *query.tail);
    if (!lines) co_return fail(std::move(lines).error());
    for (const LogLine& line : *lines) {
      go_on = co_await sink(line);
      if (!go_on) co_return Status();
    }
  } else {
    Result<bool> read = co_await drain(reader, give);
    if (!read) co_return fail(std::move(read).error());
    go_on = *read;
  }
  if (!query.follow || !go_on) co_return Status();
  co_return co_await follow(loop, reader, source, give);
}

}  // namespace skep::agent
