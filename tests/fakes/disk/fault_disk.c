// A disk that fails on demand under a real daemon: loaded with LD_PRELOAD, told what to do by a file.
//
// Concerns the raft log alone: files below SKEP_FAULT_BELOW whose path there begins with raft. or
// snapshots/. SKEP_FAULT_CONTROL names a file of one line, read at each call:
//
//   eio PART     the next flush of a file with PART in its path fails once; the file is then removed
//   hang PART    flushes of such files wait until the line is gone
//   full PART    writes to such files are refused with ENOSPC while the line is there
//
// A flush that fails takes back what was written to the file since its last good one, as a kernel
// does that drops the pages it could not write: whoever reads again reads what "the disk" holds.
// Calls that are not intercepted (mmap, io_uring) are not used on these files.
// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef ssize_t (*WriteAt)(int, const void*, size_t, off_t);
typedef int (*Sync)(int);

// What a range held before it was written; the newest first.
struct Undo {
  struct Undo* older;
  dev_t device;
  ino_t inode;
  off_t size_before;  // of the file
  off_t offset;
  size_t length;  // that there was to read
  char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct Undo* undo;  // under lock

static WriteAt real_write_at(void) {
  return (WriteAt)dlsym(RTLD_NEXT, "pwrite64");
}

// True for a file of the log; its path below the folder.
static bool of_the_log(int fd, char* path) {
  const char* below = getenv("SKEP_FAULT_BELOW");
  if (below == NULL) return false;
  char link[64], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, target, sizeof target - 1);
  if (size < 0) return false;
  target[size] = '\0';
  const size_t prefix = strlen(below);
  if (strncmp(target, below, prefix) != 0 || target[prefix] != '/') return false;
  strcpy(path, target + prefix + 1);
  return strncmp(path, "raft.", 5) == 0 || strncmp(path, "snapshots", 9) == 0;
}

// True when the control file asks for this fault of this file.
static bool asked(const char* fault, const char* path) {
  const char* control = getenv("SKEP_FAULT_CONTROL");
  if (control == NULL) return false;
  const int fd = open(control, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char line[128];
  const ssize_t size = read(fd, line, sizeof line - 1);
  close(fd);
  if (size <= 0) return false;
  line[size] = '\0';
  char word[16] = "", part[64] = "";
  if (sscanf(line, "%15s %63s", word, part) < 1) return false;
  return strcmp(word, fault) == 0 && strstr(path, part) != NULL;
}

static void remember(int fd, off_t offset, size_t count) {
  struct stat now;
  if (fstat(fd, &now) != 0) return;
  struct Undo* one = malloc(sizeof *one + count);
  if (one == NULL) abort();
  const ssize_t had = pread(fd, one->bytes, count, offset);
  one->device = now.st_dev;
  one->inode = now.st_ino;
  one->size_before = now.st_size;
  one->offset = offset;
  one->length = had > 0 ? (size_t)had : 0;
  one->older = undo;
  undo = one;
}

// Drops what is remembered of the file; `take_back` puts it in its place first.
static void settle(int fd, bool take_back) {
  struct stat now;
  if (fstat(fd, &now) != 0) return;
  for (struct Undo** at = &undo; *at != NULL;) {
    struct Undo* one = *at;
    if (one->device != now.st_dev || one->inode != now.st_ino) {
      at = &one->older;
      continue;
    }
    if (take_back) {
      if (real_write_at()(fd, one->bytes, one->length, one->offset) != (ssize_t)one->length) abort();
      if (ftruncate(fd, one->size_before) != 0) abort();
    }
    *at = one->older;
    free(one);
  }
}

static ssize_t write_at(int fd, const void* bytes, size_t count, off_t offset) {
  char path[PATH_MAX];
  if (!of_the_log(fd, path)) return real_write_at()(fd, bytes, count, offset);
  if (asked("full", path)) {
    errno = ENOSPC;
    return -1;
  }
  pthread_mutex_lock(&lock);
  remember(fd, offset, count);
  const ssize_t written = real_write_at()(fd, bytes, count, offset);
  pthread_mutex_unlock(&lock);
  return written;
}

static int flush(int fd, const char* name) {
  const Sync real = (Sync)dlsym(RTLD_NEXT, name);
  char path[PATH_MAX];
  if (!of_the_log(fd, path)) return real(fd);
  const struct timespec moment = {0, 20 * 1000 * 1000};
  while (asked("hang", path)) nanosleep(&moment, NULL);
  const bool fails = asked("eio", path);
  if (fails) unlink(getenv("SKEP_FAULT_CONTROL"));
  pthread_mutex_lock(&lock);
  const int result = fails ? -1 : real(fd);
  settle(fd, fails);
  pthread_mutex_unlock(&lock);
  if (fails) errno = EIO;
  return result;
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return write_at(fd, bytes, count, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t count, off_t offset) {
  return write_at(fd, bytes, count, offset);
}
int fdatasync(int fd) {
  return flush(fd, "fdatasync");
}
int fsync(int fd) {
  return flush(fd, "fsync");
}
