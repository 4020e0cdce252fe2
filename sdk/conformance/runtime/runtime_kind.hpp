// Containers as the generic cases see them, and what the cases of runtime.h share.
//
// The profile's "runtime" member tells what the kit can't know: {"image": REF, there already, with
// sh, sleep, cat, head and true; "pull_image": REF that a pull can fetch and that isn't there yet;
// "cgroup_parent": "/somewhere"; "parallel": N containers to make at once}. Everything else is the
// contract's: the namespace is the kit's own, and processes are counted in the container's cgroup.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

const Kind& runtime_kind();

// The cases of runtime.h, by part of the contract.
std::vector<Case> runtime_run_cases();
std::vector<Case> runtime_stop_cases();
std::vector<Case> runtime_watch_cases();
std::vector<Case> runtime_exec_cases();
std::vector<Case> runtime_image_cases();
std::vector<Case> runtime_restart_cases();
std::vector<Case> runtime_crash_cases();

// Operations by name.
const host::Operation& runtime(std::string_view name);
const host::Operation& runtime_exec(std::string_view name);
const host::Operation& runtime_images(std::string_view name);

// Skips the case unless it runs as root and the profile names an image.
Status runtime_possible(Run& run);
// 64 hex digits, the same for the same number of a run.
std::string container_id(const Run& run, int number);
// A create request for `sh -c SCRIPT`, in a namespace and with a log folder of its own, both made
// here. The folder marks(run, number) is /marks in the container.
Result<json> container_request(Run& run, int number, const std::string& script);
std::string marks(const Run& run, int number);
// Waits until the container has made the file /marks/NAME.
Status await_mark(Run& run, int number, const std::string& name);

// create and start of container_request; the id.
Result<std::string> run_container(Run& run, Driver& driver, int number, const std::string& script);
// What inspect says; an error when it fails.
Result<json> inspected(Run& run, Driver& driver, const std::string& id);
// wait, with a patience.
Outcome waited(Driver& driver, const std::string& id, int64_t patience_ms = 20'000);
// remove by force, and nothing is left of it: neither in list nor in its cgroup.
Status remove_container(Run& run, Driver& driver, const std::string& id);
Status nothing_left(Run& run, Driver& driver, const std::string& id);

// The processes in the container's cgroup, in whichever hierarchies there are; ascending.
std::vector<pid_t> processes_of(const Run& run, const std::string& id);
// Its cgroup folders that exist.
std::vector<std::string> cgroups_of(const Run& run, const std::string& id);

}  // namespace skep::conformance
