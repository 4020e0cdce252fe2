/* skep-log: what its three parts share. A line is cut out of a byte stream (line.c), told as one
 * JSON object, and appended to a file that is rotated by size (sink.c); main.c reads the two pipes.
 * Nothing here waits for anything but the pipes, and a full disk loses lines rather than stopping
 * the container.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_LOG_H
#define SKEP_LOG_H

#include <stddef.h>
#include <stdint.h>

#define LINE_MAX_BYTES \
  (16u << 10) /* a longer line is told in pieces, each but the last "partial" */

/* The rotated file. */
struct sink {
  char directory[4000];
  int64_t max_bytes; /* 0: never rotated */
  int max_files;     /* the current one included; at least 1 */
  int fd;            /* -1 while it could not be opened */
  int64_t size;
};

/* Makes the folder and opens json.log in it for appending. 0, or -1 with errno. */
int sink_open(struct sink* sink);
/* Appends one record that is never split over two files. */
void sink_write(struct sink* sink, const char* record, size_t length);

/* One of the container's two outputs. */
struct line {
  const char* stream; /* "stdout" or "stderr" */
  size_t length;
  char bytes[LINE_MAX_BYTES];
};

/* Takes bytes as they came and writes every line that is complete. */
void line_feed(struct line* line, struct sink* sink, const char* bytes, size_t length);
/* Writes what is left when the stream has ended. */
void line_end(struct line* line, struct sink* sink);

#endif
