// Threads of the helper: of a modest stack, because 33 of the usual size would take half of the
// address space that a driver is given. They live as long as the process and are never joined.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace skep::host {

// False when the system gives no thread.
bool start_thread(std::function<void()> body);

}  // namespace skep::host
