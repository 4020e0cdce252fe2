// What a node does when the managers' quorum is lost for good, and against the loss of them all.
//
// Forced: the manager is stopped, its log is changed in one transaction
// (daemon/manager/recovery.hpp), and a manager starts on it again; all of that within one turn of
// the loop, so that nobody finds it half done. The agent, its containers and its session know
// nothing of it: the session finds the port closed and dials again. Should the daemon die at any
// moment, the log says whether it was done.
//
// Restored: a log is made of the archive, and the certificate that makes this node a member is kept
// last, as in an init. Reading and writing archives is a thread's, not the loop's.
// SPDX-License-Identifier: Apache-2.0
#include "core/raft/forced_group.hpp"
#include "core/store/state_codec.hpp"
#include "daemon/advertise.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/base/random_ids.hpp"
#include "daemon/manager/recovery.hpp"
#include "daemon/node.hpp"
#include "daemon/storage/sqlite_log_store.hpp"
#include "daemon/transport/address.hpp"
#include "daemon/transport/pki_store.hpp"

namespace skep {
namespace {

constexpr std::chrono::seconds kOwnSessionWait{20};
constexpr std::chrono::milliseconds kLook{50};

}  // namespace

asio::awaitable<Result<model::NodeId>> Node::force_new_cluster(manager::InitRequest request) {
  SKEP_CO_TRY(need_manager());
  if (leaving_ || entering_) {
    co_return fail(ErrorKind::precondition, "This node is entering or leaving a swarm.");
  }
  if (store() == nullptr) {
    co_return fail(ErrorKind::precondition,
                   "This manager was never taken into the group: it knows nothing that a cluster "
                   "could be begun anew with.");
  }
  MembershipFile addresses = addresses_;
  if (!request.advertise_address.empty()) {
    SKEP_CO_TRY_ASSIGN(const std::string host, choose_advertise_address(request.advertise_address));
    SKEP_CO_TRY_ASSIGN(const transport::HostPort listen,
                       transport::parse_host_port(addresses.listen_address));
    addresses.advertise_address = transport::HostPort{host, listen.port}.str();
  }
  SKEP_CO_TRY(force_group_of_one(addresses));
  // Which says that it leads, too. Somebody may leave meanwhile, and take the manager along.
  SKEP_CO_TRY(co_await own_session_stands(kOwnSessionWait));
  co_return credentials_->identity.node;
}

Status Node::force_group_of_one(const MembershipFile& addresses) {
  base::RandomIds ids;
  close_manager();
  const auto forced = [&]() -> Result<raft::Generation> {
    SKEP_TRY(save_membership(path("membership.json"), addresses));
    addresses_ = addresses;
    SKEP_TRY_ASSIGN(const auto log, storage::open_sqlite_log_store(path("raft.db")));
    SKEP_TRY(manager::open_lock(*log, lock_keys_));
    const manager::Survivor survivor{credentials_->identity.node, addresses.advertise_address};
    return manager::force_group_of_one(*log, survivor, base::wall_now(), ids.next().low);
  };
  const Result<raft::Generation> generation = forced();
  // It goes on in either case: as the only one, or as it was. What keeps it from that is said and
  // tried again (node_recovery.cpp).
  const Status started = start_manager_quietly(*credentials_);
  if (!generation) return fail(generation.error());
  SKEP_TRY(started);
  trouble_.clear();
  base::log_warning("node", "the group of managers begins anew with this one alone: generation " +
                                raft::text(*generation));
  return {};
}

// The other side of it: this is one of those who were left out. It decides nothing any more and
// keeps its log, which is of use to nobody else, until its row says that it is a worker.
void Node::give_up_group(raft::Generation present) {
  outlived_ = true;
  close_manager();
  trouble_ = "The group of managers was begun anew without this one (generation " +
             raft::text(present) +
             "). It becomes a worker once a manager of that group tells it so; if it was removed, "
             "leave with --force and join again.";
  base::log_error("node", trouble_);
}

// The entries of the log were told as events when they were new.
Status Node::start_manager_quietly(const transport::NodeCredentials& credentials) {
  quiet_ = true;
  Status started = start_manager(credentials, nullptr);
  quiet_ = false;
  return started;
}

asio::awaitable<Status> Node::own_session_stands(std::chrono::seconds limit) {
  const auto end = base::mono_now() + limit;
  while (manager_ && credentials_) {
    if (manager_->has_session(credentials_->identity.node)) co_return Status{};
    if (base::mono_now() >= end) break;
    co_await pause(kLook);
  }
  co_return fail(ErrorKind::deadline,
                 "The cluster was begun anew, but this node's own session with it does not stand "
                 "yet. The attempt will continue in the background.");
}

// --- saved and restored --------------------------------------------------------------------

asio::awaitable<Result<storage::NamelessFile>> Node::save_snapshot(
    std::optional<std::string> passphrase) {
  SKEP_CO_TRY(need_manager());
  SKEP_CO_TRY(co_await manager_->fresh());
  SKEP_CO_TRY(need_manager());
  const store::Store& present = manager_->queue().store();
  if (!present.cluster()) co_return fail(ErrorKind::unavailable, "the cluster is not there yet");
  const storage::ArchiveManifest manifest{
      present.cluster()->id, manager_->generation(), raft::Index{present.applied_index()},
      manager_->queue().member().raft().term(), base::wall_now()};
  // A copy of the state costs a moment; the rest is the thread's.
  const auto state = std::make_shared<const store::State>(present.dump());
  const auto made = std::make_shared<std::optional<storage::NamelessFile>>();
  std::function<Status()> save = [state, manifest, passphrase, made,
                                  folder = config_.data_dir]() -> Status {
    SKEP_TRY_ASSIGN(storage::NamelessFile file, storage::NamelessFile::create(folder));
    const auto sink = [&](std::string_view bytes) { return file.append(bytes); };
    SKEP_TRY_ASSIGN(storage::ArchiveWriter writer,
                    storage::ArchiveWriter::begin(manifest, passphrase, sink));
    const auto append = [&](std::string_view bytes) { return writer.append(bytes); };
    SKEP_TRY(store::encode(*state, append));
    SKEP_TRY(writer.finish());
    made->emplace(std::move(file));
    return {};
  };
  SKEP_CO_TRY(co_await recovery_work_.run(std::move(save)));
  co_return std::move(**made);
}

asio::awaitable<Result<model::NodeId>> Node::restore_snapshot(manager::RestoreRequest request) {
  SKEP_CO_TRY(may_enter());
  SKEP_CO_TRY_ASSIGN(MembershipFile addresses,
                     addresses_for(request.listen_address, request.advertise_address));
  entering_ = true;
  Result<model::NodeId> node = co_await restore(std::move(request), std::move(addresses));
  entering_ = false;
  if (!node) {
    close_cluster();
    forget_membership();
  }
  co_return node;
}

asio::awaitable<Result<model::NodeId>> Node::restore(manager::RestoreRequest request,
                                                     MembershipFile addresses) {
  base::RandomIds ids;
  const manager::Survivor self{model::NodeId{ids.next()}, addresses.advertise_address};
  const auto random = ids.next().low;
  forget_membership();  // what an init or a restoration that was cut short may have left
  const auto made = std::make_shared<manager::RestoredGroup>();
  std::function<Status()> work = [request, self, random, made,
                                  log_path = path("raft.db")]() -> Status {
    SKEP_TRY_ASSIGN(const storage::Archive archive,
                    storage::read_archive(*request.file, request.passphrase));
    SKEP_TRY_ASSIGN(const auto log, storage::open_sqlite_log_store(log_path));
    SKEP_TRY_ASSIGN(*made, manager::restore_group(*log, archive, self, base::wall_now(), random));
    return {};
  };
  SKEP_CO_TRY(co_await recovery_work_.run(std::move(work)));
  addresses_ = std::move(addresses);
  addresses_.managers = {{self.node, addresses_.advertise_address}};
  const transport::NodeCredentials& credentials = made->credentials;
  lock_keys_ = {made->unlock_key};
  SKEP_CO_TRY(start_manager_quietly(credentials));
  SKEP_CO_TRY(co_await manager_->ready());
  // Only now is there a cluster to come back to.
  SKEP_CO_TRY(save_membership(path("membership.json"), addresses_));
  SKEP_CO_TRY(keep_credentials(credentials));
  base::log_warning("node", "restored cluster " + credentials.identity.cluster.str() +
                                " from a snapshot, as node " + self.node.str() + ": generation " +
                                raft::text(manager_->generation()));
  start_session(credentials);
  // From here on others may have come back to it: it is not taken away any more.
  const Status stands = co_await own_session_stands(kOwnSessionWait);
  if (!stands) base::log_warning("node", stands.error().message);
  co_return self.node;
}

}  // namespace skep
