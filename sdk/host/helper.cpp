// The host's end of a helper process.
//
// One epoll descriptor stands for all there is to wait for: the socket, the pipe with what the
// process prints, the process itself, and an alarm. The surprises are in how a process ends. Its
// death is not always the end of its socket: a child that it forked may hold that open; so the
// process descriptor decides, and what lies in the socket by then is read first. And the end of its
// socket is not always its death: a driver may have closed it; so it gets a moment to die of its
// own accord, which keeps the true reason, and is killed then.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/helper.hpp"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <span>
#include <unordered_map>
#include <utility>

#include "sdk/host/pidfd.hpp"
#include "sdk/host/printed_lines.hpp"
#include "sdk/host/spawner.hpp"
#include "sdk/host/utf8.hpp"
#include "sdk/host/wire.hpp"

namespace skep::host {
namespace {

constexpr size_t turn_max = size_t{1} << 20;          // bytes read from a socket in one turn
constexpr size_t printed_turn_max = 64u << 10;        // bytes read from a pipe in one turn
constexpr size_t last_words_max = size_t{128} << 20;  // bytes read from a dead process
constexpr uint32_t taken_every = 64;                  // items, before the helper is told
constexpr int64_t closed_patience_ns = 200'000'000;   // between end of socket and end of process

tl::unexpected<Error> failed(const std::string& what) {
  return fail(ErrorKind::internal, what + ": " + std::strerror(errno));
}

// A descriptor with an owner.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  void reset() {
    if (number_ >= 0) close(std::exchange(number_, -1));
  }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

std::string how_it_ended(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return "exited with code " + std::to_string(info.si_status);
  const char* name = sigdescr_np(info.si_status);
  return "killed by signal " + std::to_string(info.si_status) + " (" +
         (name != nullptr ? name : "unknown") + ")";
}

}  // namespace

struct Helper::Parts {
  enum class Mark : uint32_t { socket, printed, process, alarm };

  Parts(Child started, HelperEvents& heard_by)
      : pid(started.pid), process(started.pidfd), events(heard_by), lines(heard_by) {}
  ~Parts();

  Status watch();
  void turn();
  void send(FrameHead head, std::string_view first = {}, std::string_view second = {},
            std::string_view rest = {});
  void kill() const { pidfd_send_signal(process.get(), SIGKILL, nullptr, 0); }
  // Ends a helper that can't be talked to; `why` becomes part of lost().
  void give_up(std::string why);

  bool done = false;
  std::unordered_map<uint64_t, uint32_t> in_flight;  // number -> items not told as read
  Descriptor all;                                    // epoll
  Descriptor socket;
  Descriptor printed;
  const pid_t pid;

 private:
  bool add(int descriptor, Mark mark, uint32_t what) const;
  void want_to_write(bool wanted);
  void write_more();
  void forget_sent();
  // False when the socket has ended.
  bool read_socket(size_t bytes_max);
  void read_printed(size_t bytes_max);
  void handle(const Frame& frame);
  // These are false when the frame is none that a helper of ours sends.
  bool handle_reply(const Frame& frame);
  bool handle_first_word(const Frame& frame);
  bool handle_item(const Frame& frame);
  void await_end();
  void finish();

  Descriptor process;  // pidfd
  Descriptor alarm;
  HelperEvents& events;
  PrintedLines lines;
  FrameReader reader{Side::helper};
  std::string unsent;       // what the socket did not take
  size_t unsent_begin = 0;  // of it, sent meanwhile
  bool writing = false;     // epoll looks for room in the socket
  bool introduced = false;  // it has said that it is ready, or why not
  std::string killed_for;   // why this side gave it up; empty while it has not
};

Helper::Parts::~Parts() {
  if (done || !process) return;
  kill();
  reap_later(process.release());
}

bool Helper::Parts::add(int descriptor, Mark mark, uint32_t what) const {
  epoll_event event{};
  event.events = what;
  event.data.u32 = static_cast<uint32_t>(mark);
  return epoll_ctl(all.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

Status Helper::Parts::watch() {
  all = Descriptor(epoll_create1(EPOLL_CLOEXEC));
  alarm = Descriptor(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!all || !alarm || !add(socket.get(), Mark::socket, EPOLLIN) ||
      !add(printed.get(), Mark::printed, EPOLLIN) || !add(process.get(), Mark::process, EPOLLIN) ||
      !add(alarm.get(), Mark::alarm, EPOLLIN)) {
    return failed("a helper process can't be watched");
  }
  return {};
}

void Helper::Parts::want_to_write(bool wanted) {
  if (writing == wanted || !socket) return;
  epoll_event event{};
  event.events = EPOLLIN | (wanted ? uint32_t{EPOLLOUT} : 0);
  event.data.u32 = static_cast<uint32_t>(Mark::socket);
  if (epoll_ctl(all.get(), EPOLL_CTL_MOD, socket.get(), &event) == 0) writing = wanted;
}

void Helper::Parts::send(FrameHead head, std::string_view first, std::string_view second,
                         std::string_view rest) {
  if (!socket) return;
  FramePieces pieces(head, first, second, rest);
  // A helper that is gone is found by its end, not here.
  if (unsent.empty() && pieces.send_some(socket.get()) != FramePieces::Sent::part) return;
  forget_sent();
  unsent += pieces.left();
  want_to_write(true);
}

// What was sent may have held secrets; and a socket that is never empty must not make this grow.
void Helper::Parts::forget_sent() {
  if (unsent_begin <= unsent.size() / 2) return;
  std::string rest = unsent.substr(unsent_begin);
  explicit_bzero(unsent.data(), unsent.size());
  unsent = std::move(rest);
  unsent_begin = 0;
}

void Helper::Parts::write_more() {
  while (unsent_begin < unsent.size()) {
    const ssize_t count = ::send(socket.get(), unsent.data() + unsent_begin,
                                 unsent.size() - unsent_begin, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) break;
    unsent_begin += static_cast<size_t>(count);
  }
  unsent_begin = unsent.size();
  forget_sent();
  want_to_write(false);
}

bool Helper::Parts::read_socket(size_t bytes_max) {
  for (size_t total = 0; total < bytes_max && socket;) {
    const std::span<char> room = reader.room();
    const ssize_t count = recv(socket.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    reader.received(static_cast<size_t>(count));
    total += static_cast<size_t>(count);
    Frame frame;
    FrameReader::Next next = FrameReader::Next::more;
    while (socket && (next = reader.next(frame)) == FrameReader::Next::frame) handle(frame);
    if (next == FrameReader::Next::broken) {
      give_up("broke the protocol with its host");
    }
    if (static_cast<size_t>(count) < room.size()) return true;
  }
  return true;
}

void Helper::Parts::read_printed(size_t bytes_max) {
  std::array<char, 16384> buffer;
  for (size_t total = 0; total < bytes_max;) {
    const ssize_t count = read(printed.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return printed.reset();  // which takes it out of `all` too
    lines.take({buffer.data(), static_cast<size_t>(count)});
    total += static_cast<size_t>(count);
  }
}

// A driver shares its memory and its socket with the helper that speaks for it, so what a helper
// has checked is checked again.
void Helper::Parts::handle(const Frame& frame) {
  const FrameHead& head = frame.head;
  bool sound = false;
  if (head.kind == FrameKind::item) {
    sound = handle_item(frame);
  } else if (head.kind == FrameKind::log) {
    sound = head.code >= SKEP_LOG_DEBUG && head.code <= SKEP_LOG_ERROR;
    if (sound) events.logged(head.number, head.code, readable(frame.rest, log_line_max));
  } else if (head.kind == FrameKind::metric) {
    sound = is_utf8(frame.rest);
    if (sound) events.metric(frame.rest, head.value, head.code != 0);
  } else if (head.kind == FrameKind::reply) {
    sound = handle_reply(frame);
  } else if (!introduced) {
    introduced = true;
    sound = handle_first_word(frame);
  }
  if (!sound) give_up("broke the protocol with its host");
}

bool Helper::Parts::handle_reply(const Frame& frame) {
  const int32_t status = frame.head.code;
  if (status > SKEP_OK || status <= SKEP_E_PLUGIN_LOST || !is_utf8(frame.second) ||
      in_flight.erase(frame.head.number) == 0) {
    return false;
  }
  const std::string error = readable(frame.rest, SKEP_ERROR_MAX);
  events.completed(frame.head.number, status, frame.second, error);
  return true;
}

bool Helper::Parts::handle_first_word(const Frame& frame) {
  const FrameHead& head = frame.head;
  Ready ready;
  if (head.kind == FrameKind::ready && from_body(frame.rest, ready)) {
    events.ready(ready.present, ready.config_schema, ready.options_schema, ready.flags);
    return true;
  }
  if (head.kind != FrameKind::refused || head.code < 0 ||
      head.code > static_cast<int32_t>(ErrorKind::plugin_lost)) {
    return false;
  }
  events.refused({static_cast<ErrorKind>(head.code), readable(frame.rest, frame.rest.size())});
  return true;
}

bool Helper::Parts::handle_item(const Frame& frame) {
  const uint64_t number = frame.head.number;
  const auto found = in_flight.find(number);
  if (found == in_flight.end()) {
    // One thread of the driver emits while another completes: its fault, but not a broken helper.
    events.logged(number, SKEP_LOG_ERROR,
                  "plugin misbehaving: operation " + std::to_string(number) +
                      " has ended, and yet an item came for it");
    return true;
  }
  if (!is_utf8(frame.rest)) return false;
  const bool tell = ++found->second == taken_every;
  if (tell) found->second = 0;
  events.emitted(number, frame.rest);
  if (!tell) return true;
  FrameHead head;
  head.kind = FrameKind::taken;
  head.number = number;
  head.value = taken_every;
  send(head);
  return true;
}

void Helper::Parts::give_up(std::string why) {
  killed_for = std::move(why);
  kill();  // before it could see the end of the socket and leave in peace
  socket.reset();
}

// The socket has ended; the process should have, or will in a moment.
void Helper::Parts::await_end() {
  socket.reset();
  itimerspec when{};
  when.it_value.tv_nsec = closed_patience_ns;
  timerfd_settime(alarm.get(), 0, &when, nullptr);
}

void Helper::Parts::turn() {
  if (done) return;
  std::array<epoll_event, 4> ready{};
  const int count = epoll_wait(all.get(), ready.data(), static_cast<int>(ready.size()), 0);
  bool ended = false;
  for (int index = 0; index < count; ++index) {
    const epoll_event& event = ready.at(static_cast<size_t>(index));
    switch (static_cast<Mark>(event.data.u32)) {
      case Mark::socket:
        if ((event.events & EPOLLOUT) != 0) write_more();
        if ((event.events & ~uint32_t{EPOLLOUT}) != 0 && !read_socket(turn_max)) await_end();
        break;
      case Mark::printed:
        read_printed(printed_turn_max);
        break;
      case Mark::process:
        ended = true;
        break;
      case Mark::alarm:
        uint64_t times = 0;
        if (read(alarm.get(), &times, sizeof times) > 0) {
          give_up("closed its connection to its host");
        }
        break;
    }
  }
  if (ended) finish();
}

void Helper::Parts::finish() {
  siginfo_t info{};
  if (waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, WEXITED | WNOHANG) == 0 &&
      info.si_pid == 0) {
    return;
  }
  // Its last words. The process is dead, but a child of its own may go on talking.
  if (socket) read_socket(last_words_max);
  if (printed) read_printed(last_words_max);
  lines.end();
  done = true;
  socket.reset();
  printed.reset();
  alarm.reset();
  process.reset();
  in_flight.clear();
  const bool by_us = !killed_for.empty() && info.si_code != CLD_EXITED && info.si_status == SIGKILL;
  events.lost(by_us ? killed_for + " and was killed" : how_it_ended(info));
}

Helper::Helper(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Helper::~Helper() = default;

Result<std::unique_ptr<Helper>> Helper::spawn(const CheckedFile& file,
                                              const PluginIdentity& identity,
                                              const HelperOptions& options, HelperEvents& events) {
  std::array<int, 2> sockets{-1, -1};
  std::array<int, 2> pipe{-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
    return failed("a helper process has no socket");
  }
  Descriptor socket(sockets[0]);
  const Descriptor their_socket(sockets[1]);
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) return failed("a helper process has no pipe");
  Descriptor printed(pipe[0]);
  const Descriptor their_output(pipe[1]);
  fcntl(printed.get(), F_SETFL, O_NONBLOCK);

  SKEP_TRY_ASSIGN(const Child child, spawn_child({options.program, options.name, their_socket.get(),
                                                  file.descriptor(), their_output.get()}));
  auto parts = std::make_unique<Parts>(child, events);
  parts->socket = std::move(socket);
  parts->printed = std::move(printed);
  SKEP_TRY(parts->watch());

  Hello hello;
  hello.name = options.name;
  hello.path = file.path();
  hello.cgroup = options.limits.cgroup;
  hello.load_path = options.debug;
  hello.core_dump = options.limits.core_dump;
  hello.address_space_bytes = options.limits.address_space_bytes;
  hello.open_files = options.limits.open_files;
  hello.log_level = options.log_level;
  hello.shape = options.shape;
  hello.identity = identity;
  FrameHead head;
  head.kind = FrameKind::hello;
  parts->send(head, {}, {}, to_body(hello));
  return std::unique_ptr<Helper>(new Helper(std::move(parts)));
}

pid_t Helper::pid() const {
  return parts_->pid;
}
int Helper::descriptor() const {
  return parts_->all.get();
}
void Helper::turn() {
  parts_->turn();
}

void Helper::call(const Operation& operation, uint64_t number, std::string_view key,
                  int64_t deadline_ms, std::string_view request) {
  if (parts_->done) return;
  // One byte over the limit is refused like many, and this way the frame keeps to its own.
  const std::string_view bounded = request.substr(0, size_t{SKEP_REQUEST_MAX} + 1);
  const bool ordered = operation.effect == Effect::changes;
  parts_->in_flight.emplace(number, 0);
  FrameHead head;
  head.kind = FrameKind::call;
  head.number = number;
  head.code = static_cast<int32_t>(operation.offset);
  head.value = deadline_ms;
  parts_->send(head, operation.interface, ordered ? key.substr(0, SKEP_ID_MAX) : std::string_view(),
               bounded);
}

void Helper::cancel(uint64_t number) {
  FrameHead head;
  head.kind = FrameKind::cancel;
  head.number = number;
  parts_->send(head);
}

void Helper::set_log_level(int32_t level) {
  FrameHead head;
  head.kind = FrameKind::log_level;
  head.code = level;
  parts_->send(head);
}

void Helper::end() {
  FrameHead head;
  head.kind = FrameKind::end;
  parts_->send(head);
}

void Helper::kill() {
  if (!parts_->done) parts_->kill();
}

}  // namespace skep::host
