// What the tests run in: a containerd of our own with root, state and socket in a temporary folder,
// a tiny image in it, and an empty network namespace for the containers. All of it goes when the
// program ends, containers that a failed test left behind included.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include "tests/integration/runtime_plugin/plugin_host.hpp"

namespace skep::test {

inline constexpr const char* image_name = "docker.io/library/tiny:1";

class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Made on first use.
  static World& get();
  static void end();

  void start_containerd();
  void kill_containerd();  // SIGKILL, and reaped
  // An instance of the driver that is connected: its subscription stands.
  std::unique_ptr<Plugin> plugin();
  json config() const;
  const std::string& folder() const { return folder_; }
  std::string netns_path() const { return "/run/netns/" + netns_; }
  // A fresh container id.
  std::string new_id();
  // A create request for `sh -c SCRIPT` with its log.
  json request(const std::string& id, const std::string& script) const;
  std::string log_of(const std::string& id) const;
  // Runs a shell command; its output. Fails the test when the command fails.
  std::string shell(const std::string& command) const;

 private:
  void clean_up();

  std::string folder_;
  std::string netns_;
  pid_t containerd_ = -1;
  int next_ = 0;
};

// A slow registry on loopback (conformance/registry.py), for as long as the object lives.
class SlowRegistry {
 public:
  SlowRegistry();
  ~SlowRegistry();
  SlowRegistry(const SlowRegistry&) = delete;
  SlowRegistry& operator=(const SlowRegistry&) = delete;
  // The reference of one of its images, which it makes up from the name.
  std::string image(const std::string& name) const;

 private:
  pid_t process_ = -1;
  std::string port_;
};

// Creates and starts `sh -c SCRIPT`; the id.
std::string run(World& world, Plugin& plugin, const std::string& script);
void remove(Plugin& plugin, const std::string& id);

}  // namespace skep::test
