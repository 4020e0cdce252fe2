// What a driver must be told about after each of its starts: the objects that exist, and what it
// may clear away.
//
// Whoever owns the objects registers a RestoreSource (Plugin::restore_from). It is asked at once
// and again after every restart of the driver's process, so it must answer from what is known now.
// Each object is restored in the order of the list, then restore_done names `ids`; before that no
// other call reaches the driver.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/model/result.hpp"

namespace skep::drivers {

struct RestorePlan {
  struct Object {
    std::string id;
    std::string handle;       // JSON text, as the driver gave it
    std::string more = "{}";  // a JSON object: further members of the request ("holders")
  };
  std::vector<Object> objects;
  // Everything that is known, also what has no handle yet. Absent: it isn't known yet what there
  // is, so the driver must not clear away anything; whoever owns the objects ends the phase later
  // (end_restore).
  std::optional<std::vector<std::string>> ids;
  // How each object fared; may be empty. ErrorKind::not_found: it is gone. On the loop.
  std::function<void(const std::string& id, const Status& outcome)> told;
};

// Called on the loop; must not block.
using RestoreSource = std::function<RestorePlan()>;

}  // namespace skep::drivers
