// The one header that knows which library provides std::expected's shape.
//
// C++20 has no std::expected; Debian's libexpected-dev has tl::expected with the same semantics.
// Everyone else spells skep::Result (result.hpp), so the day the standard one is available this
// file is the whole migration.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tl/expected.hpp>
