// Fork, run, tell the parent through a file, and clean up behind.
//
// The child is killed with its parent (death signal), and its helpers with it. The result is a file
// beside the scratch folder, not a pipe, so that a child that a driver ended half-way has simply
// written none.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/child.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include "sdk/conformance/engine.hpp"

namespace skep::conformance {
namespace {

constexpr size_t crumb_size = 4096;

std::string finding_text(const Run& run, const Error& error) {
  std::string text;
  if (!run.circumstance().empty()) text = fmt::format("when:      {}\n", run.circumstance());
  if (!run.finding()) return text + "came:      " + error.message;
  const Finding& finding = *run.finding();
  if (!finding.operation.empty()) {
    text += fmt::format("operation: {}\nrequest:   {}\n", finding.operation, finding.request);
  }
  return text + fmt::format("expected:  {}\ncame:      {}", finding.expected, finding.came);
}

Ended body(const Plugin& plugin, const Case& about, const std::string& scratch) {
  Ended ended;
  Run run(plugin, about, scratch);
  const auto begun = Clock::now();
  // A reply of another shape than the case takes for granted throws inside the JSON library.
  try {
    if (const Status status = about.run(run)) {
      ended.verdict = Verdict::passed;
    } else if (run.skipped()) {
      ended.verdict = Verdict::skipped;
      ended.text = *run.skipped();
    } else {
      ended.text = finding_text(run, status.error());
    }
  } catch (const json::exception& bad) {
    ended.text =
        fmt::format("expected:  replies of the published shape\ncame:      {}", bad.what());
  }
  ended.observations = run.take_observations();
  ended.took_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
  return ended;
}

void write_result(const Ended& ended, const std::string& path) {
  json observations = json::array();
  for (const Observation& one : ended.observations) {
    observations.push_back({{"rule", one.rule}, {"text", one.text}});
  }
  const json document{{"verdict", static_cast<int>(ended.verdict)},
                      {"text", ended.text},
                      {"took_ms", ended.took_ms},
                      {"observations", observations}};
  std::ofstream file(path + ".new");
  file << document.dump(-1, ' ', false, json::error_handler_t::replace);
  file.close();
  std::filesystem::rename(path + ".new", path);
}

std::optional<Ended> read_result(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  const json document = json::parse(file, nullptr, false);
  if (!document.is_object()) return std::nullopt;
  Ended ended;
  ended.verdict = static_cast<Verdict>(document.at("verdict").get<int>());
  ended.text = document.at("text").get<std::string>();
  ended.took_ms = document.at("took_ms").get<int64_t>();
  for (const json& one : document.at("observations")) {
    ended.observations.push_back({one.at("rule").get<int>(), one.at("text").get<std::string>()});
  }
  return ended;
}

// Waits for the child at most `limit_s`; its wait status, or nothing when it had to be killed.
std::optional<int> wait_for(pid_t child, int limit_s) {
  const int handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  const auto until = Clock::now() + std::chrono::seconds(limit_s);
  bool in_time = handle >= 0;
  while (in_time) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd watched{handle, POLLIN, 0};
    const int count = poll(&watched, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (count > 0) break;
    if (count == 0) in_time = false;
  }
  if (handle >= 0) close(handle);
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return in_time ? std::optional(status) : std::nullopt;
}

std::string how_it_died(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  return fmt::format("exited with code {}", WEXITSTATUS(status));
}

// Unmounts what is mounted below and removes the folder; never reaches through a mount.
void take_away(const std::string& scratch) {
  std::vector<std::string> mounts = mounts_below(scratch);
  std::ranges::reverse(mounts);
  for (const std::string& mount : mounts) umount2(mount.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (!mounts_below(scratch).empty()) return;
  std::error_code ignored;  // what stays is in the folder for temporary files
  std::filesystem::remove_all(scratch, ignored);
  std::filesystem::remove(scratch + ".result", ignored);
}

std::string unescaped(std::string_view field) {  // \040 and the like, as in mountinfo
  std::string text;
  for (size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      text += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 +
                                (field[i + 3] - '0'));
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

}  // namespace

std::vector<std::string> mounts_below(const std::string& folder) {
  std::vector<std::string> found;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    const std::string point = unescaped(word);
    if (point == folder || point.starts_with(folder + "/")) found.push_back(point);
  }
  return found;
}

Crumb::Crumb() {
  void* const page =
      mmap(nullptr, crumb_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  page_ = page == MAP_FAILED ? nullptr : static_cast<char*>(page);
}

Crumb::~Crumb() {
  if (page_ != nullptr) munmap(page_, crumb_size);
}

void Crumb::write(std::string_view text) {
  if (page_ == nullptr) return;
  const size_t size = std::min(text.size(), crumb_size - 1);
  std::memcpy(page_, text.data(), size);
  page_[size] = 0;
}

std::string Crumb::read() const {
  return page_ == nullptr ? std::string() : std::string(page_, strnlen(page_, crumb_size));
}

namespace {

constexpr int leavings_limit_s = 60;

// The case's child and its result, or what became of the child.
Ended in_child(const Plugin& plugin, const Case& about, const std::string& scratch);

void take_leavings_away(const Plugin& plugin, const Case& about, const std::string& scratch,
                        Ended& ended) {
  if (ended.verdict != Verdict::failed || about.kind == nullptr) return;
  Case leavings;
  leavings.name = about.name + ".leavings";
  leavings.kind = about.kind;
  leavings.limit_s = leavings_limit_s;
  leavings.run = [kind = about.kind](Run& run) { return kind->take_leavings_away(run); };
  const Ended taken = in_child(plugin, leavings, scratch);
  if (taken.verdict == Verdict::failed) {
    ended.text += "\nand what it left could not be taken away:\n" + taken.text;
  }
}

}  // namespace

Ended run_here(const Plugin& plugin, const Case& about, const std::string& scratch) {
  std::filesystem::create_directories(scratch);
  Ended ended = body(plugin, about, scratch);
  take_away(scratch);
  return ended;
}

Ended run_apart(const Plugin& plugin, const Case& about, const std::string& scratch) {
  std::filesystem::create_directories(scratch);
  Ended ended = in_child(plugin, about, scratch);
  take_leavings_away(plugin, about, scratch, ended);
  take_away(scratch);
  return ended;
}

namespace {

Ended in_child(const Plugin& plugin, const Case& about, const std::string& scratch) {
  const std::string result = scratch + ".result";
  std::error_code ignored;  // usually there is none
  std::filesystem::remove(result, ignored);
  if (plugin.crumb) plugin.crumb->write("");
  const auto begun = Clock::now();
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(exit_cannot_run);
    // A crash shall look like one, whatever the caller does about signals.
    for (const int fatal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTERM}) {
      signal(fatal, SIG_DFL);
    }
    write_result(body(plugin, about, scratch), result);
    std::cout.flush();
    _exit(0);  // without the destructors of a driver's library: some end badly, and none matters
  }
  Ended ended;
  if (child < 0) {
    ended.text = "came:      no process could be made: " + std::string(std::strerror(errno));
    return ended;
  }
  const std::optional<int> status = wait_for(child, about.limit_s);
  std::optional<Ended> told = status == 0 ? read_result(result) : std::nullopt;
  if (told) {
    ended = std::move(*told);
  } else {
    const std::string last = plugin.crumb ? plugin.crumb->read() : std::string();
    ended.text = fmt::format(
        "{}expected:  {}\ncame:      {}",
        last.empty() ? std::string() : fmt::format("operation: {} (the last begun)\n", last),
        status ? "the driver leaves its process alone" : "an end of the case in its time",
        status ? "the process with the driver was " + how_it_died(*status)
               : fmt::format("none within {} s", about.limit_s));
    ended.took_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
  }
  return ended;
}

}  // namespace

}  // namespace skep::conformance
