// Lanes: a queue, a connection, and a coroutine that brings one to the other.
//
// The group's messages are told, not asked: an answer to each would be as many frames again, and
// raft has its own. One batch in a while is asked all the same, and shows that the peer still takes
// in what it is sent; how much may be told meanwhile is bounded.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/manager/peers.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <random>

#include "core/raft/codec/message_codec.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/transport/node_rpc.pb.h"
#include "daemon/transport/rpc_client.hpp"

namespace skep::manager {
namespace {

using std::chrono::milliseconds;
using transport::Method;

constexpr size_t kQueueMessagesMax = 1024;
constexpr size_t kQueueBytesMax = 16 << 20;
// Below the frame's limit of 4 MiB, the largest single message included.
constexpr size_t kBatchBytesMax = 2 << 20;
constexpr milliseconds kConnectTimeout{1'000};
// A peer that takes nothing in for this long is dialled anew.
constexpr milliseconds kCallDeadline{2'000};
// An answer is asked for this often, if there is anything to say, or when so much was told.
constexpr milliseconds kAskPeriod{100};
constexpr size_t kAskBytes = 256 << 10;
// Not answered for: below what a connection takes before it is closed (Connection::kQueueBytesMax).
constexpr size_t kUnansweredBytesMax = 4 << 20;
constexpr milliseconds kPauseMin{50};
constexpr milliseconds kPauseMax{500};
// The leader sends a heartbeat each 100 ms; an answer this old is none.
constexpr milliseconds kReachableFor{2'000};

}  // namespace

// What lanes need of their owner, and outlive it with.
struct Peers::Shared {
  Shared(asio::any_io_executor on, PeersOptions with, std::function<void()> to)
      : loop(std::move(on)),
        options(std::move(with)),
        changed(std::move(to)),
        random(options.seed) {}

  asio::any_io_executor loop;
  PeersOptions options;
  std::function<void()> changed;
  std::mt19937_64 random;
  bool stopped = false;
};

class Peers::Lane : public std::enable_shared_from_this<Lane> {
 public:
  Lane(std::shared_ptr<Shared> shared, raft::RaftId member, PeerPlace place, Method method)
      : shared_(std::move(shared)),
        member_(member),
        place_(std::move(place)),
        method_(method),
        bell_(shared_->loop) {}

  void start() {
    asio::co_spawn(
        shared_->loop,
        [self = shared_from_this()]() -> asio::awaitable<void> { co_await self->run(); },
        asio::detached);
  }

  void add(std::string message) {
    if (queue_.size() >= kQueueMessagesMax || queued_ + message.size() > kQueueBytesMax) return;
    queued_ += message.size();
    queue_.push_back(std::move(message));
    bell_.cancel();
  }
  void probe() {
    probing_ = true;
    bell_.cancel();
  }
  void hurry() {
    if (!pausing_) return;
    pausing_ = false;
    bell_.cancel();
  }
  void redial() {
    if (client_) client_->close("this manager has a new certificate");
  }
  void stop() {
    stopped_ = true;
    bell_.cancel();
    if (client_) client_->close("this manager has no more to say");
  }
  bool reachable() const { return answered_ && base::mono_now() - *answered_ <= kReachableFor; }

 private:
  asio::awaitable<void> run();
  asio::awaitable<Status> dial();
  asio::awaitable<Status> deliver();
  asio::awaitable<void> ask(std::shared_ptr<transport::RpcClient> client, std::string batch);
  bool may_deliver() const {
    return (!queue_.empty() || probing_) && (!asking_ || told_bytes_ < kUnansweredBytesMax);
  }
  asio::awaitable<void> rest(milliseconds time);
  std::string take_batch();
  void note(Status outcome);
  void note_generation(const std::string& answer);
  bool over() const { return stopped_ || shared_->stopped; }

  std::shared_ptr<Shared> shared_;
  raft::RaftId member_;
  PeerPlace place_;
  Method method_;
  asio::steady_timer bell_;
  std::deque<std::string> queue_;
  size_t queued_ = 0;
  std::shared_ptr<transport::RpcClient> client_;
  std::chrono::nanoseconds asked_at_{};               // of the last batch that was asked
  size_t told_bytes_ = 0;                             // since then
  bool asking_ = false;                               // it is not answered yet
  std::optional<Error> lost_;                         // why the connection is of no use any more
  std::optional<std::chrono::nanoseconds> answered_;  // when the last batch was; empty: it was not
  milliseconds pause_ = kPauseMin;
  bool probing_ = false;
  bool pausing_ = false;
  bool complained_ = false;
  bool stopped_ = false;
};

asio::awaitable<void> Peers::Lane::run() {
  while (!over()) {
    if (!may_deliver() && !lost_) {
      co_await rest(std::chrono::hours(1));
      continue;
    }
    Status done;
    if (lost_) done = fail(*lost_);
    if (done && (!client_ || !client_->open())) done = co_await dial();
    if (done && !over()) done = co_await deliver();
    if (over()) break;
    if (done) continue;
    note(done);
    client_.reset();
    lost_.reset();
    asking_ = false;
    queue_.clear();
    queued_ = 0;
    std::uniform_int_distribution<int64_t> draw(kPauseMin.count() / 2, pause_.count());
    const milliseconds time(draw(shared_->random));
    pause_ = std::min(pause_ * 2, kPauseMax);
    const auto until = base::mono_now() + time;
    // Messages that come meanwhile ring the bell and find that it is not the time yet.
    pausing_ = true;
    while (!over() && pausing_ && base::mono_now() < until) {
      co_await rest(std::chrono::ceil<milliseconds>(until - base::mono_now()));
    }
    pausing_ = false;
  }
  client_.reset();
}

asio::awaitable<Status> Peers::Lane::dial() {
  transport::ClientOptions options;
  options.root_pem = shared_->options.credentials.root_pem;
  options.credentials = shared_->options.credentials;
  options.cluster = shared_->options.credentials.identity.cluster;
  options.connect_timeout = kConnectTimeout;
  std::string address = place_.address;
  client_.reset();  // an answer that comes to it now is nobody's
  asking_ = false;
  SKEP_CO_TRY_ASSIGN(client_, co_await transport::RpcClient::connect(
                                  shared_->loop, std::move(address), std::move(options)));
  if (place_.node && client_->server()->node != place_.node) {
    co_return fail(ErrorKind::precondition, "at " + place_.address + " there is node " +
                                                client_->server()->node.str() + ", not node " +
                                                place_.node.str());
  }
  co_return Status{};
}

// Pieces of a snapshot go one at a time: each is as large as a batch may be, and none is urgent.
asio::awaitable<Status> Peers::Lane::deliver() {
  std::string batch = take_batch();
  const auto client = client_;
  const bool due = probing_ || told_bytes_ >= kAskBytes ||
                   base::mono_now() - asked_at_ >= kAskPeriod || !reachable();
  probing_ = false;
  if (method_ == Method::snapshot) {
    SKEP_CO_TRY(co_await client->call(method_, std::move(batch), kCallDeadline));
    note({});
    co_return Status{};
  }
  told_bytes_ += batch.size();
  if (asking_ || !due) {
    client->tell(method_, std::move(batch));
    co_return Status{};
  }
  asking_ = true;
  asked_at_ = base::mono_now();
  told_bytes_ = 0;
  asio::co_spawn(
      shared_->loop,
      [self = shared_from_this(), client, batch = std::move(batch)]() mutable
      -> asio::awaitable<void> { co_await self->ask(client, std::move(batch)); },
      asio::detached);
  co_return Status{};
}

asio::awaitable<void> Peers::Lane::ask(std::shared_ptr<transport::RpcClient> client,
                                       std::string batch) {
  const Result<std::string> answer =
      co_await client->call(method_, std::move(batch), kCallDeadline);
  if (client != client_) co_return;  // of a connection that was given up
  asking_ = false;
  if (answer) {
    note({});
    note_generation(*answer);
  } else {
    lost_ = answer.error();
  }
  bell_.cancel();
}

// Later: whoever hears of it may destroy this lane.
void Peers::Lane::note_generation(const std::string& answer) {
  rpc::RaftReply reply;
  if (!reply.ParseFromString(answer) || reply.generation() == 0) return;
  asio::post(shared_->loop, [shared = shared_, seen = raft::Generation{reply.generation()}] {
    if (!shared->stopped && shared->options.generation_seen) shared->options.generation_seen(seen);
  });
}

// RaftRequest and SnapshotRequest are the same on the wire.
std::string Peers::Lane::take_batch() {
  rpc::RaftRequest request;
  request.set_address(shared_->options.own_address);
  const size_t most = method_ == Method::snapshot ? 1 : kQueueMessagesMax;
  size_t bytes = 0;
  for (size_t count = 0; count < most && !queue_.empty(); ++count) {
    if (count > 0 && bytes + queue_.front().size() > kBatchBytesMax) break;
    bytes += queue_.front().size();
    queued_ -= queue_.front().size();
    request.add_messages(std::move(queue_.front()));
    queue_.pop_front();
  }
  return request.SerializeAsString();
}

void Peers::Lane::note(Status outcome) {
  const bool before = reachable();
  if (outcome) {
    answered_ = base::mono_now();
    complained_ = false;
    pause_ = kPauseMin;
  } else {
    answered_.reset();
    if (!std::exchange(complained_, true)) {
      base::log_warning("manager", "raft member " + std::to_string(member_.value) + ": " +
                                       outcome.error().message);
    }
  }
  if (before != reachable() && shared_->changed) {
    asio::post(shared_->loop, [shared = shared_] {
      if (!shared->stopped && shared->changed) shared->changed();
    });
  }
}

asio::awaitable<void> Peers::Lane::rest(milliseconds time) {
  boost::system::error_code woken;
  bell_.expires_after(time);
  co_await bell_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

struct Peers::Link {
  PeerPlace place;
  std::shared_ptr<Lane> messages;
  std::shared_ptr<Lane> snapshots;
  ~Link() {
    messages->stop();
    snapshots->stop();
  }
};

Peers::Peers(asio::any_io_executor loop, PeersOptions options, std::function<void()> changed)
    : shared_(std::make_shared<Shared>(std::move(loop), std::move(options), std::move(changed))) {}

Peers::~Peers() {
  stop();
}

void Peers::stop() {
  shared_->stopped = true;
  shared_->changed = nullptr;
  links_.clear();
}

void Peers::set_places(std::map<raft::RaftId, PeerPlace> places) {
  places_ = std::move(places);
  for (const auto& [member, place] : places_) learnt_.erase(member);
  std::erase_if(links_, [this](const auto& entry) {
    const auto place = places_.find(entry.first);
    if (place != places_.end()) return place->second != entry.second->place;
    return !learnt_.contains(entry.first);
  });
}

void Peers::learn(raft::RaftId member, const std::string& address) {
  if (const auto link = links_.find(member); link != links_.end()) link->second->messages->hurry();
  if (places_.contains(member) || address.empty()) return;
  std::string& known = learnt_[member];
  if (known == address) return;
  known = address;
  links_.erase(member);
}

Peers::Link* Peers::link_to(raft::RaftId member) {
  if (const auto link = links_.find(member); link != links_.end()) return link->second.get();
  PeerPlace place;
  if (const auto known = places_.find(member); known != places_.end()) {
    place = known->second;
  } else if (const auto learnt = learnt_.find(member); learnt != learnt_.end()) {
    place.address = learnt->second;
  }
  if (place.address.empty() || shared_->stopped) return nullptr;
  auto link = std::make_unique<Link>();
  link->place = place;
  link->messages = std::make_shared<Lane>(shared_, member, place, Method::raft);
  link->snapshots = std::make_shared<Lane>(shared_, member, place, Method::snapshot);
  link->messages->start();
  link->snapshots->start();
  return (links_[member] = std::move(link)).get();
}

void Peers::send(const raft::Message& message) {
  Link* link = link_to(message.to);
  if (link == nullptr) return;
  const bool piece = std::holds_alternative<raft::SnapshotChunk>(message.body);
  (piece ? link->snapshots : link->messages)->add(raft::encode(message));
}

void Peers::probe(raft::RaftId member) {
  if (Link* link = link_to(member)) link->messages->probe();
}

bool Peers::reachable(raft::RaftId member) const {
  const auto link = links_.find(member);
  return link != links_.end() && link->second->messages->reachable();
}

void Peers::set_credentials(transport::NodeCredentials credentials) {
  shared_->options.credentials = std::move(credentials);
  for (const auto& [member, link] : links_) {
    link->messages->redial();
    link->snapshots->redial();
  }
}

}  // namespace skep::manager
