// Which folders are being filled, remembered where no container can reach it: in the driver's own
// data.
//
// A filling is one file here, made before anything is made in the volume and gone after everything
// is in its place. Its name is that of the folder in the volume in which the content is gathered,
// which nobody can guess, and how far it has come; its content is the volume's path. So whatever a
// container puts into its volume, nothing of it is ever taken for ours.
//
// Two that fill one folder exclude each other by a lock on one byte of one file, chosen by the
// folder's inode: there is no file for each lock that somebody would have to take away. The program
// that copies holds the lock too. So one that outlives its driver for a moment keeps others off.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runtime-containerd/populate_common.hpp"

namespace skep::containerd {

class FillingRecords {
 public:
  // `folder` is made when it isn't there. Throws Failure, as everything here does.
  explicit FillingRecords(const std::filesystem::path& folder);

  struct Filling {
    std::string name;     // of the folder in the volume, ".skep-" and 32 digits
    bool moving = false;  // it is whole, and its content goes to its place
  };

  // What was begun for `volume` and has not ended.
  std::optional<Filling> find(const std::string& volume) const;
  // On disk when it returns, as are the next two.
  Filling begin(const std::string& volume) const;
  void set_moving(Filling& filling) const;
  void end(const Filling& filling) const;

  // Waits until nobody else fills the open folder. Whoever has a duplicate of the descriptor has
  // the lock.
  File lock(int volume, const Stop& stop) const;

 private:
  void flush() const;
  File folder_;
};

}  // namespace skep::containerd
