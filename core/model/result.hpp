// How every room says that something did not work: a value, never an exception.
//
// A Result<T> holds either a T or an Error: a kind, which fixes what the caller does next, and one
// sentence for the person who will read it. Context is added on the way up with `within`, so that
// the person sees "service web: constraint 'node.rol==worker': unknown key", outermost part first.
//
// The kind, not the text, decides the HTTP status, the exit code of the CLI and the code that
// crosses the plugin ABI. All three stand in one table (result.cpp), so they cannot drift apart.
//
// A broken invariant is not an error: it is SKEP_ASSERT, which is on in every build and ends the
// process. It must never depend on what a peer, a user, a plugin or a disk can send.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/model/expected.hpp"

namespace skep {

enum class ErrorKind : uint8_t {
  invalid,          // The request itself is wrong; repeating it unchanged cannot help.
  unauthenticated,  // The caller did not prove who it is.
  denied,           // The caller is known and may not do this.
  not_found,        // The named object does not exist.
  conflict,         // The object's present state forbids it: exists, in use, out of sequence.
  busy,             // In use at this moment; trying again later may work.
  precondition,     // Something else has to happen first (e.g. not a swarm manager).
  too_large,        // Over a size limit that the sentence names.
  exhausted,        // A bounded resource (addresses, slots, disk) is used up.
  unimplemented,    // Known to Docker, not built here yet; the sentence names the field.
  unavailable,      // Not now; trying again later may work.
  unknown_outcome,  // The write may or may not have happened (leadership was lost meanwhile).
  deadline,         // Took longer than it was allowed to; the object must be read again.
  cancelled,        // The caller went away.
  internal,         // A library or the machine failed us; the sentence says which.
  plugin_lost,      // The driver died while it held the call.
};

struct ErrorKindInfo {
  std::string_view name;  // snake_case, as in logs
  int http_status;
  int exit_code;     // of the skep command
  int32_t abi_code;  // SKEP_E_* of sdk/include/skep/abi.h
};

// The one table of what each kind means at the edges.
const ErrorKindInfo& info(ErrorKind kind);

// The kind for a code that a plugin returned; an unknown code is `internal`.
ErrorKind error_kind_from_abi(int32_t abi_code);

// The kind for an HTTP status that a daemon answered (used by the CLI); unknown ones are
// `internal`.
ErrorKind error_kind_from_http(int http_status);

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;  // one sentence for a person: no trailing full stop, no newline

  // The same error told from one level further out: "where: message".
  Error within(std::string_view where) const&;

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return tl::unexpected<Error>(Error{kind, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

[[noreturn]] void assertion_failed(const char* condition, const char* reason, const char* file,
                                   int line);

}  // namespace skep

#define SKEP_CONCAT_(a, b) a##b
#define SKEP_CONCAT(a, b) SKEP_CONCAT_(a, b)

// SKEP_TRY(expr): returns the error of a Status or Result from the enclosing function.
#define SKEP_TRY(expr)                                                 \
  do {                                                                 \
    auto&& skep_try_ = (expr);                                         \
    if (!skep_try_) return ::skep::fail(std::move(skep_try_).error()); \
  } while (false)

// SKEP_TRY_ASSIGN(auto x, expr): the same, and binds the value on success.
#define SKEP_TRY_ASSIGN_(tmp, decl, expr)                \
  auto&& tmp = (expr);                                   \
  if (!tmp) return ::skep::fail(std::move(tmp).error()); \
  decl = std::move(*tmp)
#define SKEP_TRY_ASSIGN(decl, expr) SKEP_TRY_ASSIGN_(SKEP_CONCAT(skep_try_, __LINE__), decl, expr)

// In coroutines `return` is not allowed, so the same pair with co_return.
#define SKEP_CO_TRY(expr)                                                 \
  do {                                                                    \
    auto&& skep_try_ = (expr);                                            \
    if (!skep_try_) co_return ::skep::fail(std::move(skep_try_).error()); \
  } while (false)
#define SKEP_CO_TRY_ASSIGN_(tmp, decl, expr)                \
  auto&& tmp = (expr);                                      \
  if (!tmp) co_return ::skep::fail(std::move(tmp).error()); \
  decl = std::move(*tmp)
#define SKEP_CO_TRY_ASSIGN(decl, expr) \
  SKEP_CO_TRY_ASSIGN_(SKEP_CONCAT(skep_try_, __LINE__), decl, expr)

#define SKEP_ASSERT(condition, reason) \
  ((condition) ? void(0) : ::skep::assertion_failed(#condition, reason, __FILE__, __LINE__))
