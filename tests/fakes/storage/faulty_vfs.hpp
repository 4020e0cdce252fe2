// The SQLite face of a FaultyDisk; see there. Only the disk itself uses it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

struct sqlite3_vfs;

namespace skep::testing {

class FaultyDisk;

std::string unique_vfs_name(const FaultyDisk* disk);
// `name` lives as long as what is returned. The caller unregisters it.
std::unique_ptr<sqlite3_vfs> register_vfs(FaultyDisk& disk, const std::string& name);

}  // namespace skep::testing
