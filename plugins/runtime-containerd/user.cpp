// Users and groups. Within layers the first one that has the file counts; a character device 0/0 is
// overlayfs' mark for a file that an upper layer deleted. That a whole /etc was made opaque by an
// upper layer is told by an attribute, and ends the search too.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/user.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "skep/cpp/driver.hpp"

namespace skep::containerd {

namespace {

constexpr size_t file_bytes_max = 1u << 20;  // of /etc/passwd; more is not read

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

int open_inside(int root, const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, path, &how, sizeof how));
}

bool is_whiteout(int root, const char* path) {
  struct stat about {};
  return fstatat(root, path, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(about.st_mode) &&
         about.st_rdev == makedev(0, 0);
}

std::string read_all(int fd) {
  std::string text;
  std::string chunk(16 << 10, '\0');
  ssize_t got = 0;
  while (text.size() < file_bytes_max && (got = read(fd, chunk.data(), chunk.size())) > 0) {
    text.append(chunk, 0, static_cast<size_t>(got));
  }
  return text;
}

// The file's text; empty when no layer has it. `name` is "passwd" or "group".
std::string read_etc(const RootLayers& layers, const char* name) {
  const std::string path = std::string("etc/") + name;
  for (const std::filesystem::path& layer : layers) {
    const Descriptor root(open(layer.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) continue;
    if (is_whiteout(root.get(), "etc") || is_whiteout(root.get(), path.c_str())) return {};
    const Descriptor file(open_inside(root.get(), path.c_str(), O_RDONLY | O_NONBLOCK));
    struct stat about {};
    if (file && fstat(file.get(), &about) == 0 && S_ISREG(about.st_mode))
      return read_all(file.get());
    const std::string etc = layer / "etc";
    char value = 0;
    if (getxattr(etc.c_str(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y') return {};
  }
  return {};
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The fields of each line that has at least `fields_min` of them, until `use` says true.
template <class Use>
void for_each_entry(std::string_view text, size_t fields_min, Use use) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::vector<std::string_view> fields;
    for (;;) {
      const size_t colon = line.find(':');
      fields.push_back(line.substr(0, colon));
      if (colon == std::string_view::npos) break;
      line.remove_prefix(colon + 1);
    }
    if (fields.size() >= fields_min && use(fields)) return;
  }
}

struct PasswdEntry {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

std::optional<PasswdEntry> find_user(std::string_view passwd, std::string_view wanted) {
  std::optional<PasswdEntry> found;
  const std::optional<uint32_t> wanted_id = number(wanted);
  for_each_entry(passwd, 4, [&](const std::vector<std::string_view>& fields) {
    const auto uid = number(fields[2]);
    const auto gid = number(fields[3]);
    if (!uid || !gid || (fields[0] != wanted && uid != wanted_id)) return false;
    found = PasswdEntry{std::string(fields[0]), *uid, *gid};
    return true;
  });
  return found;
}

uint32_t find_group(std::string_view group_file, const std::string& wanted) {
  std::optional<uint32_t> found = number(wanted);
  if (found) return *found;
  for_each_entry(group_file, 3, [&](const std::vector<std::string_view>& fields) {
    if (fields[0] == wanted) found = number(fields[2]);
    return found.has_value();
  });
  if (found) return *found;
  throw sdk::Failure(SKEP_E_INVALID,
                     "unable to find group " + wanted + ": no matching entries in group file");
}

std::vector<uint32_t> groups_of(std::string_view group_file, const std::string& name) {
  std::vector<uint32_t> found;
  for_each_entry(group_file, 4, [&](const std::vector<std::string_view>& fields) {
    std::string_view members = fields[3];
    while (!members.empty()) {
      const size_t comma = std::min(members.find(','), members.size());
      if (members.substr(0, comma) == name) {
        if (const auto gid = number(fields[2])) found.push_back(*gid);
      }
      members.remove_prefix(std::min(comma + 1, members.size()));
    }
    return false;
  });
  return found;
}

}  // namespace

User resolve_user(const std::string& text, const std::vector<std::string>& groups,
                  const RootLayers& layers) {
  const size_t colon = text.find(':');
  const std::string name = text.empty() ? "0" : text.substr(0, colon);
  const std::string passwd = read_etc(layers, "passwd");
  const std::string group_file = read_etc(layers, "group");
  User user;
  const std::optional<PasswdEntry> entry = find_user(passwd, name);
  if (entry) {
    user.uid = entry->uid;
    user.gid = entry->gid;
  } else if (const auto uid = number(name)) {
    user.uid = *uid;
  } else {
    throw sdk::Failure(SKEP_E_INVALID,
                       "unable to find user " + name + ": no matching entries in passwd file");
  }
  if (colon != std::string::npos) {
    user.gid = find_group(group_file, text.substr(colon + 1));
  } else if (entry) {
    user.groups = groups_of(group_file, entry->name);
  }
  for (const std::string& group : groups) user.groups.push_back(find_group(group_file, group));
  return user;
}

}  // namespace skep::containerd
