// The grammar of `--mount`: comma-separated key=value pairs, as Docker's command takes them.
//
// The whole is one record of comma-separated values: a field in double quotes may hold commas
// ("volume-opt=o=addr=10.0.0.1,rw"), and a doubled quote in it is one quote. Keys, and values that
// are words of Docker's, may be written in capitals. Pure.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/json.hpp"
#include "core/model/result.hpp"

namespace skep::cli {

// "type=volume,source=data,target=/data,..." as the Engine API's Mount. Errors: invalid, in
// Docker's words.
Result<Json> parse_mount(const std::string& text);

}  // namespace skep::cli
