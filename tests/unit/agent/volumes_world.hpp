// Short ways to say what a test of volumes wants.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/agent/world.hpp"

namespace skep::agent::test {

inline Volumes& volumes(World& world) {
  return world.agent->volumes();
}

inline Result<Volume> create(World& world, VolumeWish wish) {
  return world.run(volumes(world).create(std::move(wish)));
}

inline Status remove(World& world, const std::string& name, bool force = false) {
  return world.run(volumes(world).remove(name, force));
}

// It is known, and no container has it.
inline bool holds_nothing(World& world, const std::string& name) {
  const Result<Volume> volume = volumes(world).find(name);
  return volume && volume->holders.empty();
}

inline int64_t count(const std::vector<std::string>& calls, const std::string& call) {
  return std::count(calls.begin(), calls.end(), call);
}

inline int64_t action_count(const World& world, const std::string& action) {
  return std::count_if(world.events.begin(), world.events.end(), [&](const NodeEvent& event) {
    return event.type == "volume" && event.action == action;
  });
}

inline model::Mount volume_at(const std::string& name, const std::string& target,
                              bool read_only = false) {
  model::Mount mount;
  mount.source = name;
  mount.target = target;
  mount.read_only = read_only;
  return mount;
}

inline model::Mount volume_of(const std::string& driver, const std::string& name,
                              const std::string& target) {
  model::Mount mount = volume_at(name, target);
  mount.volume = model::VolumeOptions();
  mount.volume->driver = model::VolumeDriverConfig{driver, {}};
  return mount;
}

inline AssignedTask with_mounts(AssignedTask task, std::vector<model::Mount> mounts) {
  auto spec = std::make_shared<model::TaskSpec>(*task.spec);
  spec->container.mounts = std::move(mounts);
  task.spec = std::move(spec);
  return task;
}

}  // namespace skep::agent::test
