// The loop that dials, and the four coroutines that share one connection.
//
// `run` lives as long as the session; a Link lives as long as one connection. The coroutines of a
// link know only their link: whichever finds that something is wrong closes it with the reason,
// the others then fail too and end, and `run` goes on to the next manager.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/session.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <utility>

#include "core/model/codec/codec.hpp"
#include "core/model/codec/common.hpp"
#include "daemon/agent/assignment_state.hpp"
#include "daemon/agent/status_queue.hpp"
#include "daemon/transport/join.hpp"
#include "daemon/transport/node_rpc.pb.h"
#include "daemon/transport/rpc_client.hpp"

namespace skep::agent {
namespace {

using std::chrono::milliseconds;
using transport::Method;
using transport::RpcClient;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kFirstItem{5'000};     // until the manager has accepted the session
constexpr milliseconds kCallDeadline{5'000};  // away, leave, renew
constexpr milliseconds kStatusDeadline{10'000};
constexpr milliseconds kReopenPause{100};  // before asking for the full state again
constexpr milliseconds kStood{2'000};      // a session this long was a good one
// A manager that has not answered a beat by the time of the next but one is given up. It may be
// dead and another one lead by now, which grants one lease: what is left of it must do for finding
// that one.
constexpr milliseconds kBeatDeadlineMin{1'000};
constexpr uint32_t kBeatMinMs = 50;
constexpr uint32_t kBeatMaxMs = 60'000;
constexpr std::chrono::seconds kClockLook{30};  // a wall clock may be set meanwhile
// After a renewal that did not bring what was wanted: the managers' rows may be on their way.
constexpr std::chrono::seconds kWantedAgain{10};
constexpr size_t kBatchMax = 2'000;  // reports; some hundred bytes each, well under 4 MiB

asio::awaitable<void> sleep(asio::steady_timer& timer, Clock::duration time) {
  boost::system::error_code code;  // woken early is fine
  timer.expires_after(time);
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, code));
}

std::string hours_text(model::Nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::hours>(time).count()) + " hours";
}

// What is wrong with a certificate's time by this machine's clock; nullopt: nothing.
std::optional<std::string> out_of_time(const identity::CertificateLife& life, model::WallTime now) {
  if (now > life.not_after) {
    return "this node's certificate ran out " + hours_text(now - life.not_after) +
           " ago; it has to leave the swarm and join it again, unless its clock is wrong";
  }
  if (now < life.not_before) {
    return "this node's certificate begins to be good in " + hours_text(life.not_before - now) +
           ": this machine's clock is behind the managers'";
  }
  return std::nullopt;
}

}  // namespace

class AgentSession::State : public std::enable_shared_from_this<State> {
 public:
  // One connection and what belongs to it.
  struct Link {
    Link(const asio::any_io_executor& loop, std::unique_ptr<RpcClient> dialled, std::string to)
        : client(std::move(dialled)),
          address(std::move(to)),
          first(loop),
          beat_timer(loop),
          status_wake(loop),
          reopen(loop),
          renewal_wake(loop) {}

    std::unique_ptr<RpcClient> client;
    std::string address;
    std::string session;  // empty until the manager has accepted it
    milliseconds beat{1'000};
    asio::steady_timer first;
    asio::steady_timer beat_timer;
    asio::steady_timer status_wake;
    asio::steady_timer reopen;
    asio::steady_timer renewal_wake;
    model::NodeTrust told;        // what this manager knows of the node's trust
    std::optional<Error> reason;  // why this side closed it

    bool open() const { return client->open(); }
    void close(const Error& why) {
      if (!reason) reason = why;
      client->close(why.message);
      first.cancel();
      beat_timer.cancel();
      status_wake.cancel();
      reopen.cancel();
      renewal_wake.cancel();
    }
  };
  using LinkPtr = std::shared_ptr<Link>;

  State(asio::any_io_executor on, SessionOptions with, SessionEvents to)
      : loop(std::move(on)),
        options(std::move(with)),
        events(std::move(to)),
        random(options.seed),
        renewal(options.credentials.life, options.credentials.draw),
        pause(options.pause_min),
        pause_timer(loop) {}

  asio::awaitable<void> run();
  asio::awaitable<Error> serve(LinkPtr link);
  asio::awaitable<void> session_stream(LinkPtr link);
  asio::awaitable<void> assignments(LinkPtr link);
  asio::awaitable<void> beats(LinkPtr link);
  asio::awaitable<void> statuses(LinkPtr link);
  asio::awaitable<void> renewals(LinkPtr link);
  asio::awaitable<Status> renew(LinkPtr link);
  Status adopt(transport::NodeCredentials fresh);
  void take_trust(const LinkPtr& link, const rpc::SessionItem& item);
  void compare_with_wanted(std::chrono::milliseconds delay);
  model::NodeTrust trust() const {
    return {options.credentials.root_pem, options.credentials.issuer};
  }
  Error explain(Error reason) const;
  Status take_session_item(const LinkPtr& link, const std::string& payload);
  Status check_generation(const LinkPtr& link, raft::Generation generation);
  Status go_elsewhere(const LinkPtr& link, const rpc::SessionItem& item);
  Status take_managers(const rpc::SessionItem& item);
  void stand(const LinkPtr& link);
  template <class Coroutine>
  void spawn(Coroutine coroutine, LinkPtr link);
  asio::awaitable<void> wait_before_next(bool good);
  void reconnect(const std::string& why);
  void stop();
  void log(const std::string& sentence) const {
    if (events.log && !stopped) events.log(sentence);
  }
  void warn(const std::string& sentence) const {
    if (events.warn && !stopped) events.warn(sentence);
  }
  bool connected() const { return current && !current->session.empty() && current->open(); }

  asio::any_io_executor loop;
  SessionOptions options;
  SessionEvents events;
  std::mt19937_64 random;
  identity::Renewal renewal;
  std::optional<model::NodeRole> wanted_role;
  std::optional<model::Issuer> wanted_issuer;
  milliseconds pause;
  asio::steady_timer pause_timer;
  StatusQueue queue;
  LinkPtr current;
  size_t next_manager = 0;
  bool started = false;
  bool stopped = false;
  bool hurry = false;           // the next dial is not to wait
  bool sent_elsewhere = false;  // by the last manager, to the one that is dialled next
  bool refused = false;         // on_refused was called and no session has stood since
};

asio::awaitable<void> AgentSession::State::run() {
  next_manager = random() % options.managers.size();
  while (!stopped) {
    const std::string address = options.managers[next_manager % options.managers.size()].address;
    ++next_manager;
    transport::ClientOptions dial;
    dial.root_pem = options.credentials.root_pem;
    dial.credentials = options.credentials;
    dial.cluster = options.credentials.identity.cluster;
    dial.connect_timeout = options.connect_timeout;
    hurry = false;
    Result<std::unique_ptr<RpcClient>> client =
        co_await RpcClient::connect(loop, address, std::move(dial));
    if (stopped) break;
    Error reason;
    const Clock::time_point began = Clock::now();
    bool stood = false;
    if (client) {
      const LinkPtr link = std::make_shared<Link>(loop, std::move(*client), address);
      reason = co_await serve(link);
      stood = !link->session.empty();
    } else {
      reason = client.error();
    }
    if (stopped) break;
    reason = explain(std::move(reason));
    log("no session with the manager at " + address + ": " + reason.message);
    if (stood && events.on_connected) events.on_connected(false, reason.message);
    if (reason.kind == ErrorKind::unauthenticated && !refused && !stopped) {
      refused = true;
      if (events.on_refused) events.on_refused(reason);
    }
    co_await wait_before_next(stood && Clock::now() - began > kStood);
  }
  current.reset();
}

asio::awaitable<void> AgentSession::State::wait_before_next(bool good) {
  if (good) pause = options.pause_min;
  if (stopped || hurry) co_return;
  std::uniform_int_distribution<int64_t> draw(options.pause_min.count() / 2, pause.count());
  const milliseconds time(draw(random));
  pause = std::min(pause * 2, options.pause_max);
  co_await sleep(pause_timer, time);
  sent_elsewhere = false;
}

asio::awaitable<Error> AgentSession::State::serve(LinkPtr link) {
  if (hurry) co_return Error{ErrorKind::cancelled, "this node has changed meanwhile"};
  current = link;
  spawn([this](LinkPtr l) { return session_stream(std::move(l)); }, link);
  link->first.expires_after(kFirstItem);
  link->first.async_wait([link](const boost::system::error_code& code) {
    if (code || !link->session.empty()) return;
    link->close(Error{ErrorKind::deadline, "the manager did not answer in time"});
  });
  Error reason = co_await link->client->closed();
  if (link->reason) reason = *link->reason;
  link->close(reason);  // wakes the timers of the link
  if (current == link) current.reset();
  co_return reason;
}

template <class Coroutine>
void AgentSession::State::spawn(Coroutine coroutine, LinkPtr link) {
  asio::co_spawn(
      loop,
      [self = shared_from_this(), coroutine, link]() -> asio::awaitable<void> {
        co_await coroutine(link);
      },
      asio::detached);
}

asio::awaitable<void> AgentSession::State::session_stream(LinkPtr link) {
  rpc::SessionRequest request;
  codec::encode(options.description, request.mutable_description());
  link->told = trust();
  codec::encode(link->told, request.mutable_trust());
  std::string payload = request.SerializeAsString();
  RpcClient::OnItem on_item = [this, link](const std::string& item) {
    return take_session_item(link, item);
  };
  const Status end =
      co_await link->client->open_stream(Method::session, std::move(payload), std::move(on_item));
  link->close(end ? Error{ErrorKind::unavailable, "the manager ended the session"} : end.error());
}

Status AgentSession::State::take_session_item(const LinkPtr& link, const std::string& payload) {
  rpc::SessionItem item;
  if (!item.ParseFromString(payload)) return fail(ErrorKind::invalid, "a bad session message");
  SKEP_TRY(check_generation(link, {item.generation()}));
  if (item.elsewhere()) return go_elsewhere(link, item);
  if (link->session.empty() && item.session().empty()) {
    return fail(ErrorKind::invalid, "the session's first message has no session");
  }
  if (item.heartbeat_ms() > 0) {
    link->beat = milliseconds(std::clamp(item.heartbeat_ms(), kBeatMinMs, kBeatMaxMs));
  }
  SKEP_TRY(take_managers(item));
  std::optional<model::Node> node;
  if (item.has_node()) {
    SKEP_TRY_ASSIGN(node, codec::decode(item.node()));
  }
  if (link->session.empty()) {
    link->session = item.session();
    stand(link);
  }
  if (node) wanted_role = node->role;
  take_trust(link, item);
  if (node && events.on_node && !stopped) events.on_node(*node);
  return {};
}

Status AgentSession::State::check_generation(const LinkPtr& link, raft::Generation generation) {
  if (raft::ordinal(generation) < raft::ordinal(options.generation)) {
    return fail(ErrorKind::unavailable, "the manager at " + link->address +
                                            " is of a group that was given up: generation " +
                                            raft::text(generation) + ", not " +
                                            raft::text(options.generation));
  }
  if (raft::ordinal(generation) == raft::ordinal(options.generation)) return {};
  if (events.on_generation) SKEP_TRY(events.on_generation(generation));
  options.generation = generation;
  return {};
}

void AgentSession::State::take_trust(const LinkPtr& link, const rpc::SessionItem& item) {
  if (item.has_wanted_issuer()) wanted_issuer = codec::decode_issuer(item.wanted_issuer());
  const transport::NodeCredentials& mine = options.credentials;
  if (!item.roots_pem().empty() && item.roots_pem() != mine.root_pem) {
    Result<transport::NodeCredentials> fresh =
        transport::check_credentials(item.roots_pem(), mine.certificate_pem, mine.key_pem);
    const Status taken = fresh ? adopt(std::move(*fresh)) : fail(fresh.error());
    if (!taken) {
      warn("can't take up the roots that the cluster trusts now: " + taken.error().message);
      renewal.want("the cluster trusts other roots", options.clock());  // which brings them too
    }
  }
  std::uniform_int_distribution<uint32_t> draw(0, item.renew_within_ms());
  compare_with_wanted(milliseconds(draw(random)));
  link->renewal_wake.cancel();
}

// An issuer has time, as all nodes hear of it at once; a role is waited for.
void AgentSession::State::compare_with_wanted(milliseconds delay) {
  const transport::NodeCredentials& mine = options.credentials;
  if (wanted_role && *wanted_role != mine.identity.role) {
    renewal.want(*wanted_role == model::NodeRole::manager ? "this node is to be a manager"
                                                          : "this node is to be a worker",
                 options.clock() + std::min(delay, milliseconds(kWantedAgain)));
  } else if (wanted_issuer && *wanted_issuer != mine.issuer) {
    renewal.want("the cluster changes its root", options.clock() + delay);
  }
}

asio::awaitable<void> AgentSession::State::renewals(LinkPtr link) {
  while (link->open()) {
    const model::Nanoseconds left = renewal.due() - options.clock();
    if (left.count() > 0) {
      co_await sleep(link->renewal_wake, std::min<model::Nanoseconds>(left, kClockLook));
      continue;
    }
    const std::string why = renewal.why();
    const Status renewed = co_await renew(link);
    if (stopped) co_return;
    if (renewed) {
      log("this node has a new certificate: " + why);
      continue;
    }
    if (!link->open()) co_return;  // the next connection tries at once
    const model::WallTime now = options.clock();
    renewal.failed(now);
    const auto seconds_left = std::chrono::ceil<std::chrono::seconds>(renewal.due() - now);
    warn("can't renew this node's certificate (" + why + "): " + renewed.error().message +
         "; next try in " + std::to_string(seconds_left.count()) + " s");
  }
}

asio::awaitable<Status> AgentSession::State::renew(LinkPtr link) {
  Result<transport::NodeCredentials> fresh =
      co_await transport::renew_certificate(*link->client, kCallDeadline);
  if (!fresh) co_return fail(fresh.error());
  if (stopped) co_return fail(ErrorKind::cancelled, "this agent is stopping");
  if (fresh->identity.node != options.credentials.identity.node ||
      fresh->identity.cluster != options.credentials.identity.cluster) {
    co_return fail(ErrorKind::invalid, "the manager signed a certificate of another node");
  }
  if (const std::optional<std::string> wrong = out_of_time(fresh->life, options.clock())) {
    co_return fail(ErrorKind::precondition, *wrong);
  }
  co_return adopt(std::move(*fresh));
}

Status AgentSession::State::adopt(transport::NodeCredentials fresh) {
  // The callback may end this session: what it needs it holds.
  if (events.certificate_changed) SKEP_TRY(events.certificate_changed(fresh));
  const transport::NodeCredentials before = std::exchange(options.credentials, std::move(fresh));
  if (stopped) return {};
  const transport::NodeCredentials& mine = options.credentials;
  if (mine.certificate_pem != before.certificate_pem) {
    renewal = identity::Renewal(mine.life, mine.draw);
    compare_with_wanted(kWantedAgain);
  }
  if (mine.identity.role != before.identity.role) {
    reconnect("this node's role has changed");
  } else if (current) {
    current->beat_timer.cancel();  // it tells the manager
  }
  return {};
}

Error AgentSession::State::explain(Error reason) const {
  if (reason.kind != ErrorKind::unauthenticated) return reason;
  const auto wrong = out_of_time(options.credentials.life, options.clock());
  if (wrong) reason.message = *wrong + " (" + reason.message + ")";
  return reason;
}

// The first of the managers is the one to go to, and at once; with none named there is no leader
// yet, and the pause is what is needed.
Status AgentSession::State::go_elsewhere(const LinkPtr& link, const rpc::SessionItem& item) {
  SKEP_TRY(take_managers(item));
  const Error why{ErrorKind::unavailable, "the manager at " + link->address + " does not lead"};
  if (!item.managers().empty()) {
    next_manager = 0;
    // Two managers that each take the other for the leader must not be asked without a pause.
    hurry = !sent_elsewhere;
    sent_elsewhere = true;
  }
  link->close(why);
  return {};
}

Status AgentSession::State::take_managers(const rpc::SessionItem& item) {
  if (!item.has_managers() || item.managers().empty()) return {};
  std::vector<ManagerAddress> managers;
  for (const rpc::Manager& from : item.managers()) {
    ManagerAddress manager;
    SKEP_TRY_ASSIGN(manager.node, codec::decode_id<model::NodeId>(from.node(), "manager: node"));
    manager.address = from.address();
    managers.push_back(std::move(manager));
  }
  if (managers == options.managers) return {};
  options.managers = std::move(managers);
  next_manager = random() % options.managers.size();
  if (events.on_managers && !stopped) events.on_managers(options.managers);
  return {};
}

void AgentSession::State::stand(const LinkPtr& link) {
  link->first.cancel();
  refused = false;
  sent_elsewhere = false;
  log("session with the manager at " + link->address + " stands");
  spawn([this](LinkPtr l) { return assignments(std::move(l)); }, link);
  spawn([this](LinkPtr l) { return beats(std::move(l)); }, link);
  spawn([this](LinkPtr l) { return statuses(std::move(l)); }, link);
  spawn([this](LinkPtr l) { return renewals(std::move(l)); }, link);
  if (events.on_connected && !stopped) events.on_connected(true, "");
}

asio::awaitable<void> AgentSession::State::assignments(LinkPtr link) {
  rpc::AssignmentsRequest request;
  request.set_session(link->session);
  while (link->open()) {
    const auto state = std::make_shared<AssignmentState>();
    const auto again = std::make_shared<bool>(false);
    RpcClient::OnItem on_item = [this, state, again](const std::string& payload) -> Status {
      rpc::AssignmentsItem item;
      Status applied = fail(ErrorKind::invalid, "a bad assignments message");
      if (item.ParseFromString(payload)) applied = state->apply(item);
      *again = !applied;
      if (applied && state->complete() && events.on_assignments && !stopped) {
        events.on_assignments(state->set());
      }
      return applied;
    };
    std::string payload = request.SerializeAsString();
    const Status end = co_await link->client->open_stream(Method::assignments, std::move(payload),
                                                          std::move(on_item));
    if (!end && !*again) {
      link->close(end.error());
      co_return;
    }
    if (!end) log("asking for all assignments again: " + end.error().message);
    if (link->open()) co_await sleep(link->reopen, kReopenPause);
  }
}

asio::awaitable<void> AgentSession::State::beats(LinkPtr link) {
  while (link->open()) {
    rpc::HeartbeatRequest request;
    request.set_session(link->session);
    const model::NodeTrust now_trusted = trust();
    if (now_trusted != link->told) codec::encode(now_trusted, request.mutable_trust());
    const Clock::time_point next = Clock::now() + link->beat;
    std::string payload = request.SerializeAsString();
    const Result<std::string> answer = co_await link->client->call(
        Method::heartbeat, std::move(payload), std::max(link->beat, kBeatDeadlineMin));
    if (!answer) {
      link->close(answer.error());
      co_return;
    }
    link->told = now_trusted;
    rpc::HeartbeatReply reply;
    if (!reply.ParseFromString(*answer)) {
      link->close(Error{ErrorKind::invalid, "a bad answer to a beat"});
      co_return;
    }
    if (reply.heartbeat_ms() > 0) {
      link->beat = milliseconds(std::clamp(reply.heartbeat_ms(), kBeatMinMs, kBeatMaxMs));
    }
    const Clock::time_point now = Clock::now();
    if (link->open() && next > now && trust() == link->told)
      co_await sleep(link->beat_timer, next - now);
  }
}

asio::awaitable<void> AgentSession::State::statuses(LinkPtr link) {
  while (link->open()) {
    if (!queue.ready()) {
      co_await sleep(link->status_wake, std::chrono::hours(1));
      continue;
    }
    rpc::StatusRequest request;
    request.set_session(link->session);
    for (const TaskReport& report : queue.take(kBatchMax)) {
      rpc::TaskStatusUpdate* update = request.add_updates();
      update->set_task(codec::encode_id(report.id));
      codec::encode(report.status, update->mutable_status());
    }
    std::string payload = request.SerializeAsString();
    const Result<std::string> answer =
        co_await link->client->call(Method::status, std::move(payload), kStatusDeadline);
    if (answer) {
      queue.committed();
      continue;
    }
    const ErrorKind kind = answer.error().kind;
    if (kind == ErrorKind::invalid || kind == ErrorKind::too_large) {
      // Repeating it could not help, and would keep every later report from being sent.
      log("a manager refused " + std::to_string(request.updates_size()) +
          " status reports: " + answer.error().message);
      queue.committed();
      continue;
    }
    queue.failed();
    link->close(answer.error());
    if (current) current->status_wake.cancel();  // a newer link may have waited for this one
  }
}

void AgentSession::State::reconnect(const std::string& why) {
  hurry = true;
  pause_timer.cancel();
  if (current) current->close(Error{ErrorKind::cancelled, why});
}

void AgentSession::State::stop() {
  if (stopped) return;
  stopped = true;
  pause_timer.cancel();
  if (current) current->close(Error{ErrorKind::cancelled, "this agent is stopping"});
}

AgentSession::AgentSession(asio::any_io_executor loop, SessionOptions options, SessionEvents events)
    : state_(std::make_shared<State>(std::move(loop), std::move(options), std::move(events))) {}

AgentSession::~AgentSession() {
  state_->stop();
}

void AgentSession::start() {
  SKEP_ASSERT(!state_->started, "a session is started once");
  SKEP_ASSERT(!state_->options.managers.empty(), "a session knows a manager");
  state_->started = true;
  asio::co_spawn(
      state_->loop, [state = state_]() -> asio::awaitable<void> { co_await state->run(); },
      asio::detached);
}

void AgentSession::stop() {
  state_->stop();
}

void AgentSession::report(std::vector<TaskReport> reports) {
  state_->queue.add(std::move(reports));
  if (state_->current) state_->current->status_wake.cancel();
}

size_t AgentSession::unsent_reports() const {
  return state_->queue.size();
}

void AgentSession::describe(model::NodeDescription description) {
  if (description == state_->options.description) return;
  state_->options.description = std::move(description);
  state_->reconnect("what this node says of itself has changed");
}

bool AgentSession::connected() const {
  return state_->connected();
}

std::string AgentSession::manager_address() const {
  return state_->connected() ? state_->current->address : std::string();
}

asio::awaitable<Result<std::string>> AgentSession::call(Method method, std::string payload,
                                                        milliseconds deadline) {
  const State::LinkPtr link = state_->connected() ? state_->current : nullptr;
  if (!link) co_return fail(ErrorKind::unavailable, "this node has no session with a manager");
  co_return co_await link->client->call(method, std::move(payload), deadline);
}

asio::awaitable<Status> AgentSession::away(uint32_t keep_ms) {
  rpc::AwayRequest request;
  if (state_->connected()) request.set_session(state_->current->session);
  request.set_keep_ms(keep_ms);
  std::string payload = request.SerializeAsString();
  const Result<std::string> answer = co_await call(Method::away, std::move(payload), kCallDeadline);
  if (!answer) co_return fail(answer.error());
  co_return Status{};
}

asio::awaitable<Status> AgentSession::leave() {
  std::string payload = rpc::LeaveRequest().SerializeAsString();
  const Result<std::string> answer =
      co_await call(Method::leave, std::move(payload), kCallDeadline);
  if (!answer) co_return fail(answer.error());
  co_return Status{};
}

}  // namespace skep::agent
