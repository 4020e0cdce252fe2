// The group of managers begun anew, on the disk: by one that is left of it, or from a snapshot.
//
// Everything a decision of this kind changes is one transaction of the log store: the generation,
// the configuration of one voter (core/raft/forced_group.hpp) and the rows that follow from it
// (core/planner/recovery.hpp). Before it nothing has happened; after it, it is done, whatever comes
// then. The log is nobody else's meanwhile: the member that ran on it was stopped, or there was
// none.
//
// Blocks on the disk, for as long as loading the log takes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/model/objects.hpp"
#include "core/model/result.hpp"
#include "core/store/state.hpp"
#include "daemon/storage/archive.hpp"
#include "daemon/storage/log_store.hpp"
#include "daemon/transport/pki.hpp"

namespace skep::manager {

struct Survivor {
  model::NodeId node;   // of a restoration: a new one
  std::string address;  // host:port, as other nodes reach it
};

// Makes the member of this log the only one. Errors: precondition when the log holds no cluster;
// else the disk's.
Result<raft::Generation> force_group_of_one(storage::LogStore& log, const Survivor& survivor,
                                            model::WallTime now, uint64_t random);

struct RestoredGroup {
  transport::NodeCredentials credentials;
  std::optional<storage::UnlockKey> unlock_key;  // of a locked swarm: what the log needs now
};

// Makes the first log of a machine that goes on with what an archive holds: as the only manager of
// the same cluster, of a new generation, under a node id and a raft id that nobody had. The
// credentials are signed by the cluster's own root; keeping them is what makes it so. The log of a
// locked swarm is sealed before anything is in it. Errors:
// invalid, when what the archive holds is not a cluster's state; conflict, when there is a log.
Result<RestoredGroup> restore_group(storage::LogStore& log, const storage::Archive& archive,
                                    const Survivor& survivor, model::WallTime now, uint64_t random);

}  // namespace skep::manager
