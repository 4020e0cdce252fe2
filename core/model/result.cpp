// The table behind ErrorKind, and the end of the process when an invariant is broken.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/result.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace skep {
namespace {

// In the order of the enumerators. ABI codes are those of sdk/include/skep/abi.h; a unit test
// compares the two, because core must not include the SDK.
constexpr std::array<ErrorKindInfo, 16> kKinds = {{
    {"invalid", 400, 2, -1},
    {"unauthenticated", 401, 4, -8},
    {"denied", 403, 4, -8},
    {"not_found", 404, 3, -2},
    {"conflict", 409, 5, -3},
    {"busy", 409, 5, -4},
    {"precondition", 503, 6, -6},
    {"too_large", 413, 2, -1},
    {"exhausted", 503, 6, -7},
    {"unimplemented", 501, 7, -9},
    {"unavailable", 503, 6, -5},
    {"unknown_outcome", 503, 6, -5},
    {"deadline", 504, 8, -11},
    {"cancelled", 499, 8, -10},
    {"internal", 500, 1, -12},
    {"plugin_lost", 500, 1, -13},
}};

}  // namespace

const ErrorKindInfo& info(ErrorKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

ErrorKind error_kind_from_abi(int32_t abi_code) {
  if (abi_code == -8) return ErrorKind::denied;       // shared by two kinds
  if (abi_code == -5) return ErrorKind::unavailable;  // shared by two kinds
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i].abi_code == abi_code) return static_cast<ErrorKind>(i);
  }
  return ErrorKind::internal;
}

ErrorKind error_kind_from_http(int http_status) {
  if (http_status == 503) return ErrorKind::unavailable;
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i].http_status == http_status) return static_cast<ErrorKind>(i);
  }
  return ErrorKind::internal;
}

Error Error::within(std::string_view where) const& {
  Error outer{kind, std::string(where)};
  outer.message += ": ";
  outer.message += message;
  return outer;
}

void assertion_failed(const char* condition, const char* reason, const char* file, int line) {
  std::fprintf(stderr, "skep: broken invariant: %s (%s) at %s:%d\n", reason, condition, file, line);
  std::abort();
}

}  // namespace skep
