// The first content of an empty volume: what the image has at the place where it will be mounted.
//
// Docker's rule: a folder that holds anything is left alone; an empty one gets the image's folder,
// with owners, modes and links, and takes that folder's own owner and mode. An image without such a
// folder leaves it as it is.
//
// A crash at any moment is made good by the next call. The content is gathered in a folder with a
// name of our own inside the volume, which then gets another name once it is whole, and only from
// there it is moved to its place: so a folder that holds nothing but these is still ours to finish.
// Two containers that begin on one volume at once wait for each other at a lock on its folder.
//
// Several layers are put together by an overlay mount that nobody else sees: it belongs to a mount
// namespace of the one thread that copies, and goes with that thread, however it ends.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "runtime-containerd/user.hpp"

namespace skep::containerd {

// `folder` is the volume's on the node, `target` the absolute path in the container, `cover` any
// folder that neither is in. Blocks as long as copying takes. Throws Failure: EXHAUSTED when the
// volume is too small (what was copied is removed at the next try), INTERNAL else.
void populate(const std::string& folder, const std::string& target, const RootLayers& layers,
              const std::filesystem::path& cover);

}  // namespace skep::containerd
