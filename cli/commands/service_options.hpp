// The options of `service create` and `service update` that mean the same in both: each sets one
// field of the spec, and one that was not given leaves the field as it is.
//
// A field skep's daemon doesn't do yet is sent all the same: the daemon knows best what it can do
// and says so, naming the field.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/grammar.hpp"
#include "cli/json.hpp"

namespace skep::cli {

// "update-" or "rollback-": the same fields for two directions.
struct UpdatePolicyOptions {
  std::optional<uint64_t> parallelism;
  std::optional<int64_t> delay;
  std::optional<int64_t> monitor;
  std::optional<double> max_failure_ratio;
  std::optional<std::string> failure_action;
  std::optional<std::string> order;

  void declare(const Command& command, const std::string& prefix);
  void apply(Json& spec, const char* key) const;
};

struct ServiceFields {
  std::optional<uint64_t> replicas;
  std::optional<uint64_t> replicas_max_per_node;
  std::optional<uint64_t> restart_max_attempts;
  std::optional<int64_t> limit_cpu, limit_memory, limit_pids, reserve_cpu, reserve_memory;
  std::optional<int64_t> restart_delay, restart_window, stop_grace_period, oom_score_adj;
  std::optional<std::string> restart_condition, stop_signal, hostname, workdir, user, entrypoint;
  std::optional<std::string> endpoint_mode, log_driver, isolation;
  std::optional<std::string> health_cmd;
  std::optional<int64_t> health_interval, health_timeout, health_start_period, health_retries;
  std::optional<bool> tty, read_only, init, no_healthcheck;
  Words log_options;
  UpdatePolicyOptions update;
  UpdatePolicyOptions rollback;
  bool detach = false;
  bool quiet = false;
  bool with_registry_auth = false;
  bool no_resolve_image = false;

  void declare(const Command& command);
  // Writes what was given into a ServiceSpec, replicas included.
  Status apply(Json& spec) const;

 private:
  void apply_resources(Json& task) const;
  void apply_restart(Json& task) const;
  Status apply_container(Json& container) const;
};

// Words as a shell would split them: blanks, quotes and backslashes.
Result<Words> shell_words(std::string_view text);

// "K=V" stays; "K" takes its value from our own environment, and is dropped without one.
std::optional<std::string> resolved_variable(const std::string& variable);

// The variables of an --env-file: one a line, '#' comments.
Result<Words> variables_of_file(const std::string& path);

// "8080:80/tcp" or "published=8080,target=80,..." as one or (ranges are refused) an error.
Result<Json> parse_published_port(const std::string& text);

// "spread=node.labels.zone" as a placement preference.
Result<Json> parse_preference(const std::string& text);

}  // namespace skep::cli
