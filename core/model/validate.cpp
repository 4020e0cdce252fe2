// The rules themselves, in the order of the API's fields, so that the first refusal is the first
// field a reader of the spec would come to.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/validate.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "core/model/constraint.hpp"
#include "core/model/mounts.hpp"

namespace skep::model {
namespace {

constexpr std::string_view kReservedPrefix = "skep.";
// Settings that skep keeps in a service's labels. None is built yet, so none is accepted: a label
// that would be stored and do nothing is worse than a refusal.
constexpr std::array<std::string_view, 0> kKnownReservedLabels = {};

tl::unexpected<Error> refuse(std::string_view field, std::string_view why) {
  return fail(ErrorKind::invalid, std::string(field) + ": " + std::string(why));
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

Status validate_labels(std::string_view field, const Labels& labels, bool reserved_known) {
  if (labels.size() > kLabelsMax) return refuse(field, "more than 1024 labels");
  for (const auto& [key, value] : labels) {
    if (key.empty()) return refuse(field, "a label has an empty name");
    if (!key.starts_with(kReservedPrefix)) continue;
    const bool known = reserved_known &&
                       std::find(kKnownReservedLabels.begin(), kKnownReservedLabels.end(), key) !=
                           kKnownReservedLabels.end();
    if (!known) {
      return refuse(field, "label '" + key + "' is in the reserved range skep. and not known");
    }
  }
  return {};
}

Status validate_resources(const std::string& field, const Resources& r) {
  if (r.nano_cpus != 0 && r.nano_cpus < kNanoCpusMin) {
    return refuse(field + ".NanoCPUs", "must be 0 or at least 1000000, a thousandth of a CPU");
  }
  if (r.memory_bytes != 0 && r.memory_bytes < kMemoryBytesMin) {
    return refuse(field + ".MemoryBytes", "must be 0 or at least 4 MiB (4194304)");
  }
  if (r.pids < 0) return refuse(field + ".Pids", "must not be negative");
  return {};
}

Status validate_task_resources(const TaskSpec& task) {
  constexpr std::string_view kField = "TaskTemplate.Resources";
  if (task.limits) SKEP_TRY(validate_resources(std::string(kField) + ".Limits", *task.limits));
  if (!task.reservations) return {};
  const std::string field = std::string(kField) + ".Reservations";
  SKEP_TRY(validate_resources(field, *task.reservations));
  if (!task.limits) return {};
  if (task.limits->memory_bytes != 0 &&
      task.reservations->memory_bytes > task.limits->memory_bytes) {
    return refuse(field + ".MemoryBytes", "must not be above the limit");
  }
  if (task.limits->nano_cpus != 0 && task.reservations->nano_cpus > task.limits->nano_cpus) {
    return refuse(field + ".NanoCPUs", "must not be above the limit");
  }
  return {};
}

Status validate_restart(const RestartPolicy& policy) {
  constexpr std::string_view kField = "TaskTemplate.RestartPolicy";
  if (policy.delay && policy.delay->count() < 0) {
    return refuse(std::string(kField) + ".Delay", "must not be negative");
  }
  if (policy.window.count() < 0) {
    return refuse(std::string(kField) + ".Window", "must not be negative");
  }
  return {};
}

Status validate_update(std::string_view field, const UpdateConfig& update, bool may_roll_back) {
  const std::string name(field);
  if (update.delay.count() < 0) return refuse(name + ".Delay", "must not be negative");
  if (update.monitor.count() < 0) return refuse(name + ".Monitor", "must not be negative");
  if (!(update.max_failure_ratio >= 0 && update.max_failure_ratio <= 1)) {
    return refuse(name + ".MaxFailureRatio", "must be between 0 and 1");
  }
  if (!may_roll_back && update.failure_action == UpdateFailureAction::rollback) {
    return refuse(name + ".FailureAction",
                  "a rollback can't be rolled back, use pause or continue");
  }
  return {};
}

Status validate_env(const ContainerSpec& container) {
  for (const std::string& entry : container.env) {
    if (entry.empty() || entry.front() == '=') {
      return refuse("TaskTemplate.ContainerSpec.Env", "'" + entry + "' has no name");
    }
    if (entry.find('\0') != std::string::npos) {
      return refuse("TaskTemplate.ContainerSpec.Env", "an entry holds a zero byte");
    }
  }
  return {};
}

Status validate_container(const ContainerSpec& container) {
  constexpr std::string_view kField = "TaskTemplate.ContainerSpec";
  SKEP_TRY(validate_image_reference(std::string(kField) + ".Image", container.image));
  SKEP_TRY(validate_env(container));
  SKEP_TRY(validate_labels(std::string(kField) + ".Labels", container.labels, false));
  if (container.stop_grace_period && container.stop_grace_period->count() < 0) {
    return refuse(std::string(kField) + ".StopGracePeriod", "must not be negative");
  }
  for (const std::string& host : container.hosts) {
    if (host.find(' ') == std::string::npos) {
      return refuse(std::string(kField) + ".Hosts", "'" + host + "' is not \"ADDRESS NAME\"");
    }
  }
  if (!container.isolation.empty() && container.isolation != "default") {
    return refuse(std::string(kField) + ".Isolation", "only \"default\" exists on Linux");
  }
  if (container.oom_score_adj < -1000 || container.oom_score_adj > 1000) {
    return refuse(std::string(kField) + ".OomScoreAdj", "must be between -1000 and 1000");
  }
  for (const Ulimit& limit : container.ulimits) {
    if (limit.name.empty()) return refuse(std::string(kField) + ".Ulimits", "one has no name");
    if (limit.hard >= 0 && limit.soft > limit.hard) {
      return refuse(std::string(kField) + ".Ulimits", limit.name + ": soft is above hard");
    }
  }
  const Status mounts = validate_mounts(container.mounts);
  if (!mounts) return fail(mounts.error().within(std::string(kField) + ".Mounts"));
  return {};
}

Status validate_task(const TaskSpec& task) {
  if (!task.runtime.empty() && task.runtime != "container") {
    return refuse("TaskTemplate.Runtime", "unknown runtime '" + task.runtime + "'");
  }
  SKEP_TRY(validate_container(task.container));
  SKEP_TRY(validate_task_resources(task));
  if (task.restart) SKEP_TRY(validate_restart(*task.restart));
  if (!task.placement) return {};
  const Result<std::vector<Constraint>> constraints =
      parse_constraints(task.placement->constraints);
  if (!constraints) return fail(constraints.error().within("TaskTemplate.Placement.Constraints"));
  for (const std::string& key : task.placement->spread_over) {
    if (!key.starts_with("node.labels.") && !key.starts_with("engine.labels.")) {
      return refuse("TaskTemplate.Placement.Preferences",
                    "can't spread over '" + key + "', only over node.labels. and engine.labels.");
    }
  }
  return {};
}

// "name", "name/part": lower case, digits, and single separators inside.
bool is_path_component(std::string_view part) {
  if (part.empty() || !is_lower_or_digit(part.front()) || !is_lower_or_digit(part.back())) {
    return false;
  }
  for (size_t i = 0; i < part.size(); ++i) {
    const char c = part[i];
    if (is_lower_or_digit(c) || c == '-') continue;
    if (c != '.' && c != '_') return false;
    if (c == '.' && !is_lower_or_digit(part[i - 1])) return false;
    if (c == '_' && part[i - 1] == '.') return false;
  }
  return true;
}

bool is_domain(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && !text.ends_with(']')) {
    const std::string_view port = text.substr(colon + 1);
    if (port.empty() ||
        !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return false;
    }
    text = text.substr(0, colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) return text.size() > 2;
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-'; });
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || tag.front() == '.' || tag.front() == '-') return false;
  return std::all_of(tag.begin(), tag.end(), [](char c) {
    return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
  });
}

bool is_digest(std::string_view digest) {
  constexpr std::string_view kAlgorithm = "sha256:";
  if (!digest.starts_with(kAlgorithm) || digest.size() != kAlgorithm.size() + 64) return false;
  const std::string_view hex = digest.substr(kAlgorithm.size());
  return std::all_of(hex.begin(), hex.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// The first part is a registry when it can't be a path: it has a dot, a port, capitals, or is
// localhost.
bool looks_like_domain(std::string_view part) {
  return part.find_first_of(".:") != std::string_view::npos || part == "localhost" ||
         std::any_of(part.begin(), part.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_reference(std::string_view text) {
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    if (!is_digest(text.substr(at + 1))) return false;
    text = text.substr(0, at);
  }
  if (const size_t slash = text.find('/');
      slash != std::string_view::npos && looks_like_domain(text.substr(0, slash))) {
    if (!is_domain(text.substr(0, slash))) return false;
    text = text.substr(slash + 1);
  }
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    if (!is_tag(text.substr(colon + 1))) return false;
    text = text.substr(0, colon);
  }
  while (true) {
    const size_t slash = text.find('/');
    if (!is_path_component(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

}  // namespace

Status validate_name(std::string_view field, std::string_view name) {
  const bool inner_good = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '_';
  });
  if (name.empty()) return refuse(field, "must not be empty");
  if (name.size() > kNameLengthMax) return refuse(field, "must be at most 63 characters");
  if (!inner_good || !is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back())) {
    return refuse(field, "'" + std::string(name) +
                             "' is not a valid name: letters and digits, with '-' and '_' inside");
  }
  return {};
}

Status validate_image_reference(std::string_view field, std::string_view reference) {
  constexpr size_t kReferenceLengthMax = 1024;  // 255 of name, 128 of tag, a digest, and room
  if (reference.empty()) return refuse(field, "an image is needed");
  if (reference.size() > kReferenceLengthMax || !is_reference(reference)) {
    return refuse(field,
                  "'" + std::string(reference.substr(0, 200)) + "' is not a valid image reference");
  }
  return {};
}

Status validate_service_spec(const ServiceSpec& spec) {
  if (!spec.name.empty()) SKEP_TRY(validate_name("Name", spec.name));
  SKEP_TRY(validate_labels("Labels", spec.labels, true));
  SKEP_TRY(validate_task(spec.task));
  if (spec.replicas > kReplicasMax) {
    return refuse("Mode.Replicated.Replicas", "must be at most 1000000");
  }
  if (spec.update) SKEP_TRY(validate_update("UpdateConfig", *spec.update, true));
  if (spec.rollback) SKEP_TRY(validate_update("RollbackConfig", *spec.rollback, false));
  return {};
}

Status validate_node_spec(const NodeSpec& spec) {
  if (!spec.name.empty()) SKEP_TRY(validate_name("Name", spec.name));
  return validate_labels("Labels", spec.labels, false);
}

Status validate_cluster_spec(const ClusterSpec& spec) {
  if (spec.name != "default") return refuse("Name", "the cluster's name is \"default\"");
  SKEP_TRY(validate_labels("Labels", spec.labels, false));
  if (spec.heartbeat_period < std::chrono::milliseconds(100)) {
    return refuse("Dispatcher.HeartbeatPeriod", "must be at least 100 ms");
  }
  if (spec.node_cert_expiry < std::chrono::hours(1)) {
    return refuse("CAConfig.NodeCertExpiry", "must be at least one hour");
  }
  if (spec.snapshot_interval == 0) return refuse("Raft.SnapshotInterval", "must not be 0");
  return {};
}

Status validate_config_spec(const ConfigSpec& spec) {
  const std::string& name = spec.name;
  const bool good = !name.empty() && name.size() <= kConfigNameLengthMax &&
                    is_letter_or_digit(name.front()) && is_letter_or_digit(name.back()) &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_';
                    });
  if (!good) {
    return refuse("Name",
                  "'" + name.substr(0, 200) +
                      "' is not a valid name: 1 to 64 letters, digits, '.', '-' and '_', with a "
                      "letter or digit at either end");
  }
  SKEP_TRY(validate_labels("Labels", spec.labels, false));
  if (spec.data.empty() || spec.data.size() > kConfigDataBytesMax) {
    return refuse("Data", "must be 1 to " + std::to_string(kConfigDataBytesMax) + " bytes");
  }
  if (!spec.templating.empty() && spec.templating != "golang") {
    return refuse("Templating.Name", "the one known driver is \"golang\"");
  }
  return {};
}

}  // namespace skep::model
