// The arithmetic of restart_policy.hpp.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/restart_policy.hpp"

#include <algorithm>

namespace skep::drivers {

RestartPolicy::Milliseconds RestartPolicy::lost(Moment now, Milliseconds lived) {
  losses_.push_back(now);
  while (now - losses_.front() > window) losses_.pop_front();
  if (lived >= good_life) {
    next_ = Milliseconds(0);
    if (on_trial_) losses_ = {now};
    on_trial_ = false;
  }
  if (on_trial_ || losses_.size() >= losses_max) {
    open_ = true;
    on_trial_ = true;
    return open_for;
  }
  const Milliseconds wait = next_;
  next_ = std::clamp(next_ * 2, wait_min, wait_max);
  return wait;
}

size_t RestartPolicy::losses(Moment now) const {
  return static_cast<size_t>(std::count_if(losses_.begin(), losses_.end(),
                                           [&](Moment loss) { return now - loss <= window; }));
}

void RestartPolicy::reset() {
  *this = RestartPolicy();
}

}  // namespace skep::drivers
