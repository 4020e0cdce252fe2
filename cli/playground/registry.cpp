// Starting docker-registry, and the five requests that a push consists of.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/registry.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <system_error>
#include <thread>

#include "cli/engine_client.hpp"

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

constexpr milliseconds kAnswerLimit{20'000};
constexpr milliseconds kRequestLimit{20'000};

std::vector<std::string> registry_arguments(const Layout& layout) {
  return {"serve", layout.registry_config().string()};
}

std::string registry_config(const Layout& layout) {
  // No health check and no upload purging: both only wake the process up.
  return "version: 0.1\n"
         "log:\n  level: warn\n  accesslog:\n    disabled: true\n"
         "storage:\n"
         "  filesystem:\n    rootdirectory: " +
         (layout.registry_dir() / "data").string() +
         "\n"
         "  cache:\n    blobdescriptor: inmemory\n"
         "  delete:\n    enabled: true\n"
         "  maintenance:\n    uploadpurging:\n      enabled: false\n"
         "http:\n  addr: " +
         layout.gateway() + ":" + std::to_string(kRegistryPort) +
         "\n"
         "  secret: playground\n";
}

Result<EngineClient> client_of(const Layout& layout) {
  return EngineClient::open("tcp://" + layout.gateway() + ":" + std::to_string(kRegistryPort));
}

Error refused(const std::string& what, const Response& response) {
  return {ErrorKind::internal, what + ": the registry answered " + std::to_string(response.status) +
                                   " " + response.body.substr(0, 300)};
}

// Runs `work` in a thread inside the bridge's namespace, and waits for it.
Status in_network(const std::function<Status()>& work) {
  Status outcome;
  std::jthread([&] {
    const int netns =
        open((std::string("/run/netns/") + kNetworkNamespace).c_str(), O_RDONLY | O_CLOEXEC);
    if (netns < 0 || setns(netns, CLONE_NEWNET) != 0) {
      outcome = fail(ErrorKind::internal,
                     std::string("entering the bridge's namespace: ") + std::strerror(errno));
    } else {
      outcome = work();
    }
    if (netns >= 0) close(netns);
  }).join();
  return outcome;
}

Status push_blob(const EngineClient& client, const std::string& repository, const Blob& blob) {
  RequestOptions options;
  options.timeout = kRequestLimit;
  const std::string base = "/v2/" + repository + "/blobs/";
  SKEP_TRY_ASSIGN(const Response known,
                  client.request(Method::head, base + blob.digest, {}, options));
  if (known.status == 200) return {};
  SKEP_TRY_ASSIGN(const Response begun,
                  client.request(Method::post, base + "uploads/", {}, options));
  const std::optional<std::string_view> location = begun.header("Location");
  if (begun.status != 202 || !location) return fail(refused("starting an upload", begun));
  // The place to upload to comes as a whole URL; only its path is wanted.
  std::string path(*location);
  const size_t scheme = path.find("://");
  if (scheme != std::string::npos) path.erase(0, path.find('/', scheme + 3));
  path += (path.find('?') == std::string::npos ? "?digest=" : "&digest=") + url_escape(blob.digest);
  options.headers = {{"Content-Type", "application/octet-stream"}};
  SKEP_TRY_ASSIGN(const Response done, client.request(Method::put, path, blob.bytes, options));
  if (done.status != 201) return fail(refused("uploading " + blob.digest, done));
  return {};
}

Status push_image(const EngineClient& client, const Image& image) {
  for (const Blob& blob : image.blobs) SKEP_TRY(push_blob(client, image.repository, blob));
  RequestOptions options;
  options.timeout = kRequestLimit;
  options.headers = {{"Content-Type", image.manifest_type}};
  for (const std::string& tag : image.tags) {
    SKEP_TRY_ASSIGN(const Response done,
                    client.request(Method::put, "/v2/" + image.repository + "/manifests/" + tag,
                                   image.manifest, options));
    if (done.status != 201) return fail(refused("pushing " + image.repository + ":" + tag, done));
  }
  return {};
}

}  // namespace

std::optional<Process> find_registry(const Layout& layout) {
  for (const Process& process : find_processes(registry_arguments(layout))) return process;
  return std::nullopt;
}

Status start_registry(const Layout& layout) {
  const fs::path log = layout.registry_dir() / "registry.log";
  if (!find_registry(layout)) {
    std::error_code error;
    fs::create_directories(layout.registry_dir() / "data", error);
    if (error)
      return fail(ErrorKind::internal, layout.registry_dir().string() + ": " + error.message());
    SKEP_TRY(write_file(layout.registry_config(), registry_config(layout)));
    DetachedOptions options{
        .arguments = registry_arguments(layout), .log = log, .netns = kNetworkNamespace};
    options.arguments.insert(options.arguments.begin(), "/usr/bin/docker-registry");
    SKEP_TRY(spawn_detached(options));
  }
  SKEP_TRY_ASSIGN(const EngineClient client, client_of(layout));
  RequestOptions options;
  options.timeout = milliseconds(2'000);
  const Status up = in_network([&]() -> Status {
    const bool answered = wait_until(kAnswerLimit, [&] {
      const Result<Response> answer = client.request(Method::get, "/v2/", {}, options);
      return answer && answer->status == 200;
    });
    if (answered) return {};
    return fail(ErrorKind::deadline, "the registry does not answer at " + client.address());
  });
  if (!up) show_log_tail(log);
  return up;
}

Status push_images(const Layout& layout, const std::vector<Image>& images) {
  SKEP_TRY_ASSIGN(const EngineClient client, client_of(layout));
  return in_network([&]() -> Status {
    for (const Image& image : images) SKEP_TRY(push_image(client, image));
    return {};
  });
}

Status stop_registry(const Layout& layout) {
  for (const Process& process : find_processes(registry_arguments(layout))) {
    SKEP_TRY(kill_and_wait(process, milliseconds(5'000)));
  }
  return {};
}

}  // namespace skep::cli::playground
