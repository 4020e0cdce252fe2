// The configuration and its schema: good ones are taken, others refused by the member's name.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/generic/generic_cases.hpp"
#include "sdk/conformance/schema.hpp"

namespace skep::conformance {
namespace {

json parsed(const std::string& schema) {
  json document = json::parse(schema, nullptr, false);
  return document.is_object() ? document : json::object();
}

// A value that no schema with this type takes.
json misfit(const json& property) {
  const json type = property.value("type", json("string"));
  return type == "array" || (type.is_array() && !type.empty()) ? json(3.5) : json::array({3.5});
}

Status schemas_are_schemas(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  SKEP_TRY(run.that(!driver.config_schema().empty(), "a JSON Schema of the configuration",
                    "config_schema is empty (\"{}\" takes anything)"));
  const json config = driver.default_config();
  const auto wrong = check_against(driver.config_schema(), config);
  SKEP_TRY(run.that(!wrong, fmt::format("the schema takes the configuration {}", config.dump()),
                    wrong.value_or("")));
  if (driver.options_schema().empty()) return {};
  const json options = json::parse(driver.options_schema(), nullptr, false);
  return run.that(options.is_object(), "a JSON Schema of an object's options",
                  shortened(driver.options_schema()));
}

Status good_is_taken(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  SKEP_TRY(run.ok(driver.configure()));
  SKEP_TRY(run.ok(driver.restore_done({})));
  return driver.until_ready();
}

// Refused with the member's name, and the process lives on.
Status refused(Run& run, const json& config, const std::string& member) {
  Driver& driver = run.driver("refused-" + member);
  SKEP_TRY(driver.load());
  SKEP_TRY(run.fails_naming(driver.configure(config), {SKEP_E_INVALID}, member));
  driver.drop();
  return {};
}

Status missing_is_refused(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  const json required = parsed(driver.config_schema()).value("required", json::array());
  if (required.empty()) return run.skip("no member of the configuration is required");
  for (const json& name : required) {
    json config = driver.default_config();
    config.erase(name.get<std::string>());
    SKEP_TRY(refused(run, config, name.get<std::string>()));
  }
  return {};
}

Status wrong_type_is_refused(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  const json properties = parsed(driver.config_schema()).value("properties", json::object());
  int tried = 0;
  for (const auto& [name, property] : properties.items()) {
    if (!property.is_object() || !property.contains("type")) continue;
    json config = driver.default_config();
    config[name] = misfit(property);
    SKEP_TRY(refused(run, config, name));
    ++tried;
  }
  return tried > 0 ? Status() : run.skip("no member of the configuration has a type");
}

// Refusing by the schema is the host's; a driver ignores the member or refuses it by name.
Status unknown_member(Run& run) {
  Driver& driver = run.driver();
  SKEP_TRY(driver.load());
  json config = driver.default_config();
  config["kit_unknown_member"] = "x";
  const Outcome configured = driver.configure(config);
  if (configured.ok()) return {};
  return run.fails_naming(configured, {SKEP_E_INVALID}, "kit_unknown_member");
}

Status reconfigure(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  if (!driver->has(base("reconfigure"))) return run.skip("the driver has no reconfigure");
  const Outcome again = driver->call(base("reconfigure"), {{"config", driver->default_config()}});
  const bool unchanged_taken = again.ok() || again.status == SKEP_E_PRECONDITION;
  SKEP_TRY(run.that(unchanged_taken, "success, or PRECONDITION when a restart is needed",
                    described(again), again));
  const json properties = parsed(driver->config_schema()).value("properties", json::object());
  for (const auto& [name, property] : properties.items()) {
    if (!property.is_object() || !property.contains("type")) continue;
    json config = driver->default_config();
    config[name] = misfit(property);
    SKEP_TRY(run.fails_naming(driver->call(base("reconfigure"), {{"config", config}}),
                              {SKEP_E_INVALID, SKEP_E_PRECONDITION}, name));
    break;
  }
  return driver->until_ready();  // the old configuration is still in force
}

}  // namespace

std::vector<Case> config_cases() {
  return {
      {"generic.config.schema",
       "the schemas are JSON Schemas and take the configuration",
       {rule(46)},
       schemas_are_schemas},
      {"generic.config.good", "a good configuration is taken", {rule(46)}, good_is_taken},
      {"generic.config.missing",
       "a missing required member is refused by name",
       {rule(46)},
       missing_is_refused},
      {"generic.config.wrong-type",
       "a member of the wrong type is refused by name",
       {rule(46)},
       wrong_type_is_refused},
      {"generic.config.unknown-member",
       "an unknown member is ignored, or refused by name",
       {rule(46)},
       unknown_member},
      {"generic.config.reconfigure",
       "a new configuration is taken or refused whole",
       {rule(46)},
       reconfigure},
  };
}

}  // namespace skep::conformance
