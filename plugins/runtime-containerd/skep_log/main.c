/* skep-log: the program containerd's shim starts for a container whose output goes to binary://. It
 * reads the container's stdout on fd 3 and stderr on fd 4, closes fd 5 to say that it is ready, and
 * writes JSON lines (line.c) into a rotated file (sink.c) until both streams have ended. Arguments
 * are pairs in any order: dir DIR, max_bytes N, max_files N.
 *
 * It lives and dies with the container, so it does not end at SIGTERM: the shim sends that when it
 * closes the pipes, and their end comes right after it. Nobody reads its exit status (the shim
 * takes the end of fd 5 for readiness, however it came), so the driver makes sure of the folder
 * before it starts one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

enum { fd_stdout = 3, fd_stderr = 4, fd_ready = 5 };

static int read_arguments(int count, char** arguments, struct sink* sink) {
  for (int i = 1; i + 1 < count; i += 2) {
    const char* value = arguments[i + 1];
    if (strcmp(arguments[i], "dir") == 0) {
      if (strlen(value) >= sizeof sink->directory) return -1;
      strcpy(sink->directory, value);
    } else if (strcmp(arguments[i], "max_bytes") == 0) {
      sink->max_bytes = strtoll(value, NULL, 10);
    } else if (strcmp(arguments[i], "max_files") == 0) {
      const long files = strtol(value, NULL, 10);
      sink->max_files = files < 1 ? 1 : files > 1000 ? 1000 : (int)files;
    }
  }
  return sink->directory[0] == '/' ? 0 : -1;
}

int main(int count, char** arguments) {
  static struct sink sink = {.max_files = 1, .fd = -1};
  static struct line lines[2] = {{.stream = "stdout"}, {.stream = "stderr"}};
  static char chunk[64 << 10];
  static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; ++i) signal(ignored[i], SIG_IGN);

  if (read_arguments(count, arguments, &sink) != 0) {
    fputs("usage: skep-log dir DIR [max_bytes N] [max_files N], with dir absolute\n", stderr);
    return 2;
  }
  if (sink_open(&sink) != 0) {
    fprintf(stderr, "skep-log: %s: %s\n", sink.directory, strerror(errno));
    return 1;
  }
  close(fd_ready);

  struct pollfd polled[2] = {{.fd = fd_stdout, .events = POLLIN},
                             {.fd = fd_stderr, .events = POLLIN}};
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    if (poll(polled, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return 1;
    }
    for (int i = 0; i < 2; ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      const ssize_t got = read(polled[i].fd, chunk, sizeof chunk);
      if (got > 0) {
        line_feed(&lines[i], &sink, chunk, (size_t)got);
      } else if (got == 0 || errno != EINTR) {
        line_end(&lines[i], &sink);
        polled[i].fd = -1; /* poll leaves negative ones alone */
      }
    }
  }
  return 0;
}
