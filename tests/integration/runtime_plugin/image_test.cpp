// Images: pulled from a registry of our own on loopback, listed as one each, and removed.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/integration/runtime_plugin/world.hpp"

namespace skep::test {

namespace {

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  socklen_t length = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  close(fd);
  return ntohs(address.sin_port);
}

class Registry {
 public:
  explicit Registry(const World& world) : host_("127.0.0.1:" + std::to_string(free_port())) {
    const std::string config = world.folder() + "/registry.yml";
    std::ofstream(config)
        << "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "
        << world.folder() << "/registry}}\nhttp: {addr: '" << host_ << "'}\n";
    pid_ = fork();
    if (pid_ == 0) {
      if (freopen("/dev/null", "w", stderr) == nullptr) _exit(126);
      if (freopen("/dev/null", "w", stdout) == nullptr) _exit(126);
      execlp("docker-registry", "docker-registry", "serve", config.c_str(), nullptr);
      _exit(127);
    }
    world.shell("for i in $(seq 100); do curl -fs http://" + host_ +
                "/v2/ >/dev/null && exit 0; sleep 0.05; done; exit 1");
  }
  ~Registry() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  const std::string& host() const { return host_; }

 private:
  std::string host_;
  pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("an image is pulled, is one image under all its names, runs, and is removed") {
  World& world = World::get();
  if (!std::filesystem::exists("/usr/bin/docker-registry")) {
    WARN("skipped: needs docker-registry, which is not installed");
    return;
  }
  const Registry registry(world);
  const auto plugin = world.plugin();
  const std::string ctr = "ctr -a " + world.folder() + "/c.sock -n k8s.io ";
  const std::string name = registry.host() + "/tiny:2";
  world.shell(ctr + "images tag " + image_name + " " + name);
  world.shell(ctr + "images push --plain-http " + name);
  world.shell(ctr + "images rm " + name);
  REQUIRE(plugin->call(plugin->images->inspect, {{"image", name}}).status == SKEP_E_NOTFOUND);

  const Outcome pulled = plugin->call(plugin->images->pull, {{"image", name}});
  INFO(pulled.error);
  REQUIRE(pulled.ok());
  const std::string image_id = pulled.reply.at("id");
  const Outcome by_id = plugin->call(plugin->images->inspect, {{"image", image_id}});
  INFO(by_id.error);
  REQUIRE(by_id.ok());
  CHECK(by_id.reply.at("config").at("Env") == json({"FROM_IMAGE=yes"}));
  CHECK(by_id.reply.at("layers").size() == 1);
  int seen = 0;
  const Outcome listed = plugin->call(plugin->images->list, json::object());
  for (const json& image : listed.reply.at("images")) {
    if (image.at("id") == image_id) ++seen;
  }
  CHECK(seen == 1);

  const std::string id = world.new_id();
  json request = world.request(id, "true");
  request["image"] = name;
  REQUIRE(plugin->call(plugin->runtime->create, request).ok());
  const Outcome untagged =
      plugin->call(plugin->images->remove, {{"image", name}, {"force", false}});
  INFO(untagged.error);
  REQUIRE(untagged.ok());
  CHECK(untagged.reply.at("deleted").empty());
  const Outcome used =
      plugin->call(plugin->images->remove, {{"image", image_name}, {"force", false}});
  CHECK(used.status == SKEP_E_BUSY);
  CHECK(used.error.find(id) != std::string::npos);
  remove(*plugin, id);
}

TEST_CASE("a pull tells a missing image from a registry that does not answer") {
  World& world = World::get();
  const auto plugin = world.plugin();
  const std::string nobody = "127.0.0.1:" + std::to_string(free_port());
  const Outcome away = plugin->call(plugin->images->pull, {{"image", nobody + "/x:1"}});
  CHECK(away.status == SKEP_E_UNAVAILABLE);
  CHECK(away.error.find(nobody) != std::string::npos);
  if (!std::filesystem::exists("/usr/bin/docker-registry")) return;
  const Registry registry(world);
  const Outcome missing = plugin->call(plugin->images->pull, {{"image", registry.host() + "/x:1"}});
  INFO(missing.error);
  CHECK(missing.status == SKEP_E_NOTFOUND);
}

}  // namespace skep::test
