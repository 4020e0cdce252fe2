// Tables: what a kind must have, and hosts of other ages.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/generic/generic_cases.hpp"
#include "sdk/conformance/generic/raw_library.hpp"

namespace skep::conformance {
namespace {

// The host table as 1.0 had it; each later minor appends.
constexpr uint32_t host_table_1_0 =
    offsetof(skep_host, deadline_ms) + sizeof(skep_host::deadline_ms);
constexpr uint32_t padding = 256;
constexpr uint32_t newer_minor = SKEP_ABI_MINOR + 7;

bool names(const Run& run, std::string_view id) {
  return std::ranges::find(run.plugin().identity.interfaces, id) !=
         run.plugin().identity.interfaces.end();
}

// A driver's name for what it has is the note: skep.base/1 and every interface there is whole.
Status required_functions(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  std::string missing;
  for (const host::Interface& interface : host::interfaces()) {
    if (interface.id != SKEP_BASE_1 && !names(run, interface.id)) continue;
    for (const host::Operation& operation : interface.operations) {
      if (!operation.required || driver.has(operation)) continue;
      missing +=
          fmt::format("{}{} of {}", missing.empty() ? "" : ", ", operation.name, interface.id);
    }
  }
  SKEP_TRY(run.that(missing.empty(), "every required function in its table",
                    "these are missing: " + missing));
  return run.that(names(run, SKEP_BASE_1), "skep.base/1 among the interfaces of the note",
                  "it is not named");
}

Status works_with(Run& run, const host::HostShape& shape) {
  Driver& driver = run.driver(fmt::format("minor-{}", shape.abi_minor));
  LoadOptions options;
  options.shape = shape;
  SKEP_TRY(driver.start(options));
  SKEP_TRY(run.ok(driver.call(base("capabilities"), json::object())));
  driver.drop();
  return {};
}

Status older_hosts(Run& run) {
  for (uint32_t minor = run.plugin().identity.host_minor_needed; minor <= SKEP_ABI_MINOR; ++minor) {
    SKEP_TRY(works_with(run, {minor, minor == 0 ? host_table_1_0 : uint32_t{sizeof(skep_host)}}));
  }
  return {};
}

Status newer_host(Run& run) {
  return works_with(run, {newer_minor, uint32_t{sizeof(skep_host)} + padding});
}

}  // namespace

std::vector<Case> table_cases() {
  return {
      {"generic.tables.required",
       "every function that the kind requires is there",
       {rule(4), rule(3)},
       required_functions},
      {"generic.tables.older-host",
       "the driver works with every older host that it admits",
       {rule(3)},
       older_hosts},
      {"generic.tables.newer-host",
       "the driver works with a host whose table has grown",
       {rule(3)},
       newer_host},
  };
}

}  // namespace skep::conformance
