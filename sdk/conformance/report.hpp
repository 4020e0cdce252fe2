// How outcomes are written: a line for a person as each case ends, and a JUnit file for a CI.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>

#include "core/model/result.hpp"
#include "sdk/conformance/kit.hpp"

namespace skep::conformance {

// "ok    volume.remove.held  12 ms", and below a failed one its rules and finding, indented.
void write_line(std::ostream& out, const CaseResult& result);
// "41 passed, 1 failed, 2 skipped in 6.3 s".
void write_summary(std::ostream& out, const KitReport& report);
Status write_junit(const std::string& path, const std::string& plugin, const KitReport& report);

}  // namespace skep::conformance
