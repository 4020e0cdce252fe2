/* Lines and their JSON. {"time": RFC 3339 with nanoseconds, "stream": ..., "log": TEXT}: TEXT keeps
 * its newline, so that a reader can put the stream together again exactly; a piece of a line that
 * was too long, or that the container left without a newline at its end, has none, and
 * "partial":true tells a cut. Bytes that are not UTF-8 become U+FFFD, since JSON can't carry them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

/* Length of the valid UTF-8 sequence at `bytes`, 0 when it is none. */
static size_t utf8_length(const unsigned char* bytes, size_t left) {
  const unsigned char first = bytes[0];
  size_t length = 0;
  uint32_t code = 0;
  uint32_t least = 0;
  if (first >= 0xC2 && first < 0xE0) {
    length = 2, code = first & 0x1Fu, least = 0x80;
  } else if (first >= 0xE0 && first < 0xF0) {
    length = 3, code = first & 0x0Fu, least = 0x800;
  } else if (first >= 0xF0 && first < 0xF5) {
    length = 4, code = first & 0x07u, least = 0x10000;
  }
  if (length == 0 || length > left) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((bytes[i] & 0xC0u) != 0x80u) return 0;
    code = (code << 6) | (bytes[i] & 0x3Fu);
  }
  if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return 0;
  return length;
}

/* Appends `bytes` as the inside of a JSON string; at most six bytes come out for each that goes in.
 */
static char* put_escaped(char* out, const char* bytes, size_t length) {
  static const char hex[] = "0123456789abcdef";
  const unsigned char* in = (const unsigned char*)bytes;
  size_t i = 0;
  while (i < length) {
    const unsigned char c = in[i];
    if (c == '"' || c == '\\') {
      *out++ = '\\', *out++ = (char)c;
    } else if (c == '\n') {
      *out++ = '\\', *out++ = 'n';
    } else if (c < 0x20 || c == 0x7F) {
      memcpy(out, "\\u00", 4), out += 4;
      *out++ = hex[c >> 4], *out++ = hex[c & 15];
    } else if (c < 0x80) {
      *out++ = (char)c;
    } else {
      const size_t sequence = utf8_length(in + i, length - i);
      if (sequence == 0) {
        memcpy(out, "\\ufffd", 6), out += 6;
      } else {
        memcpy(out, in + i, sequence), out += sequence;
        i += sequence;
        continue;
      }
    }
    ++i;
  }
  return out;
}

static void emit(struct line* line, struct sink* sink, int partial) {
  static char record[LINE_MAX_BYTES * 6 + 256];
  struct timespec now;
  struct tm utc;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  char* out = record + strftime(record, 64, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &utc);
  out += sprintf(out, ".%09ldZ\",\"stream\":\"%s\",", now.tv_nsec, line->stream);
  if (partial) out += sprintf(out, "\"partial\":true,");
  out += sprintf(out, "\"log\":\"");
  out = put_escaped(out, line->bytes, line->length);
  memcpy(out, "\"}\n", 3), out += 3;
  sink_write(sink, record, (size_t)(out - record));
  line->length = 0;
}

/* Cuts before a UTF-8 sequence that the buffer's end would split, so that a long line of such text
 * survives the cut; what was left out begins the next piece. */
static void emit_full(struct line* line, struct sink* sink) {
  size_t keep = 0;
  for (size_t back = 1; back <= 3; ++back) {
    const unsigned char c = (unsigned char)line->bytes[LINE_MAX_BYTES - back];
    if ((c & 0xC0u) == 0x80u) continue;
    const size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    if (need > back) keep = back;
    break;
  }
  char rest[4];
  memcpy(rest, line->bytes + LINE_MAX_BYTES - keep, keep);
  line->length = LINE_MAX_BYTES - keep;
  emit(line, sink, 1);
  memcpy(line->bytes, rest, keep);
  line->length = keep;
}

void line_feed(struct line* line, struct sink* sink, const char* bytes, size_t length) {
  while (length > 0) {
    const size_t room = LINE_MAX_BYTES - line->length;
    const size_t look = length < room ? length : room;
    const char* newline = memchr(bytes, '\n', look);
    const size_t take = newline ? (size_t)(newline - bytes) + 1 : look;
    memcpy(line->bytes + line->length, bytes, take);
    line->length += take;
    bytes += take;
    length -= take;
    if (newline) {
      emit(line, sink, 0);
    } else if (line->length == LINE_MAX_BYTES) {
      emit_full(line, sink);
    }
  }
}

void line_end(struct line* line, struct sink* sink) {
  if (line->length > 0) emit(line, sink, 0);
}
