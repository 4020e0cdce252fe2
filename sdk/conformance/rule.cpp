// The table of rules. Sentences speak to the author of a driver.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/rule.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "core/model/result.hpp"

namespace skep::conformance {
namespace {

constexpr std::array table{
    Rule{"1", "a driver exports exactly one symbol, skep_plugin_query"},
    Rule{"2", "the note in the file and the descriptor in memory tell the same"},
    Rule{"3",
         "every table begins with its size, and a driver works with hosts whose table is shorter "
         "or longer than the one it was built with"},
    Rule{"4",
         "an operation of the contract is there, and one that is not done answers "
         "UNIMPLEMENTED"},
    Rule{"9",
         "requests and replies are UTF-8 JSON documents of the published schema; members that are "
         "not known are ignored"},
    Rule{"11", "an operation completes exactly once, and nothing comes after the instance's end"},
    Rule{"12", "calls for different objects overlap, and calls for one object leave it whole"},
    Rule{"14", "a cancelled operation ends soon, and the object's state can be read afterwards"},
    Rule{"15", "a stream gives its items in order and ends when it is cancelled"},
    Rule{"16", "strings are borrowed for the call, and both sides keep what they need as a copy"},
    Rule{"18", "an error has a code of the list and a sentence that names what is wrong"},
    Rule{"19", "sizes have limits: 128 B of an id, 1 MiB of a request, 8 KiB of an error text"},
    Rule{"20", "secrets come in their own member and are never logged or kept"},
    Rule{"21", "no exception crosses the boundary"},
    Rule{"22", "the library has no unique symbols, so that it shares nothing with another copy"},
    Rule{"23",
         "the library has no undefined symbol, no text relocation and no writable code, and loads "
         "with everything bound at once"},
    Rule{"24", "instances come and go without leaving threads, files or memory behind"},
    Rule{"27", "loading the library changes nothing in the process; work begins with configure"},
    Rule{"30", "no request makes the driver crash or hang"},
    Rule{"34",
         "an operation is named by the id that the host chose: repeated with the same arguments it "
         "has the same success and the same reply"},
    Rule{"35",
         "after a restart come restore for each known object and then restore_done, and only then "
         "may a driver delete what the host did not name"},
    Rule{"36", "the host counts holders; a driver knows them from the list that every call brings"},
    Rule{"38", "probe is cheap and tells ready, not ready and broken apart, with a reason"},
    Rule{"44", "a driver's log lines carry a level and the operation they belong to"},
    Rule{"45", "metrics have names of [a-z0-9_.], at most 64 characters and at most 64 names"},
    Rule{"46",
         "the configuration has a JSON Schema, and what does not fit is refused with the member's "
         "name"},
};

}  // namespace

std::span<const Rule> rules() {
  return table;
}

const Rule& rule(int number) {
  const auto found = std::ranges::find(table, std::to_string(number), &Rule::id);
  SKEP_ASSERT(found != table.end(), "a case names a rule of the table");
  return *found;
}

}  // namespace skep::conformance
