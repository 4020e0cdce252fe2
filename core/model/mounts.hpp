// What a task has mounted, judged from the spec alone; and the names of volumes and their drivers.
//
// The sentences are Docker's. Some of them Docker says only when a node makes the container; what
// can be known from the spec is refused here, before anything is stored. Whether a bind's source
// exists is a node's to find out. Pure; any thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"

namespace skep::model {

inline constexpr size_t kMountsMax = 256;
inline constexpr size_t kVolumeNameLengthMax = 128;  // the contract's limit of an object's id

// The volume driver that every node has, as Docker calls it, and the plugin that is it.
inline constexpr std::string_view kLocalVolumeDriver = "local";
inline constexpr std::string_view kLocalVolumePlugin = "volume-local";

// Docker's name of the volume driver that a user named: "" and "volume-local" are "local", too;
// any other name stays as it is.
std::string volume_driver_name(std::string_view name);

// Two to 128 letters, digits, '_', '.' and '-', the first a letter or digit.
Status validate_volume_name(std::string_view name);

Status validate_mounts(const std::vector<Mount>& mounts);

// "/a//b/", "/a/./b" and "/a/c/../b" are one place: "/a/b". Requires: an absolute path.
std::string clean_path(std::string_view path);

// The names of the drivers, other than local, that a node must have for these mounts; sorted, each
// once.
std::vector<std::string> foreign_volume_drivers(const std::vector<Mount>& mounts);

// "bind", "volume", "tmpfs".
std::string_view mount_type_name(MountType type);

}  // namespace skep::model
