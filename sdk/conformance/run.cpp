// Checks, and the drivers of one case.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "sdk/conformance/case.hpp"

namespace skep::conformance {
namespace {

std::string random_word() {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device chance;
  std::string word;
  for (int i = 0; i < 8; ++i) word += letters[chance() % letters.size()];
  return word;
}

json without(json document, const std::vector<std::string>& members) {
  if (document.is_object()) {
    for (const std::string& member : members) document.erase(member);
  }
  return document;
}

std::string names_of(std::initializer_list<skep_status> codes) {
  std::string all;
  for (const skep_status code : codes) all += (all.empty() ? "" : " or ") + status_name(code);
  return all;
}

}  // namespace

void Kind::clean_up(Run&, const Object&) const {}

json Kind::restore_request(const Object& object, const std::vector<std::string>&) const {
  return {{"id", object.id}, {"handle", object.handle}};
}

std::vector<json> Kind::restore_requests(const Object& object,
                                         const std::vector<std::string>& done) const {
  return {restore_request(object, done)};
}

std::vector<std::string> Kind::left_over(Run&, Driver&) const {
  return {};
}

std::vector<std::string> Kind::wrong_with(Run&, Driver&, const Object&,
                                          const std::vector<std::string>&) const {
  return {};
}

Status Kind::take_leavings_away(Run&) const {
  return {};
}

bool Kind::separate(Run&, Driver&) const {
  return true;
}

Run::Run(const Plugin& plugin, const Case& about, std::string scratch)
    : plugin_(plugin), case_(about), scratch_(std::move(scratch)), unique_(random_word()) {}

Run::~Run() = default;

json Run::fact(std::string_view name, const json& otherwise) const {
  const auto found = plugin_.facts.find(std::string(name));
  return found == plugin_.facts.end() ? otherwise : *found;
}

const Kind& Run::kind() const {
  SKEP_ASSERT(case_.kind != nullptr, "a case of a kind");
  return *case_.kind;
}

Driver& Run::driver(const std::string& folder) {
  return driver(folder, plugin_.mode);
}

Driver& Run::driver(const std::string& folder, Mode mode) {
  std::unique_ptr<Driver>& place = drivers_[folder];
  if (!place) {
    place = std::make_unique<Driver>(plugin_, mode, scratch_ + "/" + folder, observations_);
  }
  return *place;
}

Result<Driver*> Run::started(const std::string& folder) {
  Driver& one = driver(folder);
  if (!one.loaded()) SKEP_TRY(one.start());
  return &one;
}

Status Run::ok(const Outcome& outcome) {
  return that(outcome.ok(), "success", described(outcome), outcome);
}

Status Run::fails(const Outcome& outcome, std::initializer_list<skep_status> with) {
  const bool listed = std::ranges::find(with, outcome.status) != with.end();
  return that(outcome.answered && listed, "the error " + names_of(with), described(outcome),
              outcome);
}

Status Run::fails_naming(const Outcome& outcome, std::initializer_list<skep_status> with,
                         std::string_view word) {
  SKEP_TRY(fails(outcome, with));
  return that(outcome.error.find(word) != std::string::npos,
              fmt::format("a sentence that names \"{}\"", word), described(outcome), outcome);
}

Status Run::same(const Outcome& first, const Outcome& again, const std::vector<std::string>& but) {
  SKEP_TRY(ok(first));
  SKEP_TRY(ok(again));
  return that(without(first.reply, but) == without(again.reply, but),
              "the same reply as before: " + shortened(first.reply_text),
              shortened(again.reply_text), again);
}

Status Run::that(bool holds, std::string_view expected, std::string_view came) {
  if (holds) return {};
  finding_ = Finding{"", "", std::string(expected), std::string(came)};
  return fail(ErrorKind::internal, fmt::format("expected {}, but {}", expected, came));
}

Status Run::that(bool holds, std::string_view expected, std::string_view came,
                 const Outcome& about) {
  if (holds) return {};
  finding_ = Finding{fmt::format("{} of {}", about.operation->name, about.operation->interface),
                     shortened(about.request), std::string(expected), std::string(came)};
  return fail(ErrorKind::internal,
              fmt::format("{}: expected {}, but {}", about.operation->name, expected, came));
}

Status Run::skip(std::string reason) {
  skipped_ = std::move(reason);
  return fail(ErrorKind::cancelled, *skipped_);
}

void Run::observe(int rule, std::string text) {
  observations_.push_back({rule, std::move(text)});
}

std::vector<Observation> Run::take_observations() {
  drivers_.clear();  // each hands its own over as it ends
  return std::exchange(observations_, {});
}

}  // namespace skep::conformance
