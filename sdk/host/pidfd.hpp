// <sys/pidfd.h>, whose declarations in glibc 2.36 forget that C++ may read them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

extern "C" {
#include <sys/pidfd.h>
}
