// An object's way through its life, step by step, as a host would lead it and remember it.
//
// The host writes down that it wants an object before its first step (the intent), so after a crash
// it restores the object whether or not that step came through; known() is exactly that memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {

class Walk {
 public:
  // Makes object `number` of the run's kind. Requires a loaded driver.
  static Result<Walk> begin(Run& run, Driver& driver, int number);

  // The steps of this life: ups, reads, downs.
  const std::vector<Step>& steps() const { return steps_; }
  // Indices of the steps that change something, in order.
  std::vector<size_t> changes() const;
  Object& object() { return object_; }
  const std::vector<std::string>& done() const { return done_; }

  json request(size_t step) const { return steps_[step].request(object_); }
  // Calls the step and, when it succeeds, remembers it.
  Outcome take(Driver& driver, size_t step);
  uint64_t begin_step(Driver& driver, size_t step);
  void remember(size_t step, const Outcome& outcome);
  // Takes the changing steps from `from` (that are not done yet) up to but without `to`.
  Status take_changes(Driver& driver, size_t from, size_t to);
  // All that is left, to the end.
  Status finish(Driver& driver, size_t from);

  // Whether the driver must list it now.
  bool exists() const { return run_->kind().exists_after(done_); }
  // The host forgets the object: as if its store were older than its first step.
  void forget() {
    known_ = false;
    done_.clear();
  }

  // The host's memory for a restart: whether it would restore the object now, and how.
  bool known() const { return known_; }
  json restore_request() const;

  // The driver, started again on the same folders: load, configure, restore of this object when the
  // host knows it, restore_done, ready.
  Status restart(Driver& driver);
  // Whether existing() and the outside are as they must be after the changing steps so far: the
  // object once, or not at all, and nothing wrong with it.
  Status check_there(Driver& driver);
  Status check_gone(Driver& driver);

 private:
  Walk(Run& run, std::vector<Step> steps, Object object)
      : run_(&run), steps_(std::move(steps)), object_(std::move(object)) {}

  Run* run_;
  std::vector<Step> steps_;
  Object object_;
  std::vector<std::string> done_;
  bool known_ = false;
};

}  // namespace skep::conformance
