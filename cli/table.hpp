// Columns of text, as docker prints its lists: left-aligned, three spaces apart, none narrower than
// ten characters, no padding behind the last one.
//
// Debian packages no C++ table printer; libsmartcols fits columns to the terminal, which docker's
// lists don't. Width is counted in code points.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace skep::cli {

using TableRow = std::vector<std::string>;

// One line per row, each ending in a newline. Rows may differ in length.
std::string format_table(const std::vector<TableRow>& rows);

}  // namespace skep::cli
