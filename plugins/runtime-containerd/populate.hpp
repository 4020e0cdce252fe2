// The first content of an empty volume: what the image has at the place where it will be mounted.
//
// Docker's rule: a folder that holds anything is left alone; an empty one gets the image's folder,
// with owners, modes and links, and takes that folder's own owner and mode. An image without such a
// folder leaves it as it is.
//
// A crash at any moment is made good by the next call, and what containers put into the volume
// meanwhile is never touched. The content is gathered in a folder inside the volume, whose name
// nobody can guess; that it is ours, and whether it is whole, stands in the driver's own data
// (populate_record.hpp) and nowhere in the volume. What isn't whole is taken away and copied anew;
// what is whole is moved to its place by renames that replace nothing. From the first of these on
// the volume counts as filled: what somebody puts there then stays, as if he had come later.
//
// The copying sees nothing but the two folders (populate_view.hpp), and ends when nobody waits for
// it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "runtime-containerd/user.hpp"

namespace skep::containerd {

struct Filling {
  std::string folder;  // the volume's on the node
  std::string target;  // the absolute path in the container
  RootLayers layers;   // of the image, the uppermost first
  std::filesystem::path
      state;  // a folder of the driver's own, not above the volume; made if missing
  // Called again and again on the calling thread; throws to end the filling with what it throws.
  std::function<void()> check;
  std::string copier = "cp";  // takes cp's arguments
};

// Blocks as long as copying takes, and as long as somebody else fills the same folder. Throws
// Failure: EXHAUSTED when the volume is too small, INTERNAL else; and whatever check throws.
void populate(const Filling& filling);

}  // namespace skep::containerd
