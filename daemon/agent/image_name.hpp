// The two spellings of an image: "httpd", as people write it, and
// "docker.io/library/httpd:latest", as a runtime stores it.
//
// normalize() goes from any accepted spelling to the full one, familiar() back to the shortest that
// normalizes to the same. What can't be a reference is refused with Docker's words, because clients
// show them. A reference of 64 hex digits is refused as a name (it could only be an image id). The
// surprise: the first part is a registry only when it has a dot or a colon, or is "localhost"; so
// "team/web" is docker.io/team/web. Pure.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/model/result.hpp"

namespace skep::agent {

// "httpd" -> "docker.io/library/httpd:latest"; "r:5000/a@sha256:..." stays. A name with tag and
// digest keeps both. Errors: invalid "invalid reference format" (with a reason where Docker has
// one).
Result<std::string> normalize_image_name(std::string_view reference);

// "docker.io/library/httpd:2.4" -> "httpd:2.4". Tags are kept, also "latest". A text that is no
// reference comes back as it is.
std::string familiar_image_name(std::string_view reference);

// Whether the reference is pinned by digest, so that a local copy is known to be the right one.
bool image_name_has_digest(std::string_view reference);

// Whether the text is an image id: "sha256:" and 64 hex digits, or 4 to 64 hex digits.
bool looks_like_image_id(std::string_view text);

}  // namespace skep::agent
