// How the helper ends when its socket does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace skep::host {

// Ends the process at once, whatever its threads do. `error` is the errno of the socket, or 0 at
// its end. A socket that was closed from inside is the driver's fault, and is told on standard
// error.
[[noreturn]] void leave(int error);

}  // namespace skep::host
