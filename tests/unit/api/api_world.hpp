// The whole Engine API in a test, from a request line to an answer, with no node below it.
//
// Behind it stand a node that is in no cluster and has no driver, containers and networks that can
// be listed, and volumes that only remember. A test that needs more of one of them writes it here.
// What nobody asked for yet answers `internal`, so that a test can't pass by it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/api/dispatch.hpp"
#include "daemon/drivers/driver_set.hpp"

namespace skep::api::test {

// Volumes as the agent keeps them, with its sentences.
class FakeVolumes final : public agent::Volumes {
 public:
  std::vector<agent::Volume> list() const override;
  Result<agent::Volume> find(std::string_view name) const override;
  asio::awaitable<Result<agent::Volume>> create(agent::VolumeWish wish) override;
  asio::awaitable<Status> remove(std::string name, bool force) override;
  asio::awaitable<Result<int64_t>> usage(std::string name) override;
  std::vector<std::string> drivers() const override { return {"local"}; }

  // Called when a volume is to be counted or removed, before it is.
  std::function<void(const std::string& name)> while_counted;
  std::function<void(const std::string& name)> while_removed;

  // A local volume without options that nobody has.
  agent::Volume& add(const std::string& name, model::Labels labels = {});

  std::map<std::string, agent::Volume> volumes;
  std::map<std::string, int64_t> bytes;   // what usage answers; 0 for what isn't here
  std::map<std::string, Error> refusals;  // of a call ("remove data"), which does nothing then
  std::vector<std::string> calls;         // "remove data", "remove data by force"
  std::vector<agent::VolumeWish> wishes;  // that create got
};

class ApiWorld {
 public:
  ApiWorld();
  ~ApiWorld();
  ApiWorld(const ApiWorld&) = delete;
  ApiWorld& operator=(const ApiWorld&) = delete;

  // `target` is as in the request line: "/v1.47/volumes?filters=...".
  Response ask(const std::string& method, const std::string& target, const std::string& body = "");
  // The same with a filter in JSON, which is escaped here.
  Response ask_filtered(const std::string& method, const std::string& path,
                        const std::string& filters);
  // "volume prune ID reclaimed=5", oldest first.
  std::vector<std::string> events() const;

  FakeVolumes volumes;
  std::vector<std::shared_ptr<const agent::Container>> containers;
  std::vector<agent::Containers::LocalNetwork> networks;

 private:
  struct Node;
  boost::asio::io_context loop_{1};
  std::unique_ptr<Node> node_;
};

// "409 remove data: volume is in use - [...]", or "200" and the whole body.
std::string told(const Response& response);

}  // namespace skep::api::test
