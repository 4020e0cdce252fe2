// Small translations between what containerd says and what the contract says: times, signals, image
// references, and the useful part of runc's error texts. Pure functions, no state.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace google::protobuf {
class Timestamp;
}

namespace skep::containerd {

// "2026-01-02T03:04:05.000000006Z".
std::string rfc3339(int64_t seconds, int32_t nanos);
std::string rfc3339(const google::protobuf::Timestamp& time);
std::string now_rfc3339();
// False for a time that containerd left unset (zero, or Go's year 1).
bool is_set(const google::protobuf::Timestamp& time);

// "SIGTERM", "term" or "15" -> 15. Throws Failure(SKEP_E_INVALID).
uint32_t parse_signal(std::string_view text);

// "httpd" -> "docker.io/library/httpd:latest". A tag beside a digest is dropped: containerd's CRI
// stores such an image by its digest alone. An image id ("sha256:...") stays as it is.
std::string normalise_reference(std::string_view reference);
// "docker.io/library/httpd:2.4" -> "docker.io".
std::string registry_of(std::string_view reference);
// "docker.io/library/httpd:2.4" or "...@sha256:..." -> "docker.io/library/httpd".
std::string repository_of(std::string_view reference);

// runc's and containerd's prefixes cut off: what is left tells the user what was wrong.
std::string useful_part(std::string_view runtime_error);
// True when the text says that a program does not exist, or can't be executed.
bool says_missing_program(std::string_view runtime_error);
bool says_not_executable(std::string_view runtime_error);
// True when the text says that an earlier task's folder or container of the same id is in the way.
bool says_remains(std::string_view runtime_error);

// Percent-encoding of a URL's query value.
std::string url_encoded(std::string_view text);
// A value for containerd's filter language, in quotes.
std::string filter_quoted(std::string_view text);

// "sha256:<hex>" of bytes.
std::string sha256_digest(std::string_view bytes);

}  // namespace skep::containerd
