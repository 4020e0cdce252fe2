// Calls to containerd's lease service.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/leases.hpp"

#include <google/protobuf/empty.pb.h>

#include <ctime>
#include <random>

#include "github.com/containerd/containerd/api/services/leases/v1/leases.pb.h"
#include "runtime-containerd/record.hpp"
#include "runtime-containerd/text.hpp"

namespace skep::containerd {

namespace leases = ::containerd::services::leases::v1;
using google::protobuf::Empty;

namespace {

constexpr const char* container_label = "io.skep.container";
constexpr const char* create_method = "/containerd.services.leases.v1.Leases/Create";
constexpr const char* delete_method = "/containerd.services.leases.v1.Leases/Delete";
constexpr int lifetime_s = 3600;  // longer than any create or pull may take

leases::CreateRequest new_lease(const std::string& name, const std::string& node) {
  leases::CreateRequest lease;
  lease.set_id(name);
  (*lease.mutable_labels())[node_label] = node;
  (*lease.mutable_labels())["containerd.io/gc.expire"] = rfc3339(time(nullptr) + lifetime_s, 0);
  return lease;
}

leases::DeleteRequest deletion(const std::string& name) {
  leases::DeleteRequest request;
  request.set_id(name);
  return request;
}

}  // namespace

std::string Leases::name_for_container(const std::string& id) {
  return "skep-" + id;
}

std::future<bool> Leases::take_for_container(const std::string& id) {
  const std::string name = name_for_container(id);
  {
    const std::lock_guard lock(mutex_);
    held_.insert(name);
  }
  leases::CreateRequest lease = new_lease(name, config_.node);
  (*lease.mutable_labels())[container_label] = id;
  auto promise = std::make_shared<std::promise<bool>>();
  rpc_.async<leases::CreateResponse>(create_method, lease, {},
                                     [promise](RpcStatus status, leases::CreateResponse&) {
                                       try {
                                         if (status.code != RpcCode::already_exists)
                                           throw_if_failed(status);
                                         promise->set_value(status.code == RpcCode::already_exists);
                                       } catch (const sdk::Failure&) {
                                         promise->set_exception(std::current_exception());
                                       }
                                     });
  return promise->get_future();
}

bool Leases::end_for_container(const std::string& id) {
  auto deleted = rpc_.begin<Empty>(delete_method, deletion(name_for_container(id)));
  const RpcStatus status = deleted.status();
  if (status.code != RpcCode::not_found) throw_if_failed(status);
  return status.ok();
}

void Leases::take_for_pull(std::function<void(RpcStatus, std::string name)> done) {
  std::random_device random;
  const std::string name = "skep-pull-" + std::to_string(random()) + "-" + std::to_string(random());
  {
    const std::lock_guard lock(mutex_);
    held_.insert(name);
  }
  rpc_.async<leases::CreateResponse>(
      create_method, new_lease(name, config_.node), {},
      [this, name, done = std::move(done)](RpcStatus status, leases::CreateResponse&) {
        if (!status.ok()) leave(name);
        done(std::move(status), name);
      });
}

void Leases::end(const std::string& name) {
  rpc_.async<Empty>(delete_method, deletion(name), {},
                    [this, name](RpcStatus, Empty&) { leave(name); });
}

void Leases::end_and_wait(const std::string& name) {
  auto deleted = rpc_.begin<Empty>(delete_method, deletion(name));
  const RpcStatus status = deleted.status();
  leave(name);
  if (status.code != RpcCode::not_found) throw_if_failed(status);
}

void Leases::leave(const std::string& name) {
  const std::lock_guard lock(mutex_);
  held_.erase(name);
}

Leases::Remains Leases::remains() {
  leases::ListRequest request;
  request.add_filters("labels.\"io.skep.node\"==" + filter_quoted(config_.node));
  const auto reply =
      rpc_.call<leases::ListResponse>("/containerd.services.leases.v1.Leases/List", request);
  Remains remains;
  const std::lock_guard lock(mutex_);
  for (const leases::Lease& lease : reply.leases()) {
    if (held_.contains(lease.id())) continue;
    remains.leases.push_back(lease.id());
    const auto container = lease.labels().find(container_label);
    if (container != lease.labels().end()) remains.containers.push_back(container->second);
  }
  return remains;
}

void Leases::end_all(const std::vector<std::string>& names) {
  std::vector<std::string> unheld;
  std::vector<Started<Empty>> started;
  {
    const std::lock_guard lock(mutex_);
    // A create may have taken over what an earlier one had left.
    for (const std::string& name : names) {
      if (!held_.contains(name)) unheld.push_back(name);
    }
    if (unheld.empty()) return;
    for (size_t i = 0; i + 1 < unheld.size(); ++i) {
      started.push_back(rpc_.begin<Empty>(delete_method, deletion(unheld[i])));
    }
  }
  for (Started<Empty>& one : started) {
    const RpcStatus status = one.status();
    if (status.code != RpcCode::not_found) throw_if_failed(status);
  }
  // Left alone, containerd collects after a hundred changes: on a quiet node, never.
  leases::DeleteRequest last = deletion(unheld.back());
  last.set_sync(true);
  rpc_.async<Empty>(delete_method, last, {}, [](RpcStatus, Empty&) {});
}

}  // namespace skep::containerd
