/* The words of a lock: what a released minor of the contract promised, as static assertions.
 *
 * Each says one fact of the headers that a compiled driver has built in: where a field is, what
 * type it has, what number a constant is. A fact that changed doesn't compile. What was appended
 * behind the locked fields is no change: sizes are locked from below.
 *
 * A lock holds for 64-bit machines, the only ones that skep runs on.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEP_LOCK_H
#define SKEP_LOCK_H

#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void*) == 8, "the layouts are those of 64-bit machines");

/* The struct has at least the size it had. */
#define LOCK_SIZE(type, bytes) \
  _Static_assert(sizeof(type) >= (bytes), #type " is shorter than it was")

/* The struct has that size for ever: it is passed by value, or read from a file. */
#define LOCK_EXACT(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

/* A field stands where it stood, and has the type that it had. */
#define LOCK_FIELD(type, field, offset, ...)                                        \
  _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved"); \
  _Static_assert(_Generic(((type*)0)->field, __VA_ARGS__ : 1, default : 0),         \
                 #type "." #field " has another type")

/* The same of an array, which has a length too. */
#define LOCK_ARRAY(type, field, offset, element, length)                            \
  _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved"); \
  _Static_assert(_Generic(&((type*)0)->field[0], element * : 1, default : 0) &&     \
                     sizeof(((type*)0)->field) == (length) * sizeof(element),       \
                 #type "." #field " has another type")

/* A slot of a table: skep_call, spelled out, so that a change of its parts is seen too. */
#define LOCK_SLOT(type, field, offset) \
  LOCK_FIELD(type, field, offset, int32_t (*)(void*, skep_op*, skep_str))

/* A constant is the number that it was. */
#define LOCK_VALUE(name, number) _Static_assert((name) == (number), #name " has another value")

/* A text is what it was. */
#define LOCK_TEXT(name, text)                                                                 \
  _Static_assert(sizeof(name) == sizeof(text) && !__builtin_memcmp(name, text, sizeof(text)), \
                 #name " has another text")

/* A function has the type that it had. */
#define LOCK_FUNCTION(name, ...) \
  _Static_assert(_Generic(&(name), __VA_ARGS__ : 1, default : 0), #name " has another type")

#endif
