// Steps, memory, restarts.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/life/walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace skep::conformance {
namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace

Result<Walk> Walk::begin(Run& run, Driver& driver, int number) {
  SKEP_TRY_ASSIGN(Object object, run.kind().object(run, number));
  return Walk(run, run.kind().life(driver), std::move(object));
}

std::vector<size_t> Walk::changes() const {
  std::vector<size_t> indices;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].place != Step::Place::read) indices.push_back(i);
  }
  return indices;
}

Outcome Walk::take(Driver& driver, size_t step) {
  Outcome outcome = driver.wait(begin_step(driver, step));
  remember(step, outcome);
  return outcome;
}

uint64_t Walk::begin_step(Driver& driver, size_t step) {
  if (steps_[step].place == Step::Place::up) known_ = true;
  return driver.begin(*steps_[step].operation, request(step));
}

void Walk::remember(size_t step, const Outcome& outcome) {
  if (!outcome.ok()) return;
  const std::string name(steps_[step].operation->name);
  if (step == 0) object_.handle = outcome.member("handle");
  object_.replies[name] = outcome.reply;
  if (steps_[step].place == Step::Place::up) {
    if (std::ranges::find(done_, name) == done_.end()) done_.push_back(name);
  } else if (steps_[step].place == Step::Place::down) {
    const std::string& undone = steps_[step].undoes;
    if (!undone.empty()) {
      std::erase(done_, undone);
    } else if (!done_.empty()) {
      done_.pop_back();
    }
    if (step + 1 == steps_.size()) {
      done_.clear();
      known_ = false;
    }
  }
}

Status Walk::take_changes(Driver& driver, size_t from, size_t to) {
  for (size_t i = from; i < to; ++i) {
    if (steps_[i].place == Step::Place::read) continue;
    SKEP_TRY(run_->ok(take(driver, i)));
  }
  return {};
}

Status Walk::finish(Driver& driver, size_t from) {
  SKEP_TRY(take_changes(driver, from, steps_.size()));
  return check_gone(driver);
}

json Walk::restore_request() const {
  return run_->kind().restore_request(object_, done_);
}

Status Walk::restart(Driver& driver) {
  SKEP_TRY(driver.load());
  SKEP_TRY(run_->ok(driver.configure()));
  std::vector<std::string> ids;
  if (known_) {
    for (const json& request : run_->kind().restore_requests(object_, done_)) {
      ids.push_back(request.at("id").get<std::string>());
      const Outcome restored = driver.restore(request);
      // The host may know an object whose first step never came through, or whose last one did.
      SKEP_TRY(run_->that(restored.ok() || restored.status == SKEP_E_NOTFOUND,
                          "success or NOTFOUND", described(restored), restored));
    }
  }
  SKEP_TRY(run_->ok(driver.restore_done(ids)));
  SKEP_TRY(driver.until_ready());
  if (!run_->kind().told_again()) return {};
  const std::vector<std::string> told = done_;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (std::ranges::find(told, steps_[i].operation->name) == told.end()) continue;
    if (steps_[i].place == Step::Place::up) SKEP_TRY(run_->ok(take(driver, i)));
  }
  return {};
}

Status Walk::check_there(Driver& driver) {
  SKEP_TRY_ASSIGN(const std::vector<std::string> ids, run_->kind().existing(*run_, driver));
  const auto count = std::ranges::count(ids, object_.id);
  SKEP_TRY(run_->that(count == 1, fmt::format("{} exists once", object_.id),
                      fmt::format("it is listed {} times", count)));
  const std::vector<std::string> wrong = run_->kind().wrong_with(*run_, driver, object_, done_);
  return run_->that(wrong.empty(), fmt::format("{} is as it was made", object_.id), joined(wrong));
}

Status Walk::check_gone(Driver& driver) {
  SKEP_TRY_ASSIGN(const std::vector<std::string> ids, run_->kind().existing(*run_, driver));
  SKEP_TRY(run_->that(std::ranges::find(ids, object_.id) == ids.end(),
                      fmt::format("{} is gone", object_.id), "it is still listed"));
  const std::vector<std::string> left = run_->kind().left_over(*run_, driver);
  return run_->that(left.empty(), "nothing of it is left", joined(left));
}

}  // namespace skep::conformance
