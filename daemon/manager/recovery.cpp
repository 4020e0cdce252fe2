// Load, decide, persist.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/recovery.hpp"

#include <algorithm>

#include "core/identity/rotation.hpp"
#include "core/planner/recovery.hpp"
#include "core/raft/forced_group.hpp"
#include "core/store/split.hpp"
#include "core/store/state_codec.hpp"
#include "core/store/store.hpp"
#include "core/store/transaction_codec.hpp"
#include "daemon/storage/snapshot_files.hpp"

namespace skep::manager {
namespace {

// All that the log holds, committed or not; `time` becomes that of the last entry, if it is later.
Result<store::Store> everything_in(const storage::Loaded& loaded, model::WallTime* time) {
  store::Store all;
  if (!loaded.snapshot.state.empty()) {
    auto state = store::decode_state(loaded.snapshot.state);
    if (!state) return fail(state.error().within("the snapshot can't be read"));
    all.load(loaded.snapshot.at.index.value, std::move(*state));
  }
  for (const raft::Entry& entry : loaded.entries) {
    if (entry.kind != raft::EntryKind::normal || entry.index <= loaded.snapshot.at.index) continue;
    auto transaction = store::decode_transaction(*entry.bytes);
    if (!transaction) {
      return fail(transaction.error().within("entry " + std::to_string(entry.index.value)));
    }
    *time = std::max(*time, transaction->time);
    all.apply(entry.index.value, *transaction);
  }
  return all;
}

// As any manager of the cluster would sign it, also while one root takes another's place.
Result<transport::NodeCredentials> credentials_of(const model::Cluster& cluster, model::NodeId node,
                                                  model::WallTime now) {
  SKEP_TRY_ASSIGN(transport::KeyAndRequest made, transport::make_request());
  const identity::SigningRoot signer = identity::signing_root(cluster);
  const transport::CertificateOrder order{node, cluster.id, model::NodeRole::manager,
                                          cluster.spec.node_cert_expiry};
  SKEP_TRY_ASSIGN(
      std::string certificate,
      transport::sign_request({signer.key_pem, signer.certificate_pem}, made.csr_pem, order, now));
  return transport::check_credentials(identity::trusted_roots(cluster),
                                      certificate + signer.chain_pem, std::move(made.key_pem));
}

// As if a leader had sent it.
Status install(storage::LogStore& log, const raft::SnapshotPointer& at, const std::string& state) {
  const std::string_view all = state;
  uint64_t offset = 0;
  do {
    raft::StoreChunk chunk;
    chunk.at = at;
    chunk.offset = offset;
    chunk.bytes =
        std::make_shared<const std::string>(all.substr(offset, raft::kSnapshotChunkBytes));
    chunk.checksum = storage::chunk_checksum(*chunk.bytes);
    chunk.last = offset + chunk.bytes->size() == all.size();
    SKEP_TRY_ASSIGN(const raft::ChunkStored stored, log.store_chunk(chunk));
    SKEP_ASSERT(stored.received > offset || chunk.last, "a sound chunk is taken");
    offset = stored.received;
  } while (offset < all.size());
  raft::Persist batch;
  batch.install = at;
  batch.hard_state = {at.term, at.configuration.voters.front(), at.index};
  return log.persist(batch);
}

}  // namespace

Result<raft::Generation> force_group_of_one(storage::LogStore& log, const Survivor& survivor,
                                            model::WallTime now, uint64_t random) {
  SKEP_TRY_ASSIGN(const std::optional<storage::Loaded> loaded, log.load());
  if (!loaded) return fail(ErrorKind::precondition, "this manager has no log");
  SKEP_TRY_ASSIGN(const store::Store held, everything_in(*loaded, &now));
  store::Draft draft(held);
  const store::Row<model::Node> row = held.node(survivor.node);
  model::Node self = row ? *row : model::Node{};
  self.id = survivor.node;
  self.manager = model::ManagerStatus{loaded->identity.member.value, survivor.address,
                                      model::Reachability::reachable};
  SKEP_TRY(planner::found_anew(draft, std::move(self)));
  std::vector<std::string> after;
  for (store::Part& part : store::split(draft, now, raft::kEntryBytesMax)) {
    after.push_back(std::move(part.bytes));
  }
  const raft::MemberDisk self_disk{loaded->identity.member, loaded->identity.incarnation};
  SKEP_TRY_ASSIGN(const raft::Persist batch,
                  raft::force_group_of_one(loaded->restored(), self_disk, std::move(after)));
  const raft::Generation generation =
      raft::next_generation(loaded->identity.generation, static_cast<uint32_t>(random));
  SKEP_TRY(log.persist_anew(generation, batch));
  return generation;
}

Result<RestoredGroup> restore_group(storage::LogStore& log, const storage::Archive& archive,
                                    const Survivor& survivor, model::WallTime now,
                                    uint64_t random) {
  const storage::ArchiveManifest& manifest = archive.manifest;
  auto state = store::decode_state(archive.state);
  if (!state) return fail(state.error().within("the snapshot's state"));
  if (!state->cluster || state->cluster->id != manifest.cluster) {
    return fail(ErrorKind::invalid, "the snapshot does not hold the cluster that it names");
  }
  const model::Cluster cluster = *state->cluster;
  store::Store rows;
  rows.load(manifest.index.value, std::move(*state));
  RestoredGroup made;
  SKEP_TRY_ASSIGN(made.credentials, credentials_of(cluster, survivor.node, now));
  if (!cluster.unlock_key.empty()) {
    SKEP_TRY_ASSIGN(made.unlock_key, storage::UnlockKey::parse(cluster.unlock_key));
  }
  raft::RaftId member{cluster.last_raft_id};
  rows.each_node([&](const store::Row<model::Node>& node) {
    if (node->manager) member = std::max(member, raft::RaftId{node->manager->raft_id});
  });
  member = member.next();
  model::Node self;
  self.id = survivor.node;
  self.manager =
      model::ManagerStatus{member.value, survivor.address, model::Reachability::reachable};
  self.certificate_expires_at = made.credentials.identity.expires_at;
  store::Draft draft(rows);
  SKEP_TRY(planner::found_anew(draft, std::move(self)));
  const raft::Index index = manifest.index.next();
  rows.apply(index.value, draft.transaction(std::max(now, manifest.saved_at)));

  const raft::MemberDisk disk{member, {random | 1}};
  const raft::Configuration alone{{member}, {}, {}, {disk}};
  const raft::Generation generation =
      raft::next_generation(manifest.generation, static_cast<uint32_t>(random >> 32));
  const storage::Identity identity{cluster.id, survivor.node, member, disk.incarnation, generation};
  SKEP_TRY(log.initialise(identity, alone));
  if (made.unlock_key) SKEP_TRY(log.set_unlock_key(made.unlock_key));
  SKEP_TRY(install(log, {index, manifest.term.next(), alone}, store::encode(rows.dump())));
  return made;
}

}  // namespace skep::manager
