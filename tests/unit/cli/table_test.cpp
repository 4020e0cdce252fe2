// The look of lists.
// SPDX-License-Identifier: Apache-2.0
#include "cli/table.hpp"

#include <catch2/catch.hpp>

using skep::cli::format_table;

TEST_CASE("columns are as wide as their widest cell and three spaces, at least ten") {
  CHECK(format_table({{"ID", "A LONG HEADING", "PORTS"}, {"abcdefghijkl", "x", ""}}) ==
        "ID             A LONG HEADING   PORTS\n"
        "abcdefghijkl   x                \n");
  CHECK(format_table({{"ID", "NAME"}}) == "ID        NAME\n");
}

TEST_CASE("width is counted in characters, not bytes") {
  CHECK(format_table({{"0123456789…", "B"}, {"01234567890", "C"}}) ==
        "0123456789…   B\n01234567890   C\n");
}
