// quotactl_fd(2), which needs no device's path, and the ioctl that gives a folder its project.
// SPDX-License-Identifier: Apache-2.0
#include "quota.hpp"

#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "skep/cpp/driver.hpp"

namespace skep::volume_local {
namespace {

using sdk::Failure;

constexpr uint32_t first_project = 0x736b0000;  // far from what an operator numbers by hand
constexpr uint32_t projects_max = 0x10000;
constexpr int64_t block_bytes = 1024;  // what a limit is counted in

class Folder {
 public:
  explicit Folder(const std::string& path)
      : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail("open");
  }
  ~Folder() { close(descriptor_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  int descriptor() const { return descriptor_; }
  int quotactl(unsigned command, uint32_t id, void* address) const {
    return static_cast<int>(
        syscall(SYS_quotactl_fd, descriptor_, QCMD(command, PRJQUOTA), id, address));
  }
  [[noreturn]] void fail(const char* what) const {
    throw Failure(sdk::detail::code_of_errno(errno),
                  path_ + ": " + what + ": " + std::strerror(errno));
  }

 private:
  std::string path_;
  int descriptor_;
};

bool is_free(const Folder& root, uint32_t project) {
  if_dqblk state = {};
  if (root.quotactl(Q_GETQUOTA, project, &state) != 0) {
    if (errno == ENOENT || errno == ESRCH) return true;
    root.fail("quota");
  }
  return state.dqb_bhardlimit == 0 && state.dqb_curspace == 0 && state.dqb_curinodes == 0;
}

void set_limit(const Folder& root, uint32_t project, int64_t blocks) {
  if_dqblk wanted = {};
  wanted.dqb_bhardlimit = static_cast<uint64_t>(blocks);
  wanted.dqb_bsoftlimit = wanted.dqb_bhardlimit;
  wanted.dqb_valid = QIF_BLIMITS;
  if (root.quotactl(Q_SETQUOTA, project, &wanted) != 0) root.fail("quota");
}

}  // namespace

std::string ProjectQuota::why_not() const {
  fs_quota_statv state = {};
  state.qs_version = FS_QSTATV_VERSION1;
  if (Folder(root_).quotactl(Q_XGETQSTATV, 0, &state) == 0 &&
      (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0) {
    return "";
  }
  return "the file system of " + root_ +
         " has no project quota in force (ext4 or XFS, mounted with prjquota), so the size of a "
         "folder "
         "can't be limited";
}

uint32_t ProjectQuota::limit(const std::string& folder, int64_t bytes) {
  const Folder root(root_);
  const Folder target(folder);
  const int64_t blocks = bytes / block_bytes + (bytes % block_bytes != 0 ? 1 : 0);
  const std::scoped_lock lock(choosing_);
  for (uint32_t project = first_project; project < first_project + projects_max; ++project) {
    if (!is_free(root, project)) continue;
    set_limit(root, project, blocks);
    fsxattr attributes = {};
    if (ioctl(target.descriptor(), FS_IOC_FSGETXATTR, &attributes) != 0) target.fail("project");
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (ioctl(target.descriptor(), FS_IOC_FSSETXATTR, &attributes) != 0) {
      const int number = errno;
      set_limit(root, project, 0);
      errno = number;
      target.fail("project");
    }
    return project;
  }
  throw Failure(SKEP_E_EXHAUSTED, "all 65536 projects for folders with a limit are in use");
}

void ProjectQuota::release(uint32_t project) const {
  set_limit(Folder(root_), project, 0);
}

}  // namespace skep::volume_local
