/* The rotated file: json.log is the current one, json.log.1 the one before it, and so on up to
 * json.log.(max_files - 1), after which the oldest is dropped. A reader that follows json.log sees
 * its inode change. Each record is written at once with one write(2); a record that can't be
 * written (disk full, folder gone) is dropped, and the file is opened anew before the next.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static void path_of(const struct sink* sink, int number, char* path, size_t size) {
  if (number == 0) {
    snprintf(path, size, "%s/json.log", sink->directory);
  } else {
    snprintf(path, size, "%s/json.log.%d", sink->directory, number);
  }
}

static int open_current(struct sink* sink) {
  char path[4096];
  path_of(sink, 0, path, sizeof path);
  sink->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (sink->fd < 0) return -1;
  struct stat about;
  sink->size = fstat(sink->fd, &about) == 0 ? (int64_t)about.st_size : 0;
  return 0;
}

int sink_open(struct sink* sink) {
  if (mkdir(sink->directory, 0750) != 0 && errno != EEXIST) return -1;
  return open_current(sink);
}

static void rotate(struct sink* sink) {
  char from[4096];
  char to[4096];
  close(sink->fd);
  sink->fd = -1;
  if (sink->max_files <= 1) {
    path_of(sink, 0, from, sizeof from);
    unlink(from);
  }
  for (int number = sink->max_files - 1; number >= 1; --number) {
    path_of(sink, number - 1, from, sizeof from);
    path_of(sink, number, to, sizeof to);
    rename(from, to); /* a missing one is not an error: the row fills up over time */
  }
}

void sink_write(struct sink* sink, const char* record, size_t length) {
  if (sink->fd >= 0 && sink->max_bytes > 0 && sink->size > 0 &&
      sink->size + (int64_t)length > sink->max_bytes) {
    rotate(sink);
  }
  if (sink->fd < 0 && sink_open(sink) != 0) return;
  size_t done = 0;
  while (done < length) {
    const ssize_t written = write(sink->fd, record + done, length - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      /* Half a record would spoil the next one: take it back. */
      if (done > 0 && ftruncate(sink->fd, (off_t)sink->size) != 0) close(sink->fd), sink->fd = -1;
      return;
    }
    done += (size_t)written;
  }
  sink->size += (int64_t)length;
}
