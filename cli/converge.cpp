// The reading, pacing and drawing around the rules in progress.hpp.
// SPDX-License-Identifier: Apache-2.0
#include "cli/converge.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/clock.hpp"
#include "cli/progress.hpp"
#include "cli/terminal.hpp"

namespace skep::cli {
namespace {

constexpr int kLookEveryMs = 200;
constexpr model::Nanoseconds kMonitorDefault = std::chrono::seconds(5);

// Ctrl-C as something to wait for, for as long as this lives.
class Interrupt {
 public:
  Interrupt() {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    pthread_sigmask(SIG_BLOCK, &wanted, &before_);
    file_ = ::signalfd(-1, &wanted, SFD_CLOEXEC);
  }
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() {
    // Taken off the queue first: unblocking it would end the program.
    if (came_) {
      signalfd_siginfo taken;
      came_ = ::read(file_, &taken, sizeof(taken)) == sizeof(taken);
    }
    if (file_ >= 0) ::close(file_);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  // True if it came within the time.
  bool wait(int milliseconds) {
    pollfd one{.fd = file_, .events = POLLIN, .revents = 0};
    came_ = ::poll(&one, 1, milliseconds) > 0;
    return came_;
  }

 private:
  sigset_t before_{};
  int file_ = -1;
  bool came_ = false;
};

class Display {
 public:
  explicit Display(bool quiet) : quiet_(quiet), bars_(is_terminal(STDOUT_FILENO)) {}

  void show(const std::vector<ProgressLine>& lines) {
    if (quiet_) return;
    for (const ProgressLine& line : lines) {
      const auto known = shown_.find(line.name);
      if (known != shown_.end() && known->second == line) continue;
      shown_[line.name] = line;
      if (bars_) {
        redraw(line);
      } else if (!line.done_of_nine) {
        std::printf("%s: %s\n", line.name.c_str(), line.text.c_str());
      }
    }
    std::fflush(stdout);
  }

 private:
  // Every name keeps its row: up to it, clear, write, and down again.
  void redraw(const ProgressLine& line) {
    auto row = std::ranges::find(rows_, line.name);
    if (row == rows_.end()) {
      rows_.push_back(line.name);
      row = rows_.end() - 1;
      std::printf("\n");
    }
    const int up = static_cast<int>(rows_.end() - row);
    std::printf("\x1b[%dA\x1b[2K\r%s: %s%s\x1b[%dB\r", up, line.name.c_str(), line.text.c_str(),
                bar(line).c_str(), up);
  }

  static std::string bar(const ProgressLine& line) {
    constexpr int kBarCharacters = 50;
    constexpr int kFull = 9;
    constexpr uint16_t kColumnsMin = 80;
    const auto size = terminal_size(STDOUT_FILENO);
    if (!line.done_of_nine || (size && size->columns != 0 && size->columns < kColumnsMin))
      return {};
    const int done = std::clamp(*line.done_of_nine, 0, kFull) * kBarCharacters / kFull;
    return " [" + std::string(static_cast<size_t>(done), '=') + ">" +
           std::string(static_cast<size_t>(kBarCharacters - done), ' ') + "]";
  }

  bool quiet_;
  bool bars_;
  std::vector<std::string> rows_;
  std::map<std::string, ProgressLine> shown_;
};

void add_tasks(const Json& tasks, ProgressView& view) {
  for (const Json& task : tasks) {
    view.tasks.push_back({.slot = static_cast<uint64_t>(integer_at(task, "/Slot")),
                          .node = text_at(task, "/NodeID"),
                          .desired = text_at(task, "/DesiredState"),
                          .state = text_at(task, "/Status/State"),
                          .error = text_at(task, "/Status/Err")});
  }
}

Result<ProgressView> look(const Daemon& daemon, const std::string& service_id) {
  SKEP_TRY_ASSIGN(const Json service,
                  daemon.get("/services/" + url_escape(service_id) + "?insertDefaults=false"));
  ProgressView view{.service_id = service_id};
  const Json& replicas = value_at(service, "/Spec/Mode/Replicated/Replicas");
  if (replicas.is_number()) view.replicas = replicas.get<uint64_t>();
  const int64_t monitor_ns = integer_at(service, "/Spec/UpdateConfig/Monitor");
  view.monitor = monitor_ns > 0 ? model::Nanoseconds(monitor_ns) : kMonitorDefault;
  view.update_state = text_at(service, "/UpdateStatus/State");
  view.update_message = text_at(service, "/UpdateStatus/Message");

  const Json question = {{"service", {{service_id, true}}}, {"_up-to-date", {{"true", true}}}};
  SKEP_TRY_ASSIGN(const Json tasks, daemon.get("/tasks?filters=" + url_escape(compact(question))));
  add_tasks(tasks, view);
  SKEP_TRY_ASSIGN(const Json nodes, daemon.get("/nodes"));
  for (const Json& node : nodes) {
    if (text_at(node, "/Status/State") != "down") view.live_nodes.insert(text_at(node, "/ID"));
  }
  // A global service has one task for each live node that has got one.
  if (!view.replicas) {
    std::set<std::string> used;
    for (const ProgressTask& task : view.tasks) {
      if (view.live_nodes.contains(task.node)) used.insert(task.node);
    }
    view.eligible_nodes = used.size();
  }
  return view;
}

}  // namespace

Status wait_until_converged(const Daemon& daemon, const std::string& service_id,
                            const ConvergeOptions& options) {
  Interrupt interrupt;
  Progress progress;
  Display display(options.quiet);
  while (true) {
    SKEP_TRY_ASSIGN(const ProgressView view, look(daemon, service_id));
    const ProgressStep step = progress.step(view, now());
    display.show(step.lines);
    switch (step.end) {
      case ProgressEnd::waiting:
        break;
      case ProgressEnd::succeeded:
        return {};
      case ProgressEnd::failed:
        return fail(ErrorKind::conflict, step.failure);
    }
    if (!interrupt.wait(kLookEveryMs)) continue;
    if (!progress.converged()) {
      std::printf(
          "Operation continuing in background.\n"
          "Use `skep service ps %s` to check progress.\n",
          service_id.c_str());
    }
    return {};
  }
}

}  // namespace skep::cli
