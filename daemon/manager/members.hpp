// Who is of the group of managers, brought in line with who is wanted: the leader's own errand.
//
// Raft's configuration is the truth, the node rows say what is wanted, and this loop takes one step
// at a time from the first to the second, looking anew after each: a step that failed, was done
// twice, or was begun by an earlier leader heals itself. A member comes in as a learner, once its
// address has answered, and becomes a voter once it has caught up; one that takes too long is put
// out again, so that no half-made member stays. A leader that is to go hands over first, and the
// next one takes it out. Rows follow: who is of the group no more is a worker, and who answers is
// noted.
//
// On the daemon's loop; does nothing on a manager that does not lead.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "daemon/manager/queue.hpp"

namespace skep::manager {

// What there is to be known of the way to another manager (Peers): whether it answers, and an
// attempt to find out.
struct Reach {
  std::function<bool(raft::RaftId)> answers;
  std::function<void(raft::RaftId)> probe;
};

class Members {
 public:
  // What `reach` captures is valid until stop().
  Members(asio::io_context& loop, Queue& queue, Reach reach);
  ~Members();
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  // Something that matters may have changed. Cheap; call it often.
  void look();
  void stop();

 private:
  class Loop;
  std::shared_ptr<Loop> loop_;
};

}  // namespace skep::manager
