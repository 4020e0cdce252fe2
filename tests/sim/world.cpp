// The queue of what is due, and the safety phase; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/world.hpp"

#include "tests/sim/journal.hpp"
#include "tests/sim/sqlite_disk.hpp"

namespace skep::sim {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

World::World(const WorldOptions& options, TraceRing& ring)
    : options_(options),
      random_(options.seed),
      profile_(draw_profile(random_)),
      trace_(ring, options.print_trace),
      checker_(profile_.store),
      network_(*this),
      membership_(*this),
      faults_(*this),
      clients_(*this, profile_.clients) {
  for (uint64_t i = 0; i < profile_.hosts; ++i) {
    hosts_.push_back(std::make_unique<Host>(*this, static_cast<int>(i)));
  }
}

World::~World() = default;

RunResult World::run() {
  note(What::phase, -1, {}, "safety");
  faults_.begin();
  membership_.found();
  clients_.begin();
  if (profile_.membership_every_us != 0) after(profile_.membership_every_us, MembershipDue{});
  if (profile_.transfer_every_us != 0) after(profile_.transfer_every_us, TransferDue{});
  run_until(options_.ticks * kTickUs, [] { return false; });
  if (!checker_.failure()) run_liveness();
  if (!checker_.failure()) {
    if (std::optional<std::string> wrong = clients_.check_histories()) {
      checker_.fail(*wrong);
    }
  }
  result_.failure = checker_.failure();
  result_.trace_hash = trace_.hash();
  result_.happened = trace_.counts();
  result_.committed = checker_.committed().value;
  result_.operations = clients_.operations();
  result_.leaders = checker_.leaders();
  return result_;
}

template <class Enough>
bool World::run_until(uint64_t at_us, const Enough& enough) {
  while (!checker_.failure() && !due_.empty() && due_.top().at_us <= at_us) {
    const Due next = due_.top();
    due_.pop();
    now_us_ = next.at_us;
    Event event = std::move(events_[next.slot]);
    free_slots_.push_back(next.slot);
    if (const std::optional<uint64_t> held = held_until(event)) {
      after(*held - now_us_, std::move(event));
    } else {
      handle(std::move(event));
    }
    if (enough()) return true;
  }
  now_us_ = std::max(now_us_, at_us);
  return false;
}

void World::after(uint64_t delay_us, Event event) {
  size_t slot = events_.size();
  if (free_slots_.empty()) {
    events_.push_back(std::move(event));
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    events_[slot] = std::move(event);
  }
  due_.push({now_us_ + delay_us, ++planned_, slot});
}

std::optional<uint64_t> World::held_until(const Event& event) const {
  const auto held = [&](uint64_t until) {
    return until > now_us_ ? std::optional(until) : std::nullopt;
  };
  const auto of = [&](int number) -> const Host& { return *hosts_[static_cast<size_t>(number)]; };
  if (const auto* e = std::get_if<TickDue>(&event)) return held(of(e->host).paused_until_us);
  if (const auto* e = std::get_if<Arrival>(&event)) return held(of(e->host).paused_until_us);
  if (const auto* e = std::get_if<RequestArrival>(&event)) {
    return held(of(e->host).paused_until_us);
  }
  if (const auto* e = std::get_if<DiskDue>(&event)) {
    return held(std::max(of(e->host).paused_until_us, of(e->host).disk_hangs_until_us));
  }
  return std::nullopt;
}

void World::handle(Event event) {
  std::visit(Overloaded{
                 [&](TickDue& e) { host(e.host).tick(e.run); },
                 [&](Arrival& e) {
                   if (e.other_disk && !host(e.host).knows_disk_of(e.message.from)) return;
                   host(e.host).receive(std::move(e.message));
                 },
                 [&](DiskDue& e) { host(e.host).disk_due(e.run); },
                 [&](RequestArrival& e) { host(e.host).request(e.request); },
                 [&](AnswerArrival& e) { clients_.answered(e.answer); },
                 [&](ClientDue& e) { clients_.due(e); },
                 [&](RestartDue& e) { host(e.host).start(); },
                 [&](TroubleOver& e) { faults_.over(e); },
                 [&](CutOver& e) { network_.cut_over(e.cut); },
                 [&](FaultDue& e) { faults_.due(e.kind); },
                 [&](MembershipDue&) { handle_membership(); },
                 [&](TransferDue&) { handle_transfer(); },
                 [&](RetireDue& e) { membership_.retire(e.host, e.member); },
             },
             event);
}

void World::handle_membership() {
  if (!faults_are_on_) return;
  membership_.change();
  after(random_.between(1, 2 * profile_.membership_every_us), MembershipDue{});
}

void World::handle_transfer() {
  if (!faults_are_on_) return;
  membership_.transfer();
  after(random_.between(1, 2 * profile_.transfer_every_us), TransferDue{});
}

std::unique_ptr<StateMachine> World::make_machine() const {
  return profile_.store ? make_store_registers() : make_registers();
}

std::unique_ptr<Disk> World::make_disk() {
  if (options_.sqlite) return make_sqlite_disk(options_.seed * 100 + hosts_.size());
  return std::make_unique<JournalDisk>();
}

void World::note(What what, int host, std::array<uint64_t, 5> words, std::string_view text) {
  trace_.add(now_us_, what, host, words, text);
}

void World::answer(int from, const Answer& answer) {
  const char* const names[] = {"done", "refused", "unknown", "overtaken"};
  note(What::answer, from,
       {answer.client, answer.sequence, answer.attempt, answer.result.value, answer.result.count},
       names[static_cast<size_t>(answer.kind)]);
  if (const std::optional<uint64_t> delay = network_.delay()) after(*delay, AnswerArrival{answer});
}

void World::restart_later(int host) {
  after(random_.below(4) == 0 ? random_.below(10 * kSecond) : random_.below(kSecond),
        RestartDue{host});
}

std::optional<int> World::likely_leader() const {
  std::optional<int> best;
  raft::Term term;
  for (int i = 0; i < hosts(); ++i) {
    const Host& host = *hosts_[static_cast<size_t>(i)];
    if (!host.running() || !host.raft().is_leader() || (best && host.raft().term() <= term)) {
      continue;
    }
    best = i;
    term = host.raft().term();
  }
  return best;
}

// --- liveness --------------------------------------------------------------------------------

namespace {

// All of it generous: a group that keeps these is alive, one that is late by a tick is not broken.
constexpr uint64_t kLeaderWithinUs = 20 * raft::kElectionTicksMax * kTickUs;
constexpr uint64_t kAnswersWithinUs = 60 * kSecond;
constexpr uint64_t kAgreementWithinUs = 60 * kSecond;

}  // namespace

// (16) Once nothing fails any more, the group must come to terms by itself.
void World::run_liveness() {
  note(What::phase, -1, {}, "liveness");
  faults_are_on_ = false;
  faults_.heal();
  clients_.finish();
  if (!run_until(now_us_ + kLeaderWithinUs, [&] { return has_leader(); })) {
    return checker_.fail("no leader, though nothing fails any more (16)" + what_is_missing());
  }
  clients_.last_round();
  if (!run_until(now_us_ + kAnswersWithinUs, [&] { return clients_.idle(); })) {
    return checker_.fail("a client got no answer, though nothing fails any more (16)" +
                         what_is_missing());
  }
  // Looked at once a tick: it walks over all hosts.
  const uint64_t end = now_us_ + kAgreementWithinUs;
  while (!checker_.failure() && now_us_ < end) {
    run_until(now_us_ + kTickUs, [] { return false; });
    if (has_converged()) return;
  }
  checker_.fail("the members do not agree, though nothing fails any more (16)" + what_is_missing());
}

bool World::has_leader() const {
  const std::optional<int> leader = likely_leader();
  return leader && hosts_[static_cast<size_t>(*leader)]->raft().leader_is_ready();
}

bool World::has_converged() const {
  const std::optional<int> number = likely_leader();
  if (!number) return false;
  const Host& leader = *hosts_[static_cast<size_t>(*number)];
  const raft::Configuration& configuration = leader.raft().configuration();
  if (configuration.is_joint() || leader.applied() != leader.raft().last_index()) return false;
  for (const std::unique_ptr<Host>& host : hosts_) {
    if (host->lost() || host->blank() || host->impostor() ||
        !configuration.contains(host->member()))
      continue;
    if (!host->running() || host->applied() != leader.applied() ||
        host->raft().configuration() != configuration || host->waiting_requests() != 0) {
      return false;
    }
  }
  return true;
}

std::string World::what_is_missing() const {
  std::string text;
  for (const std::unique_ptr<Host>& host : hosts_) {
    if (host->blank()) continue;
    text += "\n  member " + std::to_string(host->member().value) + ": ";
    if (!host->running()) {
      text += host->lost() ? "lost" : "down";
      continue;
    }
    const raft::Raft& raft = host->raft();
    const raft::Configuration& c = raft.configuration();
    text += raft.is_leader() ? "leader" : "not leader";
    text += ", term " + std::to_string(raft.term().value);
    text += ", commit " + std::to_string(raft.commit().value);
    text += ", last " + std::to_string(raft.last_index().value);
    text += ", applied " + std::to_string(host->applied().value);
    text += ", waiting " + std::to_string(host->waiting_requests());
    for (const auto& [name, members] :
         {std::pair("voters", &c.voters), std::pair("learners", &c.learners),
          std::pair("outgoing", &c.outgoing)}) {
      text += std::string(", ") + name;
      for (const raft::RaftId id : *members) text += " " + std::to_string(id.value);
    }
  }
  return text;
}

}  // namespace skep::sim
