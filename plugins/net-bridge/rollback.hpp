// The way back of an operation that fails half-way, whatever it is that fails: a refusal, a want of
// memory, a document of another shape. Made after the first step that must not stay behind, kept at
// the very end, when the reply has been built too: an operation that answers with an error has left
// nothing that was not there before.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <utility>

namespace skep::net_bridge {

// Runs `undo` at the end of its scope, unless kept. What goes wrong in there is told to `tell`; the
// reason that came first is the one the host hears.
template <class Undo, class Tell>
class Rollback {
 public:
  Rollback(Undo undo, Tell tell) : undo_(std::move(undo)), tell_(std::move(tell)) {}
  ~Rollback() {
    if (kept_) return;
    try {
      undo_();
    } catch (const std::exception& worse) {
      tell_(worse.what());
    }
  }
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  void keep() { kept_ = true; }

 private:
  Undo undo_;
  Tell tell_;
  bool kept_ = false;
};

}  // namespace skep::net_bridge
