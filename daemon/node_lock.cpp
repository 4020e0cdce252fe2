// The swarm's lock on this node: waiting for the unlock key, and following it when it changes.
//
// Two files of a manager are sealed: the data keys of its raft log (raft.key) and its TLS key
// (pki/node.pem). They can't change in one step, so raft.key decides and node.pem gives way:
// whatever raft.key needs, be it nothing, opens node.pem too, at every moment. For a change
// node.pem is first sealed with the old key and with the new one, then raft.key changes, then
// node.pem is sealed with the new one alone. A crash anywhere leaves a manager that one key
// unlocks.
//
// The key that counts is the cluster's row. Each manager follows it by itself and again after each
// start, so a manager that was away when the key changed opens with its old one once more.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>

#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/node.hpp"

namespace skep {
namespace {

namespace fs = std::filesystem;
using model::NodeRole;

constexpr std::chrono::milliseconds kLockPause{500};
constexpr std::chrono::milliseconds kLockLook{10};
// An answer does not wait longer than this for the own disk; the change itself goes on.
constexpr std::chrono::seconds kLockWait{5};

tl::unexpected<Error> wrong_key() {
  return fail(ErrorKind::invalid, "swarm could not be unlocked: invalid key provided");
}

}  // namespace

// --- at the start --------------------------------------------------------------------------

asio::awaitable<Status> Node::come_back() {
  SKEP_CO_TRY_ASSIGN(auto sealed, transport::load_sealed_credentials(path("pki")));
  std::optional<transport::NodeCredentials> plain;
  if (!sealed) {
    SKEP_CO_TRY_ASSIGN(plain, transport::load_credentials(path("pki")));
  }
  if (!sealed && !plain) {
    // A leave that was cut short may have left tasks that nobody owns.
    agent_->assign(agent::AssignmentSet{});
    co_return Status{};
  }
  if (plain && plain->identity.role == NodeRole::worker) {
    // What a crash right after the demotion left, which may be sealed with a key of the managers'.
    if (fs::exists(path("raft.db")) || fs::exists(path("raft.key"))) forget_log();
  }
  if (!sealed && !log_is_locked()) co_return co_await take_up(std::move(*plain));
  // For what is told of this node; who needs the addresses reads them again.
  SKEP_CO_TRY_ASSIGN(auto addresses, load_membership(path("membership.json")));
  if (addresses) addresses_ = std::move(*addresses);
  if (sealed) {
    locked_ = std::move(*sealed);
  } else {
    locked_ = std::move(*plain);
  }
  base::log_warning("node", "this manager is locked: it waits for \"swarm unlock\"");
  co_return Status{};
}

// A key file that can't be read is for whoever opens the log to judge (node_recovery.cpp).
bool Node::log_is_locked() const {
  const std::unique_ptr<storage::FileSystem> files = storage::machine_files();
  const auto keys = storage::KeyFile::open(*files, path("raft.key"));
  return keys && *keys && (*keys)->locked();
}

// Both locks are tried before anything is begun.
Result<transport::NodeCredentials> Node::open_with(const storage::UnlockKey& key) const {
  const std::unique_ptr<storage::FileSystem> files = storage::machine_files();
  auto keys = storage::KeyFile::open(*files, path("raft.key"));
  if (keys && *keys && (*keys)->locked()) {
    const Status opened = (*keys)->unlock(key);
    if (!opened && opened.error().kind == ErrorKind::denied) return wrong_key();
    SKEP_TRY(opened);
  }
  if (const auto* plain = std::get_if<transport::NodeCredentials>(&*locked_)) return *plain;
  const auto& sealed = std::get<transport::SealedCredentials>(*locked_);
  for (const std::string& wrapped : sealed.sealed_keys) {
    Result<std::string> key_pem = storage::unwrap(key, wrapped);
    if (!key_pem) continue;
    return transport::check_credentials(sealed.root_pem, sealed.certificate_pem,
                                        std::move(*key_pem));
  }
  return wrong_key();
}

const transport::PeerIdentity& Node::locked_identity() const {
  return std::visit(
      [](const auto& known) -> const auto& { return known.identity; }, *locked_);
}

asio::awaitable<Status> Node::unlock(std::string text) {
  if (!locked_) {
    SKEP_CO_TRY(need_manager());
    co_return fail(ErrorKind::conflict, "swarm is not locked");
  }
  if (unlocking_ || leaving_) co_return fail(ErrorKind::busy, "the node is busy; try again");
  SKEP_CO_TRY_ASSIGN(const storage::UnlockKey key, storage::UnlockKey::parse(text));
  SKEP_CO_TRY_ASSIGN(transport::NodeCredentials credentials, open_with(key));
  unlocking_ = true;
  lock_keys_ = {key};
  const Status up = co_await take_up(std::move(credentials));
  unlocking_ = false;
  if (!up) {
    std::optional<Locked> still = std::move(locked_);
    close_cluster();
    locked_ = std::move(still);
    lock_keys_ = {std::nullopt};
    co_return up;
  }
  locked_.reset();
  base::log_info("node", "this manager is unlocked");
  role_bell_.cancel();
  lock_bell_.cancel();
  co_return Status{};
}

Status Node::may_leave_locked(bool force) const {
  if (unlocking_) return fail(ErrorKind::busy, "the node is being unlocked; try again");
  if (force) return {};
  return fail(ErrorKind::precondition,
              "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore "
              "this message.");
}

// --- and after it --------------------------------------------------------------------------

Status Node::keep_credentials(const transport::NodeCredentials& credentials) const {
  const bool plain = credentials.identity.role == NodeRole::worker ||
                     std::count(lock_keys_.begin(), lock_keys_.end(), std::nullopt) != 0;
  std::vector<std::string> sealed;
  for (const LockKey& key : lock_keys_) {
    if (plain) break;
    SKEP_TRY_ASSIGN(std::string wrapped, storage::wrap(*key, credentials.key_pem));
    sealed.push_back(std::move(wrapped));
  }
  return transport::save_credentials(path("pki"), credentials, sealed);
}

asio::awaitable<void> Node::keep_lock() {
  std::string complaint;
  while (!stopping_) {
    const Status done = co_await follow_lock();
    if (stopping_) co_return;
    if (!done && done.error().message != complaint) {
      base::log_warning("node", "the lock of this manager: " + done.error().message);
    }
    complaint = done ? "" : done.error().message;
    // No suspension since follow_lock() found everything as it should be: no bell goes unheard.
    if (done) {
      lock_bell_.expires_at(asio::steady_timer::time_point::max());
    } else {
      lock_bell_.expires_after(kLockPause);
    }
    boost::system::error_code rung;
    co_await lock_bell_.async_wait(asio::redirect_error(asio::use_awaitable, rung));
  }
}

asio::awaitable<Status> Node::follow_lock() {
  while (!stopping_ && !leaving_ && !lock_agrees()) {
    SKEP_CO_TRY_ASSIGN(LockKey wanted, wanted_lock());
    SKEP_CO_TRY(co_await change_lock(std::move(wanted)));
  }
  co_return Status{};
}

// Requires: a manager whose store has the cluster.
Result<Node::LockKey> Node::wanted_lock() const {
  const std::string text = manager_->queue().store().cluster()->unlock_key;
  if (text.empty()) return LockKey();
  SKEP_TRY_ASSIGN(storage::UnlockKey key, storage::UnlockKey::parse(text));
  return LockKey(std::move(key));
}

// Also when there is nothing to follow.
bool Node::lock_agrees() const {
  if (!manager_ || !credentials_ || credentials_->identity.role != NodeRole::manager) return true;
  if (!manager_->queue().store().cluster()) return true;
  const Result<LockKey> wanted = wanted_lock();
  return lock_followed_ && wanted && lock_keys_ == std::vector<LockKey>{*wanted};
}

asio::awaitable<Status> Node::change_lock(LockKey wanted) {
  const bool changes = lock_keys_ != std::vector<LockKey>{wanted};
  if (changes) {
    if (lock_keys_.back() != wanted) lock_keys_.push_back(wanted);
    SKEP_CO_TRY(keep_credentials(*credentials_));
  }
  const uint64_t asked = managers_begun_;
  const Status sealed = co_await manager_->set_unlock_key(wanted);
  // Demoted or gone meanwhile: whoever did that saw to the files.
  if (!manager_ || managers_begun_ != asked || !credentials_) co_return Status{};
  SKEP_CO_TRY(sealed);
  lock_keys_ = {wanted};
  // Also when nothing changed: a crash may have come between the two files.
  if (changes || wanted) SKEP_CO_TRY(keep_credentials(*credentials_));
  lock_followed_ = true;
  if (changes) {
    base::log_info("node", wanted ? "this manager's disk is sealed with the swarm's unlock key"
                                  : "this manager's disk needs no unlock key any more");
  }
  co_return Status{};
}

asio::awaitable<void> Node::lock_stands() {
  const auto end = base::mono_now() + kLockWait;
  const Status seen = co_await fresh();  // a follower hears of its own write a little later
  while (seen && base::mono_now() < end && !stopping_) {
    if (lock_agrees()) co_return;
    co_await pause(kLockLook);
  }
  base::log_warning("node", "the lock has changed, but this manager's disk does not follow yet");
}

}  // namespace skep
