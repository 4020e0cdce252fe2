// `skep playground ...`: a whole cluster on one machine, for the demo, tests and driver authors.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace skep::cli {

// Registers the family "playground" and the hidden command that a node's init process is.
void add_playground_commands(CLI::App& app);

}  // namespace skep::cli
