// Look, copy, name, move. The copying is left to cp(1), which knows every kind of file there is.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/populate.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <skep/cpp/driver.hpp>
#include <thread>
#include <vector>

namespace skep::containerd {
namespace {

namespace fs = std::filesystem;
using sdk::Failure;

constexpr const char* gathering = ".skep-populate";  // not whole yet
constexpr const char* gathered = ".skep-populated";  // whole, to be moved
constexpr size_t error_text_max = 4096;              // bytes kept of what cp says

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  explicit operator bool() const { return descriptor_ >= 0; }
  operator int() const { return descriptor_; }

 private:
  int descriptor_;
};

Failure failed(const std::string& what) {
  const int why = errno;
  const skep_status code = why == ENOSPC || why == EDQUOT ? SKEP_E_EXHAUSTED : SKEP_E_INTERNAL;
  return Failure(code, "filling the empty volume: " + what + ": " + std::strerror(why));
}

std::vector<std::string> names_in(int folder) {
  const int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* list = again < 0 ? nullptr : fdopendir(again);
  if (list == nullptr) throw failed("reading its folder");
  std::vector<std::string> names;
  while (const dirent* entry = readdir(list)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(list);
  return names;
}

// `target` below `root`, with no link leading out of it; -1 and errno when it isn't there.
int open_in(int root, const std::string& target) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, target.c_str(), &how, sizeof how));
}

std::string read_all(int from) {
  std::string text;
  char bytes[512];
  ssize_t size = 0;
  while ((size = read(from, bytes, sizeof bytes)) > 0 || (size < 0 && errno == EINTR)) {
    if (size > 0 && text.size() < error_text_max) text.append(bytes, static_cast<size_t>(size));
  }
  return text;
}

// Everything in `from` into `to`, and the folder's own owner and mode with it.
void copy(int from, int to) {
  constexpr int from_number = 10;
  constexpr int to_number = 11;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw failed("pipe");
  const File said(ends[0]);
  auto told = std::make_unique<File>(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, from, from_number);
  posix_spawn_file_actions_adddup2(&actions, to, to_number);
  posix_spawn_file_actions_adddup2(&actions, *told, STDERR_FILENO);
  char program[] = "cp";
  char option[] = "-a";
  char source[] = "/proc/self/fd/10/.";
  char target[] = "/proc/self/fd/11/";
  char* const arguments[] = {program, option, source, target, nullptr};
  char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
  char language[] = "LC_ALL=C";
  char* const environment[] = {path, language, nullptr};
  pid_t child = -1;
  errno = posix_spawnp(&child, program, &actions, nullptr, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (errno != 0) throw failed("cp");
  told.reset();
  std::string text = read_all(said);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const bool full = text.find("No space left") != std::string::npos ||
                    text.find("Disk quota exceeded") != std::string::npos;
  text = text.substr(0, text.find('\n'));
  throw Failure(full ? SKEP_E_EXHAUSTED : SKEP_E_INTERNAL,
                "filling the empty volume: " + (text.empty() ? "cp was killed" : text));
}

// Renames, so that nothing is there twice; may be cut off and begun again.
void move_up(int folder) {
  const File whole(openat(folder, gathered, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!whole) throw failed(gathered);
  struct stat of {};
  if (fstat(whole, &of) != 0 || fchown(folder, of.st_uid, of.st_gid) != 0 ||
      fchmod(folder, of.st_mode & 07777) != 0) {
    throw failed("its owner and mode");
  }
  for (const std::string& name : names_in(whole)) {
    if (renameat(whole, name.c_str(), folder, name.c_str()) != 0) throw failed(name);
  }
  if (unlinkat(folder, gathered, AT_REMOVEDIR) != 0) throw failed(gathered);
}

void fill(int folder, const std::string& path, int from) {
  if (flock(folder, LOCK_EX) != 0) throw failed("lock");
  bool whole = false;
  bool begun = false;
  for (const std::string& name : names_in(folder)) {
    if (name == gathered) {
      whole = true;
    } else if (name == gathering) {
      begun = true;
    }
  }
  if (whole) return move_up(folder);
  if (names_in(folder).size() > (begun ? 1u : 0u)) return;  // somebody's data
  if (begun) fs::remove_all(fs::path(path) / gathering);
  if (mkdirat(folder, gathering, 0700) != 0) throw failed(gathering);
  const File to(openat(folder, gathering, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!to) throw failed(gathering);
  copy(from, to);
  if (syncfs(folder) != 0) throw failed("sync");
  if (renameat(folder, gathering, folder, gathered) != 0) throw failed(gathered);
  move_up(folder);
}

// In a mount namespace of this thread alone.
void show_layers(const RootLayers& layers, const fs::path& cover) {
  std::string options = "lowerdir=";
  for (const fs::path& layer : layers) {
    if (options.back() != '=') options += ':';
    options += layer.string();
  }
  if (unshare(CLONE_NEWNS) != 0) throw failed("a mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw failed("/");
  if (mount("overlay", cover.c_str(), "overlay", MS_RDONLY, options.c_str()) != 0) {
    throw failed("the image's layers");
  }
}

void fill_from(int folder, const std::string& path, const std::string& target,
               const RootLayers& layers, const fs::path& cover) {
  if (layers.size() > 1) show_layers(layers, cover);
  const fs::path& root_path = layers.size() > 1 ? cover : layers.front();
  const File root(open(root_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) throw failed(root_path.string());
  const File from(open_in(root, target));
  if (!from && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return;
  if (!from) throw failed(target);
  fill(folder, path, from);
}

}  // namespace

void populate(const std::string& folder, const std::string& target, const RootLayers& layers,
              const fs::path& cover) {
  if (layers.empty()) return;
  const File volume(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!volume) throw failed(folder);
  std::exception_ptr failure;
  std::thread work([&] {
    try {
      fill_from(volume, folder, target, layers, cover);
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
  });
  work.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace skep::containerd
