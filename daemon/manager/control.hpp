// What the API may ask of this node's part in the cluster: one door, whatever the node's role.
//
// Everything here runs on the daemon's loop (one thread); a coroutine resumes there. Writes return
// when they are committed, with everything that follows from them already decided: `create_service`
// resolves when the service, its tasks and their placements are durable. Reads take the store() and
// look.
//
// Errors: not being in a cluster, or not being a manager, is ErrorKind::precondition with Docker's
// sentence; a stale version is ErrorKind::conflict "update out of sequence"; an unknown id
// not_found.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "core/store/view.hpp"
#include "daemon/storage/nameless_file.hpp"

namespace skep::manager {

namespace asio = boost::asio;

// What everything that needs the cluster answers on a locked manager: Docker's sentence.
inline constexpr std::string_view kLockedSentence =
    "Swarm is encrypted and needs to be unlocked before it can be used. Please use \"docker swarm "
    "unlock\" to unlock it.";

enum class LocalState : uint8_t { inactive, pending, active, error, locked };

// What this node knows of its own membership, without asking anyone. Feeds /info and the Swarm
// header.
struct Membership {
  LocalState state = LocalState::inactive;
  bool is_manager = false;
  model::NodeId node;        // none when inactive
  model::ClusterId cluster;  // none when inactive
  std::string node_address;  // advertised
  std::string error;         // one sentence; also when it is active and its disk is in trouble
  bool log_lost = false;     // a manager, but its log can't be read or written: `error` says why
  struct Manager {
    model::NodeId node;
    std::string address;  // host:port
  };
  std::vector<Manager> managers;  // known managers
};

struct InitRequest {
  std::string listen_address;     // "0.0.0.0:2377"; empty: that
  std::string advertise_address;  // address, address:port or interface; empty: guessed
  model::NodeAvailability availability = model::NodeAvailability::active;
  model::ClusterSpec spec;
  std::vector<std::string> address_pools;  // empty: the default
  uint32_t subnet_size = 0;                // 0: the default
  uint32_t data_path_port = 0;             // 0: the default
  // On a manager: the group begins anew with this one alone, and keeps everything else; of the rest
  // of the request only the advertised address counts. Elsewhere it changes nothing.
  bool force_new_cluster = false;
};

struct JoinRequest {
  std::string listen_address;
  std::string advertise_address;
  std::vector<std::string> remote_addresses;  // host[:2377]
  std::string token;
  model::NodeAvailability availability = model::NodeAvailability::active;
};

// What an update of the cluster makes new beside its spec.
struct TokenRotation {
  bool worker = false;
  bool manager = false;
  // A root to take the present one's place; empty: none is given. The key is secret.
  std::string signing_certificate_pem;
  std::string signing_key_pem;
  bool unlock_key = false;  // if the managers are locked at all
};

// A machine that is in no swarm becomes the only manager of the cluster that was saved.
struct RestoreRequest {
  std::string listen_address;     // as in InitRequest
  std::string advertise_address;  // as in InitRequest
  std::optional<std::string> passphrase;
  std::shared_ptr<const std::string> file;  // what save_snapshot gave
};

// The cluster's trust: the root that joiners are to know, and who is to have signed the nodes'
// certificates, which is another root while one takes the other's place.
struct TrustInfo {
  std::string root_certificate_pem;
  std::string issuer_subject_der;     // raw bytes
  std::string issuer_public_key_der;  // raw bytes
};

class Control {
 public:
  virtual ~Control() = default;

  virtual Membership membership() const = 0;
  // The committed state, or null when this node is not a manager. Valid until the next suspension.
  virtual const store::View* store() const = 0;
  // Resolves when the store is as fresh as the moment of asking, whichever manager leads; at once
  // on a node that is no manager. Errors: unavailable, with Docker's sentence for a swarm without a
  // leader.
  virtual asio::awaitable<Status> fresh() = 0;
  // The leader's node id, or none. Managers only.
  virtual model::NodeId leader() const = 0;
  virtual TrustInfo trust() const = 0;

  // Forms a new cluster with this node as its manager; resolves when the node is leader and Ready.
  virtual asio::awaitable<Result<model::NodeId>> init(InitRequest request) = 0;
  // Resolves when the node is in the cluster and its session stands.
  virtual asio::awaitable<Status> join(JoinRequest request) = 0;
  // Stops and removes this node's task containers, forgets the cluster. A manager needs force.
  virtual asio::awaitable<Status> leave(bool force) = 0;
  // Goes on where a locked manager stopped at its start. Errors: invalid (not the key, or none at
  // all), conflict (it is not locked), precondition (no manager).
  virtual asio::awaitable<Status> unlock(std::string key) = 0;

  // Everything a cluster is, as fresh as the moment of asking, sealed with the passphrase; without
  // one anybody can read it, the key of the root included (daemon/storage/archive.hpp).
  virtual asio::awaitable<Result<storage::NamelessFile>> save_snapshot(
      std::optional<std::string> passphrase) = 0;
  // Resolves like init. Errors: those of read_archive; this machine is in a swarm.
  virtual asio::awaitable<Result<model::NodeId>> restore_snapshot(RestoreRequest request) = 0;

  virtual asio::awaitable<Status> update_cluster(uint64_t version, model::ClusterSpec spec,
                                                 TokenRotation rotate) = 0;
  virtual asio::awaitable<Status> update_node(model::NodeId id, uint64_t version,
                                              model::NodeSpec spec) = 0;
  virtual asio::awaitable<Status> remove_node(model::NodeId id, bool force) = 0;
  // An empty spec.name makes one up.
  virtual asio::awaitable<Result<model::ServiceId>> create_service(model::ServiceSpec spec) = 0;
  virtual asio::awaitable<Status> update_service(model::ServiceId id, uint64_t version,
                                                 model::ServiceSpec spec) = 0;
  virtual asio::awaitable<Status> remove_service(model::ServiceId id) = 0;

  // Called on the loop after each commit, with what it changed. Returns a number for unsubscribe.
  struct ClusterEvent {
    enum class Kind : uint8_t { node, service, network, task } kind;
    enum class Action : uint8_t { create, update, remove } action;
    std::string id;
    std::string name;
    model::Labels attributes;  // e.g. "replicas.new", "state.new", "availability.new"
    model::WallTime time;
  };
  virtual uint64_t subscribe(std::function<void(const ClusterEvent&)> sink) = 0;
  virtual void unsubscribe(uint64_t subscription) = 0;
};

}  // namespace skep::manager
