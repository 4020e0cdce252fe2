// The mutations. An operation that takes no member may take anything.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/generic/fuzz.hpp"

#include <fmt/format.h>

#include <array>

namespace skep::conformance {
namespace {

constexpr int levels = 20'000;
constexpr std::array all{Mutation::not_json, Mutation::deep,           Mutation::large,
                         Mutation::bad_utf8, Mutation::unknown_member, Mutation::wrong_member};

bool ends_by_itself(const host::Operation& operation) {
  return operation.effect == host::Effect::reads || operation.effect == host::Effect::changes;
}

// The outcome; a wait or a stream is cancelled, as it may go on for ever.
Outcome answer(Driver& driver, const host::Operation& operation, std::string_view request) {
  const uint64_t number = driver.begin_text(operation, request);
  if (!ends_by_itself(operation)) {
    Outcome early = driver.wait(number, 100);
    if (early.answered) return early;
    driver.cancel(number);
  }
  return driver.wait(number);
}

Status alive(Run& run, Driver& driver, const Outcome& after) {
  SKEP_TRY(run.that(after.answered && !after.lost(), "an answer", described(after), after));
  const Outcome probed = driver.call(base("probe"), json::object());
  return run.that(probed.answered && !probed.lost(), "the driver still answers afterwards",
                  described(probed), after);
}

// Neither a crash nor an error of the driver itself: the request is wrong, or was good enough.
Status refused_or_ignored(Run& run, Driver& driver, const host::Operation& operation,
                          std::string_view request) {
  const Outcome outcome = answer(driver, operation, request);
  SKEP_TRY(alive(run, driver, outcome));
  return run.that(outcome.status != SKEP_E_INTERNAL, "INVALID, or the member ignored",
                  described(outcome), outcome);
}

std::string with_member(const json& good, const std::string& raw) {
  std::string text = good.dump();
  text.pop_back();
  return text + (good.empty() ? "" : ",") + "\"kit_unknown\":" + raw + "}";
}

Status not_json(Run& run, Driver& driver, const host::Operation& operation, const json& good) {
  const std::string whole = good.dump();
  const std::vector<std::string> texts{"",
                                       whole.substr(0, whole.size() - 1),
                                       whole.substr(0, whole.size() / 2),
                                       "[]",
                                       "null",
                                       "17",
                                       "\"" + std::string(40, 'x') + "\"",
                                       std::string("\0\0\0", 3),
                                       whole + whole};
  for (const std::string& text : texts) {
    const Outcome outcome = answer(driver, operation, text);
    SKEP_TRY(alive(run, driver, outcome));
    // What needs nothing from its request may not look at it.
    const bool may_ignore = good.empty();
    if (may_ignore && !(outcome.status == SKEP_E_INTERNAL)) continue;
    SKEP_TRY(run.fails(outcome, {SKEP_E_INVALID}));
  }
  return {};
}

Status bad_utf8(Run& run, Driver& driver, const host::Operation& operation, const json& good) {
  for (const std::string bytes : {"\xff", "\xc3", "\xed\xa0\x80", "a\x80z"}) {
    SKEP_TRY(refused_or_ignored(run, driver, operation, with_member(good, "\"" + bytes + "\"")));
    // In the member that names the object, if it has one.
    std::string text = good.dump();
    const size_t quote = text.find(":\"");
    if (quote != std::string::npos) {
      SKEP_TRY(refused_or_ignored(run, driver, operation, text.insert(quote + 2, bytes)));
    }
  }
  return {};
}

Status unknown_member(Run& run, Driver& driver, const host::Operation& operation,
                      const json& good) {
  const Outcome plain = answer(driver, operation, good.dump());
  const Outcome outcome = answer(driver, operation, with_member(good, "{\"a\":[1]}"));
  SKEP_TRY(alive(run, driver, outcome));
  return run.that(outcome.status == plain.status,
                  "the same outcome as without the unknown member: " + described(plain),
                  described(outcome), outcome);
}

Status wrong_member(Run& run, Driver& driver, const host::Operation& operation, const json& good) {
  std::vector<std::string> members;
  if (!operation.key.empty()) members.emplace_back(operation.key);
  if (members.empty() && good.contains("ids")) members.emplace_back("ids");
  if (members.empty() && good.contains("config")) members.emplace_back("config");
  for (const std::string& member : members) {
    if (!good.contains(member)) continue;
    json wrong = good;
    wrong[member] = 17;
    const Outcome typed = answer(driver, operation, wrong.dump());
    SKEP_TRY(alive(run, driver, typed));
    SKEP_TRY(run.fails_naming(typed, {SKEP_E_INVALID}, member));
    wrong.erase(member);
    const Outcome absent = answer(driver, operation, wrong.dump());
    SKEP_TRY(alive(run, driver, absent));
    SKEP_TRY(run.fails_naming(absent, {SKEP_E_INVALID}, member));
  }
  return {};
}

}  // namespace

std::span<const Mutation> mutations() {
  return all;
}

std::string_view name_of(Mutation mutation) {
  switch (mutation) {
    case Mutation::not_json:
      return "not-json";
    case Mutation::deep:
      return "deep";
    case Mutation::large:
      return "large";
    case Mutation::bad_utf8:
      return "bad-utf8";
    case Mutation::unknown_member:
      return "unknown-member";
    case Mutation::wrong_member:
      return "wrong-member";
  }
  SKEP_ASSERT(false, "a mutation of the list");
}

std::string_view told(Mutation mutation) {
  switch (mutation) {
    case Mutation::not_json:
      return "are not JSON";
    case Mutation::deep:
      return "are nested thousands of levels deep";
    case Mutation::large:
      return "are as large as can be";
    case Mutation::bad_utf8:
      return "hold bytes that are no text";
    case Mutation::unknown_member:
      return "have a member more";
    case Mutation::wrong_member:
      return "have their key wrong or not at all, which is refused by name";
  }
  SKEP_ASSERT(false, "a mutation of the list");
}

Status fuzz(Run& run, Driver& driver, const host::Operation& operation, const json& good,
            Mutation mutation) {
  switch (mutation) {
    case Mutation::not_json:
      return not_json(run, driver, operation, good);
    case Mutation::deep:
      SKEP_TRY(refused_or_ignored(run, driver, operation, std::string(levels, '[')));
      return refused_or_ignored(
          run, driver, operation,
          with_member(good, std::string(levels, '[') + std::string(levels, ']')));
    case Mutation::large: {
      const size_t room = SKEP_REQUEST_MAX - good.dump().size() - 64;
      return refused_or_ignored(run, driver, operation,
                                with_member(good, "\"" + std::string(room, 'x') + "\""));
    }
    case Mutation::bad_utf8:
      return bad_utf8(run, driver, operation, good);
    case Mutation::unknown_member:
      return unknown_member(run, driver, operation, good);
    case Mutation::wrong_member:
      return wrong_member(run, driver, operation, good);
  }
  SKEP_ASSERT(false, "a mutation of the list");
}

}  // namespace skep::conformance
