// A line of `skep plugin run`, understood: which operation with which request, or a word of the
// console itself.
//
//     publish {"volume": "a", "holder": "c1", "holders": []}
//     volume.publish {...}          the same, when another table has a publish too
//     runtime.exec.create {...}     an optional interface is named in full
//     ! remove {"volume": "a"}      has to fail: for scripts that show an error
//
// A bare name is looked for in the tables of the driver's kind first and in skep.base/1 last.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/model/result.hpp"
#include "sdk/host/catalog.hpp"

namespace skep::cli {

struct ConsoleCall {
  const host::Operation* operation = nullptr;
  std::string request;  // a JSON document; "{}" when none was given
  bool has_to_fail = false;
};

struct ConsoleWord {
  std::string word;  // help, ops, log, kill, restart, metrics, quit
  std::string argument;
};

struct Nothing {};  // an empty line or a comment

using ConsoleLine = std::variant<Nothing, ConsoleWord, ConsoleCall>;

// `interfaces` are the ids the plugin names. Errors: invalid, for a word that nobody knows (with
// the nearest one) and for a request that is no JSON object.
Result<ConsoleLine> parse_console_line(std::string_view line,
                                       const std::vector<std::string>& interfaces);

// "volume.publish", "base.probe", "runtime.exec.create".
std::string full_name(const host::Operation& operation);

// The operations of these interfaces, the kind's own first, skep.base/1 last.
std::vector<const host::Operation*> operations_of(const std::vector<std::string>& interfaces);

}  // namespace skep::cli
