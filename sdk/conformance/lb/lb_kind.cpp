// A scope's life: an endpoint, a full state, reads, and everything taken away.
//
// Kernel state may or may not outlive the driver; either way the host sends the full state after a
// restart, so that is what these lives do.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/lb/lb_kind.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sdk/conformance/lb/balancer.hpp"

namespace skep::conformance {
namespace {

constexpr int scopes_max = 40;  // objects of one case

class LbKind : public Kind {
 public:
  std::string_view name() const override { return "lb"; }
  Status prepare(Run&) const override { return {}; }
  bool told_again() const override { return true; }

  Result<Object> object(Run& run, int number) const override {
    SKEP_ASSERT(number < scopes_max, "existing() looks at that many");
    Object made;
    made.id = fmt::format("kit-{}-{}", run.unique(), number);
    made.memory["services"] =
        json::array({lb_service(2 * number, 3), lb_service(2 * number + 1, 1)});
    made.memory["address"] = fmt::format("10.254.{}.2/24", number);
    return made;
  }

  std::vector<Step> life(const Driver&) const override {
    const auto attach = [](const Object& object) {
      return json{{"scope", object.id},
                  {"endpoint", "e1"},
                  {"addresses", json::array({object.memory.at("address")})}};
    };
    const auto full = [](const Object& object) {
      return json{{"scope", object.id},
                  {"base_generation", 0},
                  {"generation", 1},
                  {"upsert", object.memory.at("services")}};
    };
    const auto scope = [](const Object& object) { return json{{"scope", object.id}}; };
    const auto detach = [](const Object& object) {
      return json{{"scope", object.id}, {"endpoint", "e1"}};
    };
    using Place = Step::Place;
    return {
        {Place::up, &lb("endpoint_attach"), attach, {}, ""},
        {Place::up, &lb("apply"), full, {}, ""},
        {Place::read, &lb("dump"), scope, {}, ""},
        {Place::read, &lb("check"), scope, {}, ""},
        {Place::read, &lb("stats"), scope, {"services"}, ""},
        {Place::down, &lb("endpoint_detach"), detach, {}, "endpoint_attach"},
        {Place::down, &lb("release"), scope, {}, "apply"},
    };
  }

  json altered(const Object& object) const override {
    return {{"scope", object.id}, {"endpoint", "e1"}, {"addresses", {"10.253.0.9/24"}}};
  }

  // A scope exists when something was applied to it.
  Result<std::vector<std::string>> existing(Run& run, Driver& driver) const override {
    std::vector<std::string> ids;
    for (int i = 0; i < scopes_max; ++i) {
      const std::string id = fmt::format("kit-{}-{}", run.unique(), i);
      const Outcome dumped = driver.call(lb("dump"), {{"scope", id}});
      if (dumped.status == SKEP_E_NOTFOUND) continue;
      SKEP_TRY(run.ok(dumped));
      ids.push_back(id);
    }
    return ids;
  }
  bool exists_after(const std::vector<std::string>& done) const override {
    return std::ranges::find(done, "apply") != done.end();
  }

  std::vector<std::string> wrong_with(Run&, Driver& driver, const Object& object,
                                      const std::vector<std::string>&) const override {
    const Outcome dumped = driver.call(lb("dump"), {{"scope", object.id}});
    const std::string difference =
        lb_difference(object.memory.at("services"), dumped.member("services"));
    if (difference.empty()) return {};
    return {"what is in force differs from what was applied: " + difference};
  }

  std::vector<Case> cases() const override {
    std::vector<Case> all = lb_apply_cases();
    for (Case& one : lb_scope_cases()) all.push_back(std::move(one));
    return all;
  }
};

}  // namespace

const host::Operation& lb(std::string_view name) {
  const host::Operation* const found = host::find_operation(SKEP_LB_1, name);
  SKEP_ASSERT(found != nullptr, "an operation of skep.lb/1");
  return *found;
}

const Kind& lb_kind() {
  static const LbKind kind;
  return kind;
}

}  // namespace skep::conformance
