// Network namespaces that a case makes for itself: each is a file below the case's scratch folder,
// so that it goes with the folder, whatever became of the case.
//
// A namespace is made, and entered, by a thread of its own that ends at once; no thread of the
// case ever changes its namespace.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "core/model/result.hpp"

namespace skep::conformance {

// Makes a namespace and binds it to `path`, whose folder is made. Already there: success. Needs
// CAP_SYS_ADMIN: the error says so.
Status make_netns(const std::string& path);
// Unbinds it; its interfaces go with it once nobody is inside. Not there: success.
void remove_netns(const std::string& path);
// Runs `work` in a thread that is inside the namespace, and waits for it.
Status inside_netns(const std::string& path, const std::function<Status()>& work);
// Whether this process is in the namespace of the machine's first process, so that what a driver
// does to the network would be done to the machine's.
bool in_machines_netns();

}  // namespace skep::conformance
