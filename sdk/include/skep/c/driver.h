/* A driver in C: what every driver checks of every request, and the way from the host's calls to
 * functions.
 *
 * A driver keeps a struct that begins with skep_driver, and writes each operation as
 *
 *     static skep_status create(struct driver *self, const cJSON *request, cJSON *reply,
 *                               skep_failure *why);
 *
 * which fills in the reply, or returns skep_fail(why, SKEP_E_..., "sentence"). SKEP_CALL(create, 1)
 * makes the table's function call_create of it; that one refuses what is no JSON object in UTF-8,
 * what comes before configure and after drain, completes exactly once, and overwrites the request's
 * secrets.
 *
 * JSON is cJSON's (Debian: libcjson-dev), which reads numbers as double: whole numbers up to 2^53
 * are exact. Everything here is static inline, so that the library exports nothing of it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_C_DRIVER_H
#define SKEP_C_DRIVER_H

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "skep/abi.h"

/* What went wrong, for a person. */
typedef struct skep_failure {
  char text[512];
} skep_failure;

/* What every driver has; the first member of its own struct. */
typedef struct skep_driver {
  skep_instance instance;
  const skep_host* host;
  atomic_int configured; /* set by the driver's configure */
  atomic_int draining;
} skep_driver;

typedef skep_status skep_operation(void* self, const cJSON* request, cJSON* reply,
                                   skep_failure* why);

/* Writes the sentence, and gives the code back, to be returned. */
__attribute__((format(printf, 3, 4))) static inline skep_status skep_fail(skep_failure* why,
                                                                          skep_status code,
                                                                          const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int length = vsnprintf(why->text, sizeof why->text, format, values);
  va_end(values);
  size_t end = sizeof why->text - 1;
  if (length < 0 || (size_t)length <= end) return code;
  /* It was cut: not inside a character. */
  while (end > 0 && ((unsigned char)why->text[end - 1] & 0xc0u) == 0x80u) --end;
  why->text[end > 0 ? end - 1 : 0] = '\0';
  return code;
}

/* The failure that errno tells; `what` is what it happened to. */
static inline skep_status skep_fail_errno(skep_failure* why, const char* what) {
  const int number = errno;
  skep_status code = SKEP_E_INTERNAL;
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      code = SKEP_E_EXHAUSTED;
      break;
    case EBUSY:
      code = SKEP_E_BUSY;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = SKEP_E_DENIED;
      break;
    default:
      break;
  }
  return skep_fail(why, code, "%s: %s", what, strerror(number));
}

/* The operation whose function runs on this thread; one for all files of a driver, and not
 * exported. */
__attribute__((weak, visibility("hidden"))) _Thread_local skep_op* skep_running = NULL;

/* For an operation that takes long, to be called again and again: SKEP_OK while its result is
 * waited for, else the failure to end with at once. A process whose driver goes on after that is
 * killed half a second after the deadline, and takes all its other calls along. */
static inline skep_status skep_wanted(const skep_driver* self, skep_failure* why) {
  if (skep_running == NULL) return SKEP_OK;
#ifdef CLOCK_MONOTONIC /* not in strict C11: there the host's cancelling alone tells */
  const int64_t deadline = self->host->deadline_ms(self->host, skep_running);
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (deadline >= 0 && (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 >= deadline) {
    return skep_fail(why, SKEP_E_DEADLINE, "it took longer than the time it had");
  }
#endif
  if (self->host->cancelled(self->host, skep_running)) {
    return skep_fail(why, SKEP_E_CANCELLED, "nobody waits for it any more");
  }
  return SKEP_OK;
}

/* ---- reading a request ---- */

/* The member, or NULL; null counts as absent. */
static inline const cJSON* skep_member(const cJSON* object, const char* name) {
  const cJSON* found = cJSON_GetObjectItemCaseSensitive(object, name);
  return cJSON_IsNull(found) ? NULL : found;
}

/* A text that must be there. Borrowed from the request, as everything below. */
static inline skep_status skep_text(const cJSON* object, const char* name, const char** text,
                                    skep_failure* why) {
  *text = ""; /* in any case something: a caller may look at it before the status */
  const cJSON* found = skep_member(object, name);
  if (found == NULL) return skep_fail(why, SKEP_E_INVALID, "\"%s\" is missing", name);
  if (!cJSON_IsString(found)) return skep_fail(why, SKEP_E_INVALID, "\"%s\" must be text", name);
  *text = found->valuestring;
  return SKEP_OK;
}

/* The name of an object. */
static inline skep_status skep_id(const cJSON* object, const char* name, const char** id,
                                  skep_failure* why) {
  const skep_status status = skep_text(object, name, id, why);
  if (status != SKEP_OK) return status;
  const size_t length = strlen(*id);
  if (length >= 1 && length <= SKEP_ID_MAX) return SKEP_OK;
  return skep_fail(why, SKEP_E_INVALID, "\"%s\" must have 1 to 128 bytes", name);
}

/* An id that may become the name of a file. */
static inline skep_status skep_file_name(const cJSON* object, const char* name, const char** id,
                                         skep_failure* why) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  const skep_status status = skep_id(object, name, id, why);
  if (status != SKEP_OK) return status;
  const char* rest = *id;
  if (strspn(rest, letters) >= 1) {
    while (*rest != '\0' && (strchr(letters, *rest) != NULL || strchr("_.-", *rest) != NULL))
      ++rest;
    if (*rest == '\0') return SKEP_OK;
  }
  return skep_fail(
      why, SKEP_E_INVALID,
      "\"%s\" must be letters, digits, '_', '.' and '-', with a letter or a digit first", name);
}

/* A whole number from `lowest` to `highest` (at most 2^53). *number is kept when the member is
 * absent. */
static inline skep_status skep_integer(const cJSON* object, const char* name, int64_t lowest,
                                       int64_t highest, int64_t* number, skep_failure* why) {
  const cJSON* found = skep_member(object, name);
  if (found == NULL) return SKEP_OK;
  const double value = cJSON_IsNumber(found) ? found->valuedouble : (double)lowest - 1;
  if (value >= (double)lowest && value <= (double)highest && (double)(int64_t)value == value) {
    *number = (int64_t)value;
    return SKEP_OK;
  }
  return skep_fail(why, SKEP_E_INVALID, "\"%s\" must be a whole number from %lld to %lld", name,
                   (long long)lowest, (long long)highest);
}

/* A list of texts that must be there. */
static inline skep_status skep_texts(const cJSON* object, const char* name, const cJSON** list,
                                     skep_failure* why) {
  *list = skep_member(object, name);
  if (*list == NULL) return skep_fail(why, SKEP_E_INVALID, "\"%s\" is missing", name);
  if (!cJSON_IsArray(*list)) return skep_fail(why, SKEP_E_INVALID, "\"%s\" must be a list", name);
  const cJSON* entry;
  cJSON_ArrayForEach(entry, *list) {
    if (!cJSON_IsString(entry)) {
      return skep_fail(why, SKEP_E_INVALID, "\"%s\" must hold texts", name);
    }
  }
  return SKEP_OK;
}

/* ---- from the host's calls to functions ---- */

static inline int skep_is_utf8(const char* text, size_t size) {
  for (size_t i = 0; i < size;) {
    const unsigned char first = (unsigned char)text[i];
    const size_t more = first < 0x80   ? 0
                        : first < 0xc2 ? 9
                        : first < 0xe0 ? 1
                        : first < 0xf0 ? 2
                                       : 3;
    if (first > 0xf4 || more == 9 || i + more >= size) return 0;
    unsigned value = more == 0 ? first : first & (0x3fu >> more);
    for (size_t k = 1; k <= more; ++k) {
      const unsigned char next = (unsigned char)text[i + k];
      if ((next & 0xc0u) != 0x80u) return 0;
      value = value << 6 | (next & 0x3fu);
    }
    if (more == 2 && (value < 0x800 || (value >= 0xd800 && value < 0xe000))) return 0;
    if (more == 3 && (value < 0x10000 || value > 0x10ffff)) return 0;
    i += more + 1;
  }
  return 1;
}

/* A text of cJSON ends at its first NUL, so that "v1\u0000x" would be read as "v1": somebody else's
 * name. A document with one, as a byte or escaped, is refused as a whole. */
static inline int skep_has_nul(const char* text, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (text[i] == '\0') return 1;
    if (text[i] != '\\' || i + 1 >= size) continue;
    ++i; /* the character behind it, so that \\u0000 is what it says */
    if (text[i] == 'u' && size - i > 4 && memcmp(text + i + 1, "0000", 4) == 0) return 1;
  }
  return 0;
}

static inline cJSON* skep_parse(skep_str text) {
  if (text.ptr == NULL || text.len > SKEP_REQUEST_MAX || !skep_is_utf8(text.ptr, text.len) ||
      skep_has_nul(text.ptr, text.len))
    return NULL;
  const char* end = NULL;
  cJSON* document = cJSON_ParseWithLengthOpts(text.ptr, text.len, &end, 0);
  while (document != NULL && end < text.ptr + text.len && strchr(" \t\r\n", *end) != NULL) ++end;
  if (cJSON_IsObject(document) && end == text.ptr + text.len) return document;
  cJSON_Delete(document);
  return NULL;
}

/* Overwrites every text in the request's member "secrets". */
static inline void skep_forget_secrets(cJSON* request) {
  cJSON* secret;
  cJSON_ArrayForEach(secret, cJSON_GetObjectItemCaseSensitive(request, "secrets")) {
    if (!cJSON_IsString(secret)) continue;
    for (volatile char* at = secret->valuestring; *at != '\0'; ++at) *at = '\0';
  }
}

static inline skep_str skep_view(const char* text) {
  const skep_str made = {text, text == NULL ? 0 : strlen(text)};
  return made;
}

/* A line for the daemon's log; op is the operation it belongs to, or NULL. */
static inline void skep_log(const skep_driver* self, skep_op* op, int32_t level, const char* text) {
  self->host->log(self->host, op, level, skep_view(text));
}

/* `serves`: the operation is one for which the driver must be in service. */
static inline skep_status skep_run(skep_driver* self, skep_op* op, skep_str text,
                                   skep_operation* body, int serves) {
  skep_failure why = {""};
  skep_status status;
  cJSON* reply = cJSON_CreateObject();
  cJSON* request = skep_parse(text);
  if (request == NULL) {
    status = skep_fail(&why, SKEP_E_INVALID,
                       "the request is not a JSON object in UTF-8 of at most 1 MiB without NUL");
  } else if (serves && self->draining) {
    status = skep_fail(&why, SKEP_E_UNAVAILABLE, "the driver is being drained");
  } else if (serves && !self->configured) {
    status = skep_fail(&why, SKEP_E_PRECONDITION, "configure comes before any operation");
  } else {
    skep_op* const outer = skep_running;
    skep_running = op;
    status = body(self, request, reply, &why);
    skep_running = outer;
  }
  /* After some failures what `reply` holds is the detail; {} is none. */
  const int told = status == SKEP_OK || (reply != NULL && reply->child != NULL);
  char* document = told ? cJSON_PrintUnformatted(reply) : NULL;
  if (status == SKEP_OK && document == NULL) {
    status = skep_fail(&why, SKEP_E_EXHAUSTED, "out of memory");
  }
  self->host->complete(self->host, op, status, skep_view(document), skep_view(why.text));
  cJSON_free(document);
  skep_forget_secrets(request);
  cJSON_Delete(request);
  cJSON_Delete(reply);
  return SKEP_PENDING; /* complete() has told the rest */
}

/* call_NAME, for a table, of the function NAME. */
#define SKEP_CALL(NAME, SERVES)                                                  \
  static skep_status body_##NAME(void* self, const cJSON* request, cJSON* reply, \
                                 skep_failure* why) {                            \
    return NAME(self, request, reply, why);                                      \
  }                                                                              \
  static skep_status call_##NAME(void* self, skep_op* op, skep_str request) {    \
    return skep_run(self, op, request, body_##NAME, SERVES);                     \
  }

/* drain and shutdown for a driver that has nothing more to do for them. */
static inline skep_status skep_do_drain(void* self, const cJSON* request, cJSON* reply,
                                        skep_failure* why) {
  (void)request, (void)reply, (void)why;
  ((skep_driver*)self)->draining = 1;
  return SKEP_OK;
}
static inline skep_status skep_do_nothing(void* self, const cJSON* request, cJSON* reply,
                                          skep_failure* why) {
  (void)self, (void)request, (void)reply, (void)why;
  return SKEP_OK;
}
static inline skep_status skep_call_drain(void* self, skep_op* op, skep_str request) {
  return skep_run((skep_driver*)self, op, request, skep_do_drain, 0);
}
static inline skep_status skep_call_shutdown(void* self, skep_op* op, skep_str request) {
  return skep_run((skep_driver*)self, op, request, skep_do_nothing, 0);
}

#endif
