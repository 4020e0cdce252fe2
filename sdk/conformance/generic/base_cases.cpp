// The operations every driver has: probe, restore, drain, and whatever bytes come as a request.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/child.hpp"
#include "sdk/conformance/generic/fuzz.hpp"
#include "sdk/conformance/generic/generic_cases.hpp"
#include "sdk/conformance/generic/raw_library.hpp"

namespace skep::conformance {
namespace {

constexpr int64_t probe_cheap_ms = 2'000;
constexpr int probes = 20;

Status probe_is_cheap(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  for (int i = 0; i < probes; ++i) {
    const Outcome probed = driver->call(base("probe"), json::object());
    SKEP_TRY(run.ok(probed));
    SKEP_TRY(run.that(probed.text("state") == "ready", "state ready again and again",
                      described(probed), probed));
    SKEP_TRY(run.that(probed.took_ms < probe_cheap_ms,
                      fmt::format("an answer within {} ms", probe_cheap_ms),
                      fmt::format("it took {} ms", probed.took_ms), probed));
  }
  return {};
}

// Before configure there is nothing to be ready with; answering so, or with an error, is both fine.
Status probe_before_configure(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  const Outcome probed = driver.call(base("probe"), json::object());
  SKEP_TRY(run.that(probed.answered && !probed.lost(), "an answer", described(probed), probed));
  SKEP_TRY(
      run.that(!probed.ok() || probed.text("state") == "ready" || !probed.text("reason").empty(),
               "a reason beside a state that is not ready", described(probed), probed));
  SKEP_TRY(run.ok(driver.configure()));
  SKEP_TRY(run.ok(driver.restore_done({})));
  return driver.until_ready();
}

// The profile's "unready": {"config": {..}, "names": WORD}: a configuration whose dependency is
// away.
Status missing_dependency_is_named(Run& run) {
  const json unready = run.fact("unready");
  if (!unready.is_object()) {
    return run.skip("the profile has no \"unready\" configuration, whose dependency is away");
  }
  const std::string word = unready.at("names").get<std::string>();
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  const Outcome configured = driver.configure(unready.at("config"));
  if (!configured.ok()) {
    return run.fails_naming(configured, {SKEP_E_UNAVAILABLE, SKEP_E_PRECONDITION}, word);
  }
  const Outcome probed = driver.call(base("probe"), json::object());
  const std::string state = probed.text("state");
  SKEP_TRY(run.that(!probed.ok() || state == "not_ready" || state == "broken",
                    "not_ready or broken", described(probed), probed));
  const std::string reason = probed.ok() ? probed.text("reason") : probed.error;
  return run.that(reason.find(word) != std::string::npos,
                  fmt::format("a reason that names \"{}\"", word), described(probed), probed);
}

Status capabilities_and_dump(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  const Outcome first = driver->call(base("capabilities"), json::object());
  const Outcome again = driver->call(base("capabilities"), json::object());
  SKEP_TRY(run.same(first, again));
  const Outcome dumped = driver->call(base("dump"), json::object());
  return run.that(dumped.ok() || dumped.status == SKEP_E_UNIMPLEMENTED, "any JSON",
                  described(dumped), dumped);
}

// drain, shutdown, end: in good order, and the driver starts again on its folders.
Status orderly_end(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  for (const std::string_view name : {"drain", "shutdown"}) {
    const Outcome outcome = driver->call(base(name), json::object());
    SKEP_TRY(run.that(outcome.ok() || outcome.status == SKEP_E_UNIMPLEMENTED, "success",
                      described(outcome), outcome));
  }
  driver->drop();
  return driver->start();
}

Status base_requests(Run& run, Mutation mutation) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  const json configuration{{"config", driver.default_config()},
                           {"run_dir", driver.run_dir()},
                           {"data_dir", driver.data_dir()},
                           {"plugin_dir", "/"},
                           {"node", "conformance"}};
  // Not yet configured: whatever comes, it answers. It is configured once, so no call of it is
  // repeated.
  if (mutation == Mutation::unknown_member) {
    json more = configuration;
    more["kit_unknown"] = json::array({1});
    SKEP_TRY(run.ok(driver.call(base("configure"), more)));
  } else {
    SKEP_TRY(fuzz(run, driver, base("configure"), configuration, mutation));
  }
  SKEP_TRY(driver.start());
  const std::vector<std::pair<std::string_view, json>> requests{
      {"capabilities", json::object()},
      {"probe", json::object()},
      {"dump", json::object()},
      {"restore", {{"id", "kit-never-made"}, {"handle", nullptr}}},
      {"restore_done", {{"ids", json::array()}}},
      {"reconfigure", {{"config", driver.default_config()}}},
  };
  for (const auto& [name, request] : requests) {
    if (driver.has(base(name))) SKEP_TRY(fuzz(run, driver, base(name), request, mutation));
  }
  return driver.until_ready();
}

// Straight into the functions, so that what comes out of them is seen and not the host's rescue.
Status nothing_is_thrown(Run& run) {
  SKEP_TRY_ASSIGN(const skep_plugin* const plugin, open_raw(run.plugin()));
  if ((plugin->flags & SKEP_PLUGIN_PROCESS_ONLY) != 0) {
    return run.skip("the driver is never loaded into the host's process");
  }
  auto* const host = new RawHost(run.plugin());  // a driver may call it late
  const skep_instance* const instance = plugin->create(host->table());
  SKEP_TRY(run.that(instance != nullptr, "an instance", "NULL"));
  for (const host::Interface& interface : host::interfaces()) {
    for (const host::Operation& operation : interface.operations) {
      const skep_call function = function_of(*instance, operation);
      const bool answers =
          operation.effect == host::Effect::reads || operation.effect == host::Effect::changes;
      if (function == nullptr || !answers) continue;
      for (const std::string_view request : {"", "{", "[]", "{}", "{\"volume\":7}", "\xff"}) {
        if (run.plugin().crumb) {
          run.plugin().crumb->write(fmt::format("{} with {}", operation.name, shortened(request)));
        }
        skep_op* const op = host->open();
        std::string thrown;
        bool answered = true;
        try {
          const skep_status status = function(instance->self, op, {request.data(), request.size()});
          if (status == SKEP_PENDING) answered = host->wait(op).has_value();
        } catch (const std::exception& error) {
          thrown = error.what();
        } catch (...) {
          thrown = "something that is no std::exception";
        }
        SKEP_TRY(run.that(
            thrown.empty(), "no exception",
            fmt::format("{} with {} threw {}", operation.name, shortened(request), thrown)));
        // Nor are all the others waited for after one that never ends.
        SKEP_TRY(run.that(answered, "an end of each operation",
                          fmt::format("{} with {} had none within {} ms", operation.name,
                                      shortened(request), host->patience().count())));
      }
    }
  }
  return {};
}

}  // namespace

std::vector<Case> base_cases() {
  std::vector<Case> all{
      {"generic.probe.cheap", "probe is cheap and constant", {rule(38)}, probe_is_cheap},
      {"generic.probe.before-configure",
       "probe answers before configure",
       {rule(38)},
       probe_before_configure},
      {"generic.probe.dependency",
       "a missing dependency is named",
       {rule(38)},
       missing_dependency_is_named},
      {"generic.base.capabilities",
       "capabilities are constant, and dump is JSON",
       {rule(9)},
       capabilities_and_dump},
      {"generic.base.orderly-end",
       "after drain, shutdown and its end it starts again",
       {rule(24)},
       orderly_end},
      {"generic.base.no-exception",
       "no exception comes out of a call",
       {rule(21), rule(30)},
       nothing_is_thrown},
  };
  for (const Mutation mutation : mutations()) {
    all.push_back({fmt::format("generic.fuzz.{}", name_of(mutation)),
                   "base operations with requests that " + std::string(told(mutation)),
                   {rule(30), rule(18)},
                   [mutation](Run& run) { return base_requests(run, mutation); }});
  }
  return all;
}

}  // namespace skep::conformance
