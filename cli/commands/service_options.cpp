// Options into spec fields, and the small grammars of ports and variables.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/service_options.hpp"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace skep::cli {
namespace {

// spec[key] = *value, if it was given.
template <class T>
void set(Json& object, const char* key, const std::optional<T>& value) {
  if (value) object[key] = *value;
}

struct Pair {
  std::string key;
  std::string value;
};

// "a=b,c" to pairs; a key alone has an empty value.
std::vector<Pair> comma_pairs(const std::string& text) {
  std::vector<Pair> pairs;
  size_t start = 0;
  while (start <= text.size()) {
    const size_t end = std::min(text.find(',', start), text.size());
    const std::string one = text.substr(start, end - start);
    const size_t equals = std::min(one.find('='), one.size());
    pairs.push_back({one.substr(0, equals), equals < one.size() ? one.substr(equals + 1) : ""});
    start = end + 1;
  }
  return pairs;
}

Result<uint32_t> parse_port(std::string_view text) {
  constexpr uint32_t kPortMax = 65'535;
  uint32_t port = 0;
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || stop != text.data() + text.size() || port > kPortMax) {
    return fail(ErrorKind::invalid, "\"" + std::string(text) + "\" is not a port number");
  }
  return port;
}

}  // namespace

void UpdatePolicyOptions::declare(const Command& command, const std::string& prefix) {
  const std::string what = prefix == "update" ? "update" : "rollback";
  command.number("--" + prefix + "-parallelism", parallelism,
                 "Maximum number of tasks in one " + what + " step (0: all at once)");
  command.duration("--" + prefix + "-delay", delay,
                   "Delay between task " + what + "s (ns|us|ms|s|m|h)");
  command.duration("--" + prefix + "-monitor", monitor,
                   "Duration after each task " + what + " to monitor for failure");
  command.ratio("--" + prefix + "-max-failure-ratio", max_failure_ratio,
                "Failure rate to tolerate during " + what);
  command.text("--" + prefix + "-failure-action", failure_action, "string",
               prefix == "update"
                   ? "Action on update failure (\"pause\", \"continue\", \"rollback\")"
                   : "Action on rollback failure (\"pause\", \"continue\")");
  command.text("--" + prefix + "-order", order, "string",
               "Order of " + what + " (\"start-first\", \"stop-first\")");
}

void UpdatePolicyOptions::apply(Json& spec, const char* key) const {
  if (!parallelism && !delay && !monitor && !max_failure_ratio && !failure_action && !order) return;
  Json& policy = spec[key];
  // An absent Parallelism would read as 0, which means all at once.
  if (!policy.is_object()) policy = {{"Parallelism", 1}};
  set(policy, "Parallelism", parallelism);
  set(policy, "Delay", delay);
  set(policy, "Monitor", monitor);
  set(policy, "MaxFailureRatio", max_failure_ratio);
  set(policy, "FailureAction", failure_action);
  set(policy, "Order", order);
}

void ServiceFields::declare(const Command& command) {
  command.number("--replicas", replicas, "Number of tasks");
  command.number("--replicas-max-per-node", replicas_max_per_node,
                 "Maximum number of tasks per node (default 0 = unlimited)");
  command.cpus("--limit-cpu", limit_cpu, "Limit CPUs");
  command.bytes("--limit-memory", limit_memory, "Limit Memory");
  command.integer("--limit-pids", limit_pids,
                  "Limit maximum number of processes (default 0 = unlimited)");
  command.cpus("--reserve-cpu", reserve_cpu, "Reserve CPUs");
  command.bytes("--reserve-memory", reserve_memory, "Reserve Memory");
  command.text("--restart-condition", restart_condition, "string",
               "Restart when condition is met (\"none\", \"on-failure\", \"any\")");
  command.duration("--restart-delay", restart_delay,
                   "Delay between restart attempts (ns|us|ms|s|m|h) (default 5s)");
  command.number("--restart-max-attempts", restart_max_attempts,
                 "Maximum number of restarts before giving up");
  command.duration("--restart-window", restart_window,
                   "Window used to evaluate the restart policy (ns|us|ms|s|m|h)");
  command.duration("--stop-grace-period", stop_grace_period,
                   "Time to wait before force killing a container (default 10s)");
  command.text("--stop-signal", stop_signal, "string", "Signal to stop the container");
  command.integer("--oom-score-adj", oom_score_adj, "Tune host's OOM preferences (-1000 to 1000)");
  command.text("--hostname", hostname, "string", "Container hostname");
  command.text("-w,--workdir", workdir, "string", "Working directory inside the container");
  command.text("-u,--user", user, "string", "Username or UID (format: <name|uid>[:<group|gid>])");
  command.text("--entrypoint", entrypoint, "command",
               "Overwrite the default ENTRYPOINT of the image");
  command.text("--endpoint-mode", endpoint_mode, "string", "Endpoint mode (vip or dnsrr)");
  command.text("--isolation", isolation, "string", "Service container isolation mode");
  command.text("--log-driver", log_driver, "string", "Logging driver for service");
  command.list("--log-opt", log_options, "list", "Logging driver options");
  command.text("--health-cmd", health_cmd, "string", "Command to run to check health");
  command.duration("--health-interval", health_interval, "Time between running the check");
  command.duration("--health-timeout", health_timeout, "Maximum time to allow one check to run");
  command.duration("--health-start-period", health_start_period,
                   "Start period to initialize before counting retries towards unstable");
  command.integer("--health-retries", health_retries,
                  "Consecutive failures needed to report unhealthy");
  command.flag("--no-healthcheck", no_healthcheck, "Disable any container-specified HEALTHCHECK");
  command.flag("--init", init,
               "Use an init inside each container to forward signals and reap processes");
  command.flag("-t,--tty", tty, "Allocate a pseudo-TTY");
  command.flag("--read-only", read_only, "Mount the container's root filesystem as read only");
  update.declare(command, "update");
  rollback.declare(command, "rollback");
  command.flag("-d,--detach", detach,
               "Exit immediately instead of waiting for the service to converge");
  command.flag("-q,--quiet", quiet, "Suppress progress output");
  command.flag("--with-registry-auth", with_registry_auth,
               "Send registry authentication details to swarm agents");
  command.flag("--no-resolve-image", no_resolve_image,
               "Do not query the registry to resolve image digest and supported platforms");
}

void ServiceFields::apply_resources(Json& task) const {
  if (limit_cpu || limit_memory || limit_pids) {
    Json& limits = task["Resources"]["Limits"];
    set(limits, "NanoCPUs", limit_cpu);
    set(limits, "MemoryBytes", limit_memory);
    set(limits, "Pids", limit_pids);
  }
  if (reserve_cpu || reserve_memory) {
    Json& reservations = task["Resources"]["Reservations"];
    set(reservations, "NanoCPUs", reserve_cpu);
    set(reservations, "MemoryBytes", reserve_memory);
  }
}

void ServiceFields::apply_restart(Json& task) const {
  if (!restart_condition && !restart_delay && !restart_max_attempts && !restart_window) return;
  Json& policy = task["RestartPolicy"];
  set(policy, "Condition", restart_condition);
  set(policy, "Delay", restart_delay);
  set(policy, "MaxAttempts", restart_max_attempts);
  set(policy, "Window", restart_window);
}

Status ServiceFields::apply_container(Json& container) const {
  set(container, "Hostname", hostname);
  set(container, "Dir", workdir);
  set(container, "User", user);
  set(container, "StopSignal", stop_signal);
  set(container, "StopGracePeriod", stop_grace_period);
  set(container, "TTY", tty);
  set(container, "ReadOnly", read_only);
  set(container, "Init", init);
  set(container, "OomScoreAdj", oom_score_adj);
  set(container, "Isolation", isolation);
  if (entrypoint) {
    SKEP_TRY_ASSIGN(const Words words, shell_words(*entrypoint));
    container["Command"] = words;
  }
  if (no_healthcheck.value_or(false)) {
    if (health_cmd) {
      return fail(ErrorKind::invalid, "--no-healthcheck conflicts with --health-* options");
    }
    container["Healthcheck"] = {{"Test", {"NONE"}}};
  }
  if (health_cmd || health_interval || health_timeout || health_start_period || health_retries) {
    Json& check = container["Healthcheck"];
    if (health_cmd) check["Test"] = {"CMD-SHELL", *health_cmd};
    set(check, "Interval", health_interval);
    set(check, "Timeout", health_timeout);
    set(check, "StartPeriod", health_start_period);
    set(check, "Retries", health_retries);
  }
  return {};
}

Status ServiceFields::apply(Json& spec) const {
  Json& task = spec["TaskTemplate"];
  SKEP_TRY(apply_container(task["ContainerSpec"]));
  apply_resources(task);
  apply_restart(task);
  if (replicas_max_per_node) task["Placement"]["MaxReplicas"] = *replicas_max_per_node;
  if (log_driver) task["LogDriver"]["Name"] = *log_driver;
  for (const std::string& option : log_options) {
    const size_t equals = std::min(option.find('='), option.size());
    task["LogDriver"]["Options"][option.substr(0, equals)] =
        equals < option.size() ? option.substr(equals + 1) : std::string();
  }
  if (endpoint_mode) spec["EndpointSpec"]["Mode"] = *endpoint_mode;
  update.apply(spec, "UpdateConfig");
  rollback.apply(spec, "RollbackConfig");
  if (!replicas) return {};
  if (!value_at(spec, "/Mode/Replicated").is_object()) {
    return fail(ErrorKind::invalid,
                "replicas can only be used with replicated or replicated-job mode");
  }
  spec["Mode"]["Replicated"]["Replicas"] = *replicas;
  return {};
}

Result<Words> shell_words(std::string_view text) {
  Words words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      word += c;
    }
  }
  if (quote != 0) return fail(ErrorKind::invalid, "a quote is not closed in: " + std::string(text));
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::optional<std::string> resolved_variable(const std::string& variable) {
  if (variable.find('=') != std::string::npos) return variable;
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr) return std::nullopt;
  return variable + "=" + value;
}

Result<Words> variables_of_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorKind::not_found, "cannot open the environment file " + path);
  Words variables;
  for (std::string line; std::getline(file, line);) {
    line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '=') {
      return fail(ErrorKind::invalid, "no variable name on line '" + line + "' of " + path);
    }
    if (const auto variable = resolved_variable(line)) variables.push_back(*variable);
  }
  return variables;
}

Result<Json> parse_published_port(const std::string& text) {
  Json port = {
      {"Protocol", "tcp"}, {"TargetPort", 0}, {"PublishedPort", 0}, {"PublishMode", "ingress"}};
  if (text.find('=') == std::string::npos) {
    const size_t slash = std::min(text.find('/'), text.size());
    if (slash < text.size()) port["Protocol"] = text.substr(slash + 1);
    const std::string ports = text.substr(0, slash);
    const size_t colon = ports.rfind(':');
    if (colon != std::string::npos) {
      SKEP_TRY_ASSIGN(const uint32_t published, parse_port(ports.substr(0, colon)));
      port["PublishedPort"] = published;
    }
    const size_t start = colon == std::string::npos ? 0 : colon + 1;
    SKEP_TRY_ASSIGN(const uint32_t target, parse_port(ports.substr(start)));
    port["TargetPort"] = target;
    return port;
  }
  for (const Pair& pair : comma_pairs(text)) {
    if (pair.key == "protocol") {
      port["Protocol"] = pair.value;
    } else if (pair.key == "mode") {
      port["PublishMode"] = pair.value;
    } else if (pair.key == "target" || pair.key == "published") {
      SKEP_TRY_ASSIGN(const uint32_t number, parse_port(pair.value));
      port[pair.key == "target" ? "TargetPort" : "PublishedPort"] = number;
    } else {
      return fail(ErrorKind::invalid, "invalid field key " + pair.key + " in a published port");
    }
  }
  return port;
}

Result<Json> parse_preference(const std::string& text) {
  constexpr std::string_view kSpread = "spread=";
  if (!text.starts_with(kSpread)) {
    return fail(ErrorKind::invalid,
                "unsupported strategy in \"" + text + "\" (expected spread=node.labels.KEY)");
  }
  return Json{{"Spread", {{"SpreadDescriptor", text.substr(kSpread.size())}}}};
}

}  // namespace skep::cli
