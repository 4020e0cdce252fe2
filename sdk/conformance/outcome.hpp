// What an operation came to, with everything a failing check wants to print about it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sdk/host/catalog.hpp"
#include "skep/abi.h"

namespace skep::conformance {

using json = nlohmann::json;

struct Outcome {
  const host::Operation* operation = nullptr;
  std::string request;    // as it was sent
  bool answered = false;  // false: the patience was over first; status is SKEP_E_DEADLINE then
  skep_status status = SKEP_E_INTERNAL;
  std::string error;       // the driver's sentence; of a lost helper how it ended
  std::string reply_text;  // the reply, or the error's optional detail
  json reply;              // the same parsed; null when it is no JSON
  int64_t took_ms = 0;

  bool ok() const { return answered && status == SKEP_OK; }
  // The helper ended while it held the call.
  bool lost() const { return status == SKEP_E_PLUGIN_LOST; }
  // A member of the reply as text; empty when it is absent or something else.
  std::string text(std::string_view member) const;
  // A member of the reply; null when it is absent.
  json member(std::string_view name) const;
};

// "SKEP_E_BUSY", "SKEP_OK"; an unknown code as its number.
std::string status_name(skep_status status);
// "BUSY: held by c1", "OK {...}", "no answer within 5000 ms": for a person, cut to a line.
std::string described(const Outcome& outcome);
// Any text fit for one line: control characters escaped, cut at `max` bytes.
std::string shortened(std::string_view text, size_t max = 300);

}  // namespace skep::conformance
