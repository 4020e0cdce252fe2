// The commands of raft transcripts, and how an Output is printed.
//
//   disk term=2 vote=1 commit=1 snapshot=0/0 entries=1/1,2/2   what start will find
//   start voters=1 | tick N | propose ID BYTES | read ID | snapshot INDEX keep=N
//   persisted | fail REASON                                     what became of the last persist
//   state
//   group ...            several members from here on; their commands are those of raft_group.hpp
//
// `persisted` also writes the batch to the disk that the next `start` finds; a persist that was not
// answered is lost, as in a power cut.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <sstream>

#include "core/raft/raft.hpp"
#include "tests/script/raft_group.hpp"
#include "tests/script/raft_show.hpp"
#include "tests/script/transcript.hpp"

namespace skep::script {
namespace {

using raft::Entry;
using raft::EntryKind;

const model::ClusterId kCluster{{1, 1}};

// "2/5": term 2, index 5.
std::pair<uint64_t, uint64_t> pair_of(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return {0, 0};
  return {std::stoull(text.substr(0, slash)), std::stoull(text.substr(slash + 1))};
}

class RaftScript {
 public:
  std::string run(const std::string& command) {
    std::istringstream words(command);
    std::string verb;
    words >> verb;
    if (group_) return group_->run(command);
    if (verb == "group") {
      group_ = std::make_unique<RaftGroup>(words);
      return {};
    }
    if (verb == "disk") return disk(words);
    if (verb == "start") return start(words);
    if (!raft_) return "error: no raft is running\n";
    if (verb == "tick") return tick(words);
    if (verb == "propose") return propose(words);
    if (verb == "read") return step(raft::ReadRequest{{number(words)}});
    if (verb == "snapshot") return snapshot(words);
    if (verb == "persisted") return persisted(words);
    if (verb == "fail") return failed(words);
    if (verb == "state") return state();
    return "error: no such command\n";
  }

 private:
  static uint64_t number(std::istream& words) {
    uint64_t value = 0;
    words >> value;
    return value;
  }
  // The value of the next word "key=value".
  static std::string value(std::istream& words) {
    std::string word;
    words >> word;
    return word.substr(word.find('=') + 1);
  }

  std::string disk(std::istream& words) {
    disk_ = {};
    std::string word;
    while (words >> word) {
      const std::string key = word.substr(0, word.find('='));
      const std::string text = word.substr(word.find('=') + 1);
      if (key == "term") disk_.hard_state.term = {std::stoull(text)};
      if (key == "vote") disk_.hard_state.vote = {std::stoull(text)};
      if (key == "commit") disk_.hard_state.commit = {std::stoull(text)};
      if (key == "snapshot") {
        disk_.snapshot.term = {pair_of(text).first};
        disk_.snapshot.index = {pair_of(text).second};
      }
      if (key != "entries") continue;
      std::istringstream list(text);
      for (std::string one; std::getline(list, one, ',');) {
        const auto [term, index] = pair_of(one);
        disk_.entries.push_back(
            {{term}, {index}, EntryKind::normal, std::make_shared<const std::string>("old")});
      }
    }
    return {};
  }

  std::string start(std::istream& words) {
    disk_.snapshot.configuration = {};
    std::istringstream voters(value(words));
    for (std::string one; std::getline(voters, one, ',');) {
      disk_.snapshot.configuration.voters.push_back({std::stoull(one)});
    }
    raft_.reset();
    last_.reset();
    Result<raft::Raft> started =
        raft::Raft::start({{1}, kCluster, {1}, std::mt19937_64(1)}, disk_, now_);
    if (!started) {
      return std::string("refused ") + std::string(info(started.error().kind).name) + ": " +
             started.error().message + "\n";
    }
    raft_.emplace(std::move(*started));
    return {};
  }

  std::string step(raft::Input input) {
    raft::Output out = raft_->step(std::move(input), now_);
    if (out.persist) last_ = out.persist;
    return show(out);
  }

  std::string tick(std::istream& words) {
    std::string text;
    for (uint64_t left = number(words); left > 0; --left) {
      now_ = now_.next();
      text += step(raft::TimePassed{});
    }
    return text;
  }

  std::string propose(std::istream& words) {
    const uint64_t id = number(words);
    std::string bytes;
    words >> bytes;
    return step(raft::Propose{{id}, bytes});
  }

  std::string snapshot(std::istream& words) {
    const raft::Index index{number(words)};
    disk_.snapshot = raft_->snapshot_pointer(index);
    return step(raft::SnapshotTaken{index, std::stoull(value(words))});
  }

  std::string persisted(std::istream&) {
    if (!last_) return "error: nothing was to be persisted\n";
    if (last_->truncate_from) {
      std::erase_if(disk_.entries,
                    [&](const Entry& entry) { return entry.index >= *last_->truncate_from; });
    }
    for (const Entry& entry : last_->entries) {
      const bool present = std::any_of(disk_.entries.begin(), disk_.entries.end(),
                                       [&](const Entry& e) { return e.index == entry.index; });
      if (!present) disk_.entries.push_back(entry);
    }
    disk_.hard_state = last_->hard_state;
    return step(last_->done());
  }

  std::string failed(std::istream& words) {
    if (!last_) return "error: nothing was to be persisted\n";
    std::string reason;
    std::getline(words >> std::ws, reason);
    return step(raft::PersistFailed{last_->epoch, reason});
  }

  std::string state() {
    std::ostringstream text;
    text << name(raft_->role()) << " term=" << raft_->term().value
         << " commit=" << raft_->commit().value << " last=" << raft_->last_index().value
         << " snapshot=" << raft_->snapshot_index().value << "\n";
    return text.str();
  }

  std::unique_ptr<RaftGroup> group_;
  raft::Restored disk_;
  raft::Tick now_;
  std::optional<raft::Raft> raft_;
  std::optional<raft::Persist> last_;
};

}  // namespace
}  // namespace skep::script

int main(int argc, char** argv) {
  return skep::script::run_transcripts(argc, argv, [] {
    auto script = std::make_shared<skep::script::RaftScript>();
    return [script](const std::string& command) { return script->run(command); };
  });
}
