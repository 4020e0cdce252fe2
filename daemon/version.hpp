// The version of this build, from the one place that has it: project() in CMakeLists.txt.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace skep {

inline constexpr char kVersion[] = SKEP_VERSION;

}  // namespace skep
