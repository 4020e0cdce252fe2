// The volumes on disk: ROOT/NAME/volume.json, how it was made, and ROOT/NAME/_data, what is in it.
//
// A volume comes into being by one rename and goes by one, each flushed before it is told, so
// whatever crashes leaves a volume whole or not there. What was half made has a name that begins
// with a dot, which no volume's does; and so has what was taken away, until somebody has deleted
// all of its files, which may take hours (sweeper.hpp). Nothing here is remembered: the folders are
// the state.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "skep/cpp/volume.hpp"

namespace skep::volume_local {

struct Record {
  sdk::TextMap options;
  std::optional<int64_t> capacity_bytes;  // as create was asked
  uint32_t project = 0;                   // of the quota; 0: none
};

class Folders {
 public:
  // `root` is there, absolute and without symbolic links.
  explicit Folders(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string folder(const std::string& volume) const { return root_ + "/" + volume; }
  std::string data(const std::string& volume) const { return folder(volume) + "/_data"; }

  std::vector<std::string> names() const;
  bool has(const std::string& volume) const;
  // nullopt when there is no such volume; throws Failure(SKEP_E_INTERNAL) when it can't be read.
  std::optional<Record> read(const std::string& volume) const;
  // Makes a volume; `prepare` is given the data's folder before the volume is there, and completes
  // the record. Throws, and leaves nothing then.
  void make(const std::string& volume, Record record,
            const std::function<void(const std::string& data, Record& record)>& prepare) const;
  // Gives the path of what is to be deleted now; nullopt when there was no such volume. Requires
  // that nothing is mounted below.
  std::optional<std::string> take_away(const std::string& volume) const;
  // What a crash left half made, and what was taken away and is still there; gives the paths, all
  // of them now such as take_away() gives. Calls for no volume may run at that time.
  std::vector<std::string> unfinished() const;

 private:
  std::string put_aside(const std::string& path, const std::string& name) const;
  std::string root_;
};

}  // namespace skep::volume_local
