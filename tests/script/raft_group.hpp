// Several members in one transcript: their messages lie on the way until a command moves them.
//
//   group voters=1,2,3 [learners=4] [count=5]    those in neither begin as joiners
//   N campaign            its clock runs until it asks for votes
//   N tick T | N propose ID BYTES | N read ID | N change ID voters=.. learners=.. | N transfer TO
//   N persisted           its disk answers
//   N snapshot keep=K     of everything it has applied
//   N crash | N restart   what its disk has not answered is lost
//   deliver [A>B]         what is on the way now, or of it only what goes from A to B
//   drop [A>B]            the same is lost
//   cut A B | heal        nothing passes between the two; all passes again
//   settle                messages, disks and chunks move until nothing is left to move
//   run T                 T ticks of everybody, each followed by settle
//   messages | state
//
// Commands that move one thing print the messages it sends; settle and run print only what the
// members tell their callers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <istream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/raft/raft.hpp"

namespace skep::script {

class RaftGroup {
 public:
  // `words`: what stands behind "group".
  explicit RaftGroup(std::istream& words);

  std::string run(const std::string& command);

 private:
  struct Member {
    raft::Restored disk;
    std::string snapshot;
    raft::Index arriving;
    std::string arrived;
    std::optional<raft::Raft> raft;
    std::optional<raft::Persist> asked;
    std::vector<std::string> applied;
    raft::Index applied_index;
  };
  enum class Detail : uint8_t { everything, news };

  std::string of_member(uint64_t id, std::istream& words);
  std::string start(uint64_t id);
  std::string step(uint64_t id, raft::Input input, Detail detail);
  std::string carry_out(uint64_t id, raft::Output output, Detail detail);
  std::string persisted(uint64_t id, Detail detail);
  std::string campaign(uint64_t id);
  std::string deliver(const std::string& pair, Detail detail);
  std::string drop(const std::string& pair);
  std::string settle();
  std::string ticks(uint64_t count);
  std::string state() const;

  raft::Tick now_;
  std::map<uint64_t, Member> members_;
  std::deque<raft::Message> on_the_way_;
  std::set<std::pair<uint64_t, uint64_t>> cuts_;
};

}  // namespace skep::script
