// One case in a process of its own: forked, watched, its leavings taken away.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

struct Ended {
  Verdict verdict = Verdict::failed;
  std::string text;  // the finding or the reason, as in CaseResult
  std::vector<Observation> observations;
  int64_t took_ms = 0;
};

// Runs the case in a forked child and waits for it; `scratch` is made and taken away again. A child
// that dies or overstays is a failed case. After a failed one its kind takes away what it left; if
// that fails too, the text says so. Requires that this process has one thread.
Ended run_apart(const Plugin& plugin, const Case& about, const std::string& scratch);
// The same in this process, for a debugger.
Ended run_here(const Plugin& plugin, const Case& about, const std::string& scratch);

// Mount points at or below `folder`, innermost last, from /proc/self/mountinfo; one that is mounted
// twice is there twice.
std::vector<std::string> mounts_below(const std::string& folder);

// What the driver was last asked to do, readable by the parent when the child is gone.
class Crumb {
 public:
  Crumb();  // shared memory
  ~Crumb();
  Crumb(const Crumb&) = delete;
  Crumb& operator=(const Crumb&) = delete;
  void write(std::string_view text);
  std::string read() const;

 private:
  char* page_ = nullptr;
};

}  // namespace skep::conformance
