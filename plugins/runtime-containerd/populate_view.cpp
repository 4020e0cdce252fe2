// Mounts, and cp(1) and rm(1), which know every kind of file there is.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/populate_view.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace skep::containerd {
namespace {

namespace fs = std::filesystem;
using sdk::Failure;

constexpr size_t error_text_max = 4096;     // bytes kept of what a program says
constexpr int first_moved_descriptor = 20;  // where none is that a program is given by its number

// `target` below `root`, with no link leading out of it; -1 and errno when it isn't there.
int open_in(int root, const std::string& target) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, target.c_str(), &how, sizeof how));
}

void make_folder(const fs::path& path) {
  if (mkdir(path.c_str(), 0700) != 0) throw filling_failed(path.string());
}

void bind_folder(const std::string& from, const fs::path& to) {
  if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw filling_failed(to.string());
  }
}

void set_mount_flags(const fs::path& path, unsigned flags, uint64_t set, uint64_t clear) {
  mount_attr attributes = {};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  if (mount_setattr(AT_FDCWD, path.c_str(), flags, &attributes, sizeof attributes) != 0) {
    throw filling_failed(path.string());
  }
}

// Between vfork and exec: system calls only. The program ends with the thread that began it.
[[noreturn]] void become(char* const* arguments, char* const* environment, int told, int lock) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (dup2(told, STDERR_FILENO) >= 0 && dup(lock) >= 0) {
    execvpe(arguments[0], arguments, environment);
  }
  _exit(127);
}

// What the program says until it ends. Told to stop, it is killed.
std::string hear_out(int said, pid_t child, const Stop& stop) {
  std::string text;
  char bytes[512];
  for (;;) {
    pollfd ends[] = {{said, POLLIN, 0}, {stop.descriptor(), POLLIN, 0}};
    if (poll(ends, 2, -1) < 0) continue;  // EINTR
    if (ends[1].revents != 0) {
      kill(child, SIGKILL);
      return text;
    }
    const ssize_t size = read(said, bytes, sizeof bytes);
    if (size == 0) return text;
    if (size > 0 && text.size() < error_text_max) text.append(bytes, static_cast<size_t>(size));
  }
}

// Throws what the program said when it did not end well.
void run(std::vector<std::string> words, const File& lock, const Stop& stop) {
  stop.check();
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
  char language[] = "LC_ALL=C";
  char* const environment[] = {path, language, nullptr};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw filling_failed("pipe");
  const File said(ends[0]);
  auto told = std::make_unique<File>(ends[1]);
  pid_t child = -1;
  {
    const File moved(fcntl(told->number(), F_DUPFD_CLOEXEC, first_moved_descriptor));
    if (!moved) throw filling_failed("pipe");
    child = vfork();
    if (child == 0) become(arguments.data(), environment, moved.number(), lock.number());
    if (child < 0) throw filling_failed(words[0]);
  }
  told.reset();
  std::string text = hear_out(said.number(), child, stop);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  stop.check();
  const bool full = text.find("No space left") != std::string::npos ||
                    text.find("Disk quota exceeded") != std::string::npos;
  text = text.substr(0, text.find('\n'));
  if (text.empty()) {
    text = words[0] + (WIFEXITED(status)
                           ? " ended with code " + std::to_string(WEXITSTATUS(status))
                           : " was killed by signal " + std::to_string(WTERMSIG(status)));
  }
  throw Failure(full ? SKEP_E_EXHAUSTED : SKEP_E_INTERNAL, "filling the empty volume: " + text);
}

}  // namespace

FillingView::FillingView(const fs::path& cover, const RootLayers& layers, const std::string& target,
                         const std::string& volume)
    : cover_(cover) {
  if (unshare(CLONE_NEWNS) != 0) throw filling_failed("a mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw filling_failed("/");
  const File outside(open(volume.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!outside) throw filling_failed(volume);
  if (mount("tmpfs", cover_.c_str(), "tmpfs", 0, "mode=0700") != 0) {
    throw filling_failed(cover_.string());
  }
  for (const char* name : {"layers", "root", "source", "volume"}) make_folder(cover_ / name);
  show_source(layers, target);
  bind_folder("/proc/self/fd/" + std::to_string(outside.number()), cover_ / "volume");
  close_in(volume);
}

void FillingView::show_source(const RootLayers& layers, const std::string& target) {
  fs::path root_path = layers.front();
  if (layers.size() > 1) {
    root_path = cover_ / "root";
    std::string options = "lowerdir=";
    for (size_t i = 0; i < layers.size(); ++i) {
      const std::string name = std::to_string(i);
      if (symlink(layers[i].c_str(), (cover_ / "layers" / name).c_str()) != 0) {
        throw filling_failed("the image's layers");
      }
      options += (i == 0 ? "" : ":") + name;
    }
    // This thread alone: with its mount namespace it has a working folder of its own.
    if (chdir((cover_ / "layers").c_str()) != 0 ||
        mount("overlay", root_path.c_str(), "overlay", MS_RDONLY, options.c_str()) != 0 ||
        chdir("/") != 0) {
      throw filling_failed("the image's layers");
    }
  }
  const File root(open(root_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) throw filling_failed(root_path.string());
  const File source(open_in(root.number(), target));
  if (!source && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return;
  if (!source) throw filling_failed(target);
  bind_folder("/proc/self/fd/" + std::to_string(source.number()), cover_ / "source");
  has_source_ = true;
}

void FillingView::close_in(const std::string& volume) const {
  set_mount_flags("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, 0);
  set_mount_flags(cover_ / "volume", 0, 0, MOUNT_ATTR_RDONLY);
  if (mount("tmpfs", "/proc", "tmpfs", MS_RDONLY, nullptr) != 0) throw filling_failed(volume);
}

void FillingView::copy_to(const std::string& name, const std::string& copier, const File& lock,
                          const Stop& stop) const {
  // What a container put in the way is taken away, and not written through: a FIFO of the node's
  // can be written to by a link on a read-only mount too.
  run({copier, "-a", (cover_ / "source/.").string(), (cover_ / "volume" / name).string() + "/",
       "--remove-destination"},
      lock, stop);
}

void FillingView::remove(const std::string& name, const File& lock, const Stop& stop) const {
  run({"rm", "-rf", (cover_ / "volume" / name).string()}, lock, stop);
}

}  // namespace skep::containerd
