// The kernel's mounts: made, undone, and found again.
//
// Nothing is remembered here. What is mounted is read from this process's mountinfo each time,
// because mounts outlive the driver and only the kernel knows them. Paths are those the kernel
// tells: no symbolic link in them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "options.hpp"

namespace skep::volume_local {

// Every mount at or below `folder`, one entry for each (a place mounted on twice is there twice),
// in the kernel's order: what was mounted later comes later.
std::vector<std::string> mounts_below(const std::string& folder);

// Mounts on `path`, a folder, unless that is done; what a crash cut off in the middle is completed.
// Throws Failure: SKEP_E_INVALID when the kernel does
// not know the type or the options, SKEP_E_PRECONDITION when the device isn't there,
// SKEP_E_UNAVAILABLE when a server does not answer, SKEP_E_DENIED.
void mount_on(const MountPlan& plan, const std::string& path);

// Undoes every mount at or below `path`. SKEP_E_BUSY while something still uses one; with `force`
// it is taken out of sight at once and ends when its last user does.
void unmount_below(const std::string& path, bool force);

}  // namespace skep::volume_local
