// What the programs that copy and remove see: the image's folder and the volume, and of the rest of
// the machine only what they may read.
//
// A container that has the volume mounted already may change what lies in it at any moment, also
// what is just being copied there: put a link to the node's /etc, or a disk's device, where the
// copy goes on. So the programs run in a mount namespace in which the volume alone can be written,
// no device can be opened, and /proc, whose links lead out of any namespace, is covered. It belongs
// to the one thread that calls this, nobody else sees it, and it goes with that thread, however it
// ends.
//
// The layers of an image are put together by an overlay mount. Their paths are given to the kernel
// as short links, because all of them together must fit into a page.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "runtime-containerd/populate_common.hpp"
#include "runtime-containerd/user.hpp"

namespace skep::containerd {

class FillingView {
 public:
  // Moves the calling thread, which must be one of its own, into the namespace. `cover` is a folder
  // on which it is built. `target` is the absolute path in the image; `volume` the volume's.
  FillingView(const std::filesystem::path& cover, const RootLayers& layers,
              const std::string& target, const std::string& volume);

  // Whether the image has a folder at the target.
  bool has_source() const { return has_source_; }

  // Everything of the image's folder, and its own owner and mode, into `name`, a folder in the
  // volume. Ends early, with the program killed and waited for, when `stop` is told. `lock` stays
  // held by the program.
  void copy_to(const std::string& name, const std::string& copier, const File& lock,
               const Stop& stop) const;
  // Takes away `name` in the volume with all that is in it; what isn't there is done.
  void remove(const std::string& name, const File& lock, const Stop& stop) const;

 private:
  void show_source(const RootLayers& layers, const std::string& target);
  void close_in(const std::string& volume) const;

  std::filesystem::path cover_;
  bool has_source_ = false;
};

}  // namespace skep::containerd
