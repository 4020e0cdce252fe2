// Reading /proc. A process is signalled through a descriptor that was opened before its command
// line was read once more, so that a number that was given anew meanwhile is never hit.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/strays.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime-containerd/text.hpp"

namespace skep::containerd {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr auto look_interval = 50ms;
constexpr auto patience = 15s;  // containerd gives up its own cleaning after 5 s for each step

struct Shim {
  pid_t pid = 0;
  std::string id;
};

// The container whose shim this is; nothing when it is another program or another containerd's.
std::optional<std::string> container_of(pid_t pid, const Config& config) {
  // By the stream's own functions: a stream iterator throws when the process ends meanwhile.
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  if (words.empty() || !fs::path(words[0]).filename().string().starts_with("containerd-shim")) {
    return std::nullopt;
  }
  const auto value = [&](std::string_view name) -> std::string {
    for (size_t i = 1; i + 1 < words.size(); ++i) {
      if (words[i] == name) return words[i + 1];
    }
    return {};
  };
  std::error_code error;
  const std::string address = value("-address");
  if (address != config.address && !fs::equivalent(address, config.address, error)) {
    return std::nullopt;
  }
  if (value("-namespace") != config.space) return std::nullopt;
  return value("-id");
}

std::vector<Shim> shims_of(const std::set<std::string>& ids, const Config& config) {
  std::vector<Shim> found;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    pid_t pid = 0;
    const auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || rest != name.data() + name.size()) continue;
    const std::optional<std::string> id = container_of(pid, config);
    if (id && ids.contains(*id)) found.push_back({pid, *id});
  }
  return found;
}

bool serves_out_of_nothing(pid_t pid) {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/" + std::to_string(pid) + "/cwd", error);
  return !error && folder.string().ends_with(" (deleted)");
}

void kill_shim(const Shim& shim, const Config& config) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, shim.pid, 0));
  if (process < 0) return;  // it has ended
  if (container_of(shim.pid, config) == shim.id) {
    syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0);
  }
  close(process);
}

// Where containerd's shims listen: a name made of the same three words.
fs::path socket_of(const std::string& id, const Config& config) {
  const std::string digest = sha256_digest(config.address + "/" + config.space + "/" + id);
  return fs::path("/run/containerd/s") / digest.substr(digest.find(':') + 1);
}

// Kills what is lost, or everything once the caller has `given_up`; false when nothing is left.
bool look_once(const Config& config, const std::set<std::string>& ids,
               const std::function<bool(const std::string& id)>& has_task, bool given_up) {
  std::vector<Shim> shims = shims_of(ids, config);
  std::erase_if(shims, [&](const Shim& shim) { return has_task(shim.id); });
  for (const Shim& shim : shims) {
    if (given_up || serves_out_of_nothing(shim.pid)) kill_shim(shim, config);
  }
  return !shims.empty();
}

}  // namespace

void end_strays(const Config& config, const std::set<std::string>& ids,
                const std::function<bool(const std::string& id)>& has_task) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  if (ids.empty()) return;
  while (look_once(config, ids, has_task, std::chrono::steady_clock::now() > deadline)) {
    if (std::chrono::steady_clock::now() > deadline) break;
    std::this_thread::sleep_for(look_interval);
  }
  // A shim that was killed leaves its socket.
  for (const std::string& id : ids) {
    std::error_code ignored;  // it is an empty file, and the next shim of that id takes it over
    const fs::path socket = socket_of(id, config);
    if (fs::exists(socket, ignored) && !has_task(id)) fs::remove(socket, ignored);
  }
}

}  // namespace skep::containerd
