// What a manager does when its log can't be written or not be read (docs/storage.md has the table).
//
// A failed write latches the store: nothing may be relied on that was not acknowledged by then. So
// the Manager is closed, as by a crash, and the log is read again from the disk after a pause; if
// all of it is there it is taken up and the group brings it up to date. The pause doubles from one
// second to half a minute while the disk goes on failing, also when the log can be read but not
// written.
//
// A log that was read and is damaged is never taken up again in this run: what was acknowledged may
// be missing from it, and only the other managers know. Its node goes on as a worker would, until
// they demote it (which deletes the log) and promote it again.
//
// The containers take no notice: the agent has a session with another manager, or none for a while.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/node.hpp"

namespace skep {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{1'000};
constexpr milliseconds kPauseMax{30'000};
// A manager that has worked for so long begins anew with the shortest pause.
constexpr std::chrono::seconds kWell{60};

bool is_damage(const Error& why) {
  return why.kind == ErrorKind::internal || why.kind == ErrorKind::unimplemented;
}

}  // namespace

// Closes nothing: it may be the Manager who calls.
void Node::log_failed(model::NodeId node, const Error& why) {
  const std::chrono::nanoseconds now = base::mono_now();
  const bool well = log_taken_up_.count() != 0 && now - log_taken_up_ > kWell;
  log_pause_ = log_pause_.count() == 0 || well ? kPauseMin : std::min(log_pause_ * 2, kPauseMax);
  log_trouble_ = LogTrouble{node, why, is_damage(why), now + log_pause_};
  base::log_error("node", log_complaint());
  role_bell_.cancel();
}

std::string Node::log_complaint() const {
  const std::string& why = log_trouble_->why.message;
  if (!log_trouble_->damaged) {
    return why + "; this manager acknowledges nothing until it has read its log again, which it " +
           "tries after " + std::to_string(log_pause_.count() / 1000) + " s";
  }
  return why +
         "; this log is not taken up again, and the node goes on as a worker: on another manager, "
         "demote and promote it (skep node demote " +
         log_trouble_->node.str() + "), or, if there is no other, restore a snapshot";
}

// Until the log is taken up, keep_role() looks again; once it is known to be damaged, no more.
Status Node::recover_log() {
  if (manager_) {
    base::log_warning("node", "this manager steps down");
    close_manager();
  }
  if (log_trouble_->damaged) return {};
  if (base::mono_now() < log_trouble_->next_look) {
    return fail(ErrorKind::unavailable, "waiting to read the raft log again");
  }
  SKEP_TRY(start_manager(*credentials_, nullptr));
  log_taken_up_ = base::mono_now();
  base::log_info("node", "the raft log was read again and is whole: this manager is back");
  return {};
}

}  // namespace skep
