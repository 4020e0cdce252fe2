// Starting, losing, starting again.
//
// At most one of two coroutines changes which life serves: keep_trying() after a loss, or reload().
// Each looks again after every await whether the other, or stop(), has been there.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "daemon/drivers/first_steps.hpp"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds init_patience{10'000};   // until a library stands in a new process
constexpr milliseconds quiet_patience{10'000};  // for calls to end before the objects move
constexpr milliseconds end_patience{2'000};     // for a process to destroy its instance and exit
constexpr size_t waiting_max = 4096;            // calls that wait for a driver to come back

}  // namespace

Supervisor::Supervisor(asio::any_io_executor loop, PluginConfig config, PluginPlace place,
                       std::shared_ptr<CallTable> table, std::function<void()> changed)
    : loop_(loop),
      place_(std::move(place)),
      table_(std::move(table)),
      changed_(std::move(changed)),
      config_(std::move(config)),
      pause_(loop),
      first_start_(loop) {}

Supervisor::~Supervisor() {
  stop();
}

void Supervisor::begin(host::CheckedFile file, host::PluginIdentity identity) {
  program_ = std::make_shared<const Program>(
      Program{std::move(config_), std::move(file), std::move(identity)});
  become(RunState::restarting, fmt::format("driver {} is being started", table_->log.name()));
  try_in(milliseconds(0));
}

asio::awaitable<Status> Supervisor::came_up(std::optional<steady_clock::time_point> until) {
  const std::shared_ptr<Supervisor> self = shared_from_this();
  const auto last = until.value_or(steady_clock::time_point::max());
  while (!settled_ && !stopped_ && steady_clock::now() < last) {
    first_start_.expires_at(last);
    co_await first_start_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  awaited_ = false;
  if (refusal_) co_return fail(*refusal_);
  if (!settled_ && stopped_) co_return fail(ErrorKind::cancelled, "the plugin is being ended");
  co_return Status();
}

// The first start has an outcome; a refusal ends all, when somebody is there who hears of it.
void Supervisor::settle(std::optional<Error> refusal) {
  if (settled_) return;
  settled_ = true;
  refusal_ = std::move(refusal);
  first_start_.cancel();
}

asio::awaitable<Result<Supervisor::LifePtr>> Supervisor::bring_up(ProgramPtr program) {
  const std::shared_ptr<Supervisor> self = shared_from_this();
  host::HelperOptions options;
  options.program = place_.helper;
  options.name = program->config.name;
  options.limits = program->config.limits;
  options.log_level = table_->log.level();
  options.debug = program->config.debug;
  HelperLife::OnLost lost = [weak = weak_from_this()](const LifePtr& life) {
    if (const std::shared_ptr<Supervisor> there = weak.lock()) there->on_lost(life);
  };
  ++starts_;
  SKEP_CO_TRY_ASSIGN(const LifePtr life, HelperLife::begin(loop_, program->file, program->identity,
                                                           options, table_, std::move(lost)));
  std::erase_if(lives_, [](const auto& old) { return old.expired(); });
  lives_.push_back(life);
  Status stands = co_await life->stands(init_patience);
  if (stands) {
    if (!facts_.known) facts_ = life->facts();
    std::string schema = life->facts().config_schema;
    stands = co_await configure_driver(life, table_, program->config, place_, std::move(schema));
  }
  if (stopped_) co_return fail(ErrorKind::cancelled, "the plugin is being ended");
  if (!stands) {
    // A process that hangs over its configuration is dead to us as well.
    co_await life->end("it was not configured", end_patience);
    co_return fail(stands.error());
  }
  co_return life;
}

// The last step before a life serves. What is lost until then has nobody who would hear of it, so
// it is looked at here. A source that was exchanged meanwhile is asked as well.
asio::awaitable<Status> Supervisor::restore(LifePtr life) {
  const std::shared_ptr<Supervisor> self = shared_from_this();
  uint64_t asked = 0;
  while (source_ && asked != source_number_) {
    asked = source_number_;
    RestorePlan plan = source_();
    if (plan.told) plan.told = while_asked(asked, std::move(plan.told));
    SKEP_CO_TRY(co_await restore_objects(life, table_, std::move(plan)));
  }
  if (life->is_lost()) co_return fail(ErrorKind::plugin_lost, life->how());
  co_return Status();
}

// `told`, as long as the source with this number is the one that is asked: its owner may go first.
Supervisor::Told Supervisor::while_asked(uint64_t number, Told told) {
  return [weak = weak_from_this(), number, told = std::move(told)](const std::string& id,
                                                                   const Status& outcome) {
    const std::shared_ptr<Supervisor> there = weak.lock();
    if (there && there->source_ && there->source_number_ == number) told(id, outcome);
  };
}

void Supervisor::try_in(milliseconds wait) {
  if (trying_ || stopped_) return;
  trying_ = true;
  asio::co_spawn(
      loop_, [self = shared_from_this(), wait] { return self->keep_trying(wait); }, asio::detached);
}

asio::awaitable<void> Supervisor::keep_trying(milliseconds wait) {
  const std::shared_ptr<Supervisor> self = shared_from_this();
  while (!stopped_) {
    if (wait.count() > 0) {
      pause_.expires_after(wait);
      co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (stopped_ || reloading_ || life_) break;
    const bool done = co_await try_once();
    settle({});
    if (done) break;
    wait = next_wait_;
  }
  trying_ = false;
  settle({});
  // A reload took this attempt's place, and failed while the attempt was being ended.
  if (!life_ && !reloading_ && !refusal_) try_in(next_wait_);
}

asio::awaitable<bool> Supervisor::try_once() {
  const Result<LifePtr> up = co_await bring_up(program_);
  Status done = up ? Status() : Status(fail(up.error()));
  if (up) done = co_await restore(*up);
  if (stopped_) co_return true;
  if (up && (reloading_ || life_)) {
    co_await (*up)->end("a reload took its place", end_patience);
    co_return true;
  }
  if (done) {
    serve(*up);
    co_return true;
  }
  if (up) (*up)->drop();
  // A reload was quicker, or goes on: what became of this attempt concerns nobody.
  if (reloading_ || life_) co_return true;
  if (!up && !settled_ && awaited_ && !is_loss(up.error())) {
    settle(up.error());
    co_return true;
  }
  note_loss(done.error().message, milliseconds(0));
  co_return false;
}

void Supervisor::on_lost(const LifePtr& life) {
  if (life != life_ || stopped_) return;
  life_.reset();
  gate_closed_ = true;
  note_loss(life->how(),
            std::chrono::duration_cast<milliseconds>(steady_clock::now() - served_since_));
  if (!reloading_) try_in(next_wait_);
}

void Supervisor::note_loss(const std::string& how, milliseconds lived) {
  next_wait_ = policy_.lost(steady_clock::now(), lived);
  const std::string& name = table_->log.name();
  if (policy_.open()) {
    become(RunState::unhealthy,
           fmt::format("driver {} is unhealthy: lost {} times in 2 minutes, the last time: {}",
                       name, RestartPolicy::losses_max, how));
    refuse_waiting();
  } else {
    become(RunState::restarting, fmt::format("driver {} is being restarted: {}", name, how));
  }
  table_->log.line(0, SKEP_LOG_ERROR,
                   fmt::format("{}; next start in {} ms", reason_, next_wait_.count()));
}

void Supervisor::serve(LifePtr life) {
  life_ = std::move(life);
  life_->set_log_level(table_->log.level());  // it may have been changed meanwhile
  facts_ = life_->facts();
  present_ = life_->present();
  served_since_ = steady_clock::now();
  unrestored_.clear();
  policy_.served();
  const bool again = starts_ > 1;
  become(RunState::serving, "");
  if (again) {
    table_->log.line(0, SKEP_LOG_INFO, fmt::format("serves again, as process {}", life_->pid()));
  }
  open_gate();
}

// The life that serves may get calls, unless somebody still moves or restores its objects: who is
// the last of them asks again.
void Supervisor::go_on() {
  if (!life_ || stopped_ || exchanging_ || restoring_ == life_) return;
  if (unrestored_.empty()) {
    open_gate();
  } else {
    life_->kill("killed, because it did not restore its objects: " + unrestored_);
  }
}

void Supervisor::open_gate() {
  gate_closed_ = false;
  std::deque<std::shared_ptr<PendingCall>> calls;
  calls.swap(waiting_);
  for (std::shared_ptr<PendingCall>& call : calls) start(std::move(call));
}

void Supervisor::refuse_waiting() {
  std::deque<std::shared_ptr<PendingCall>> calls;
  calls.swap(waiting_);
  for (const std::shared_ptr<PendingCall>& call : calls) {
    table_->finish(call->number, fail(ErrorKind::unavailable, reason_));
  }
}

void Supervisor::become(RunState state, std::string reason) {
  const bool other = state != state_;
  state_ = state;
  reason_ = std::move(reason);
  if (other && changed_) changed_();
}

void Supervisor::start(std::shared_ptr<PendingCall> call) {
  if (stopped_) {
    table_->finish(call->number, fail(ErrorKind::cancelled, "the driver is being ended"));
  } else if (state_ == RunState::unhealthy) {
    table_->finish(call->number, fail(ErrorKind::unavailable, reason_));
  } else if (life_ && !gate_closed_ && !life_->is_lost()) {
    life_->start(std::move(call));
  } else if (waiting_.size() >= waiting_max) {
    table_->finish(call->number,
                   fail(ErrorKind::unavailable,
                        fmt::format("{} calls wait for driver {} already, which is the limit",
                                    waiting_max, table_->log.name())));
  } else {
    waiting_.push_back(std::move(call));
  }
}

void Supervisor::give_up(uint64_t number) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const auto& call) { return call->number == number; });
  if (found != waiting_.end()) {
    waiting_.erase(found);
    table_->finish(number, fail(ErrorKind::cancelled, "it was never begun"));
  } else if (life_) {
    life_->give_up(number);
  }
}

bool Supervisor::has(const host::Operation& operation) const {
  // Which of the catalog's operations are there, a library tells once it stands; of interfaces that
  // no catalog knows, and before that, the note has to do.
  if (!present_.empty() && host::find_interface(operation.interface) != nullptr) {
    return std::any_of(present_.begin(), present_.end(),
                       [&](const auto* present) { return *present == operation; });
  }
  const std::vector<std::string>& all = program_->identity.interfaces;
  return std::find(all.begin(), all.end(), operation.interface) != all.end();
}

RunReport Supervisor::report() const {
  RunReport report;
  report.state = state_;
  report.reason = reason_;
  report.pid = life_ ? life_->pid() : 0;
  report.restarts = starts_ == 0 ? 0 : starts_ - 1;
  report.recent_losses = policy_.losses(steady_clock::now());
  return report;
}

void Supervisor::set_log_level(int32_t level) {
  table_->log.set_level(level);
  if (life_) life_->set_log_level(level);
}

asio::awaitable<Status> Supervisor::restore_from(RestoreSource source) {
  const std::shared_ptr<Supervisor> self = shared_from_this();
  source_ = std::move(source);
  ++source_number_;
  const LifePtr life = life_;
  // Whoever brings the driver back asks the source then.
  if (!life) co_return fail(ErrorKind::unavailable, reason_);
  if (gate_closed_) {
    co_return fail(ErrorKind::unavailable,
                   fmt::format("driver {} {}", table_->log.name(),
                               exchanging_ ? "is being reloaded" : "is restoring its objects"));
  }
  gate_closed_ = true;
  restoring_ = life;
  const Status done = co_await restore(life);
  if (restoring_ == life) restoring_.reset();
  if (life_ != life) co_return done;
  if (!done) unrestored_ = done.error().message;
  go_on();
  co_return done;
}

// A driver that is started from now on hears of no object and of no end of its restores.
void Supervisor::forget_source() {
  source_ = nullptr;
}

asio::awaitable<Status> Supervisor::reload(PluginConfig fresh) {
  const std::shared_ptr<Supervisor> self = shared_from_this();
  const std::string name = table_->log.name();
  if (stopped_) co_return fail(ErrorKind::cancelled, "the plugin is being ended");
  if (reloading_) {
    co_return fail(ErrorKind::busy, "plugin " + name + " is being reloaded already");
  }
  SKEP_CO_TRY_ASSIGN(host::CheckedFile file, open_file(fresh));
  SKEP_CO_TRY_ASSIGN(host::PluginIdentity identity, host::read_note(file));
  if (identity.id != program_->identity.id ||
      identity.interfaces != program_->identity.interfaces) {
    co_return fail(ErrorKind::conflict, "the file of plugin " + name +
                                            " is another plugin now, or offers other interfaces: "
                                            "that needs a restart of skepd");
  }
  const auto program = std::make_shared<const Program>(
      Program{std::move(fresh), std::move(file), std::move(identity)});
  reloading_ = true;
  pause_.cancel();
  const Result<LifePtr> up = co_await bring_up(program);
  Status done = up ? Status() : Status(fail(up.error()));
  if (up) done = co_await exchange(*up, program);
  reloading_ = false;
  if (!life_) try_in(next_wait_);
  co_return done;
}

asio::awaitable<Status> Supervisor::exchange(LifePtr fresh, ProgramPtr program) {
  exchanging_ = true;
  gate_closed_ = true;
  const LifePtr old = life_;
  if (old) co_await old->quiet(quiet_patience);
  const Status moved = co_await restore(fresh);
  exchanging_ = false;
  if (stopped_) co_return fail(ErrorKind::cancelled, "the plugin is being ended");
  if (!moved) {
    go_on();
    co_await fresh->end("it could not take over", end_patience);
    co_return moved;
  }
  program_ = program;
  policy_.reset();
  serve(fresh);
  if (old) co_await old->end("the plugin was reloaded", end_patience);
  co_return Status();
}

asio::awaitable<void> Supervisor::end() {
  const std::shared_ptr<Supervisor> self = shared_from_this();
  const LifePtr life = life_;
  if (life) {
    const host::Operation& operation = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, shutdown);
    CallOptions options;
    options.deadline_ms = operation.deadline_ms;
    const Result<std::string> ended =
        co_await make_call(life, table_, operation, std::string(), std::string("{}"), options);
    if (!ended && ended.error().kind != ErrorKind::unimplemented) {
      table_->log.line(0, SKEP_LOG_WARNING, "at its end: " + ended.error().message);
    }
  }
  stopped_ = true;
  pause_.cancel();
  if (life) co_await life->end("the node is ending", end_patience);
}

void Supervisor::stop() {
  stopped_ = true;
  changed_ = nullptr;
  pause_.cancel();
  first_start_.cancel();
  source_ = nullptr;
  waiting_.clear();
  table_->cancel_all();
  for (const std::weak_ptr<HelperLife>& weak : lives_) {
    if (const LifePtr life = weak.lock()) life->drop();
  }
  lives_.clear();
  life_.reset();
  become(RunState::ended, "the plugin was ended");
}

}  // namespace skep::drivers
