// What a driver says is UTF-8 by contract; here is how a host finds out, and what it does when not.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace skep::host {

// Whether `text` is UTF-8: no overlong form, no surrogate, nothing above U+10FFFF, nothing cut off.
bool is_utf8(std::string_view text);

// At most `bytes_max` of `text`, cut where a character begins; each byte that is no UTF-8 becomes
// '?'.
std::string readable(std::string_view text, size_t bytes_max);

}  // namespace skep::host
