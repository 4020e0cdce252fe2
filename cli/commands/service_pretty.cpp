// A service in words, in the order and with the names docker uses.
//
// Only what is set is printed; defaults were filled in by the daemon, which was asked for them.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/service_pretty.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/clock.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

void line(const char* name, const std::string& value) {
  if (!value.empty()) std::printf("%s%s\n", name, value.c_str());
}

// Each item and a blank behind it, as docker has it.
std::string joined(const Json& list) {
  std::string out;
  for (const Json& item : list) {
    out += (item.is_string() ? item.get<std::string>() : compact(item)) + " ";
  }
  return out;
}

void print_pairs(const char* heading, const Json& pairs) {
  if (!pairs.is_object() || pairs.empty()) return;
  std::printf("%s\n", heading);
  for (const auto& [key, value] : pairs.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : compact(value);
    std::printf(" %s%s%s\n", key.c_str(), text.empty() ? "" : "=", text.c_str());
  }
}

void print_mode(const Json& service) {
  if (value_at(service, "/Spec/Mode/Replicated").is_object()) {
    std::printf("Service Mode:\tReplicated\n Replicas:\t%lld\n",
                static_cast<long long>(integer_at(service, "/Spec/Mode/Replicated/Replicas")));
  } else if (value_at(service, "/Spec/Mode/Global").is_object()) {
    std::printf("Service Mode:\tGlobal\n");
  } else {
    std::printf("Service Mode:\t%s\n", compact(value_at(service, "/Spec/Mode")).c_str());
  }
}

void print_update_status(const Json& service) {
  const std::string state = text_at(service, "/UpdateStatus/State");
  if (state.empty()) return;
  std::printf("UpdateStatus:\n State:\t\t%s\n", state.c_str());
  const auto ago = [](const std::optional<model::WallTime>& time) {
    std::string age = human_duration(now() - *time);
    if (age[0] >= 'A' && age[0] <= 'Z') age[0] = static_cast<char>(age[0] + 32);
    return age + " ago";
  };
  const auto started = parse_time(text_at(service, "/UpdateStatus/StartedAt"));
  const auto completed = parse_time(text_at(service, "/UpdateStatus/CompletedAt"));
  if (started) std::printf(" Started:\t%s\n", ago(started).c_str());
  if (completed && state == "completed") std::printf(" Completed:\t%s\n", ago(completed).c_str());
  std::printf(" Message:\t%s\n", text_at(service, "/UpdateStatus/Message").c_str());
}

void print_placement(const Json& placement) {
  const Json& constraints = array_at(placement, "/Constraints");
  const Json& preferences = array_at(placement, "/Preferences");
  const int64_t most = integer_at(placement, "/MaxReplicas");
  std::printf("Placement:\n");
  if (!constraints.empty()) {
    std::string all;
    for (const Json& one : constraints) {
      all += (all.empty() ? "" : ", ") + (one.is_string() ? one.get<std::string>() : compact(one));
    }
    std::printf(" Constraints:\t[%s]\n", all.c_str());
  }
  if (!preferences.empty()) {
    std::string all;
    for (const Json& one : preferences) {
      all += (all.empty() ? "" : ", ") + std::string("spread=") +
             text_at(one, "/Spread/SpreadDescriptor");
    }
    std::printf(" Preferences:\t[%s]\n", all.c_str());
  }
  if (most > 0) std::printf(" Max Replicas Per Node:\t%lld\n", static_cast<long long>(most));
}

void print_policy(const char* heading, const Json& policy, const char* order_title) {
  if (!policy.is_object()) return;
  std::printf("%s\n", heading);
  std::printf(" Parallelism:\t%lld\n", static_cast<long long>(integer_at(policy, "/Parallelism")));
  const int64_t delay = integer_at(policy, "/Delay");
  if (delay > 0) std::printf(" Delay:\t\t%s\n", format_duration(delay).c_str());
  std::printf(" On failure:\t%s\n", text_at(policy, "/FailureAction").c_str());
  const int64_t monitor = integer_at(policy, "/Monitor");
  if (monitor > 0) std::printf(" Monitoring Period: %s\n", format_duration(monitor).c_str());
  const Json& ratio = value_at(policy, "/MaxFailureRatio");
  std::printf(" Max failure ratio: %.6g\n", ratio.is_number() ? ratio.get<double>() : 0.0);
  std::printf(" %-19s%s\n", order_title, text_at(policy, "/Order").c_str());
}

void print_container(const Json& container) {
  std::printf("ContainerSpec:\n");
  line(" Image:\t\t", text_at(container, "/Image"));
  line(" Command:\t", joined(array_at(container, "/Command")));
  line(" Args:\t\t", joined(array_at(container, "/Args")));
  line(" Env:\t\t", joined(array_at(container, "/Env")));
  line(" Dir:\t\t", text_at(container, "/Dir"));
  line(" User:\t\t", text_at(container, "/User"));
  if (const Json& init = value_at(container, "/Init"); init.is_boolean()) {
    line(" Init:\t\t", init.get<bool>() ? "true" : "false");
  }
}

void print_mounts(const Json& mounts) {
  if (mounts.empty()) return;
  std::printf("Mounts:\n");
  for (const Json& mount : mounts) {
    std::printf(" Target:\t%s\n  Source:\t%s\n  ReadOnly:\t%s\n  Type:\t\t%s\n",
                text_at(mount, "/Target").c_str(), text_at(mount, "/Source").c_str(),
                flag_at(mount, "/ReadOnly") ? "true" : "false", text_at(mount, "/Type").c_str());
  }
}

void print_amounts(const char* heading, const Json& amounts) {
  const int64_t cpus = integer_at(amounts, "/NanoCPUs");
  const int64_t memory = integer_at(amounts, "/MemoryBytes");
  const int64_t pids = integer_at(amounts, "/Pids");
  if (cpus == 0 && memory == 0 && pids == 0) return;
  std::printf(" %s\n", heading);
  if (cpus != 0) std::printf("  CPU:\t\t%.6g\n", static_cast<double>(cpus) / 1e9);
  if (memory != 0) {
    std::printf("  Memory:\t%s\n", format_binary_bytes(static_cast<uint64_t>(memory)).c_str());
  }
  if (pids != 0) std::printf("  PIDs:\t\t%lld\n", static_cast<long long>(pids));
}

void print_ports(const Json& ports) {
  if (ports.empty()) return;
  std::printf("Ports:\n");
  for (const Json& port : ports) {
    std::printf(" PublishedPort = %lld\n  Protocol = %s\n  TargetPort = %lld\n  PublishMode = %s\n",
                static_cast<long long>(integer_at(port, "/PublishedPort")),
                text_at(port, "/Protocol").c_str(),
                static_cast<long long>(integer_at(port, "/TargetPort")),
                text_at(port, "/PublishMode").c_str());
  }
}

}  // namespace

void print_service_pretty(const Json& service) {
  std::printf("\nID:\t\t%s\nName:\t\t%s\n", text_at(service, "/ID").c_str(),
              text_at(service, "/Spec/Name").c_str());
  print_pairs("Labels:", value_at(service, "/Spec/Labels"));
  print_mode(service);
  print_update_status(service);
  print_placement(value_at(service, "/Spec/TaskTemplate/Placement"));
  print_policy("UpdateConfig:", value_at(service, "/Spec/UpdateConfig"), "Update order:");
  print_policy("RollbackConfig:", value_at(service, "/Spec/RollbackConfig"), "Rollback order:");
  const Json& container = value_at(service, "/Spec/TaskTemplate/ContainerSpec");
  print_container(container);
  print_mounts(array_at(container, "/Mounts"));
  std::printf("Resources:\n");
  print_amounts("Reservations:", value_at(service, "/Spec/TaskTemplate/Resources/Reservations"));
  print_amounts("Limits:", value_at(service, "/Spec/TaskTemplate/Resources/Limits"));
  const Json& networks = array_at(service, "/Spec/TaskTemplate/Networks");
  if (!networks.empty()) {
    std::string all;
    for (const Json& one : networks) all += (all.empty() ? "" : " ") + text_at(one, "/Target");
    std::printf("Networks: %s \n", all.c_str());
  }
  line("Endpoint Mode:\t", text_at(service, "/Endpoint/Spec/Mode").empty()
                               ? text_at(service, "/Spec/EndpointSpec/Mode")
                               : text_at(service, "/Endpoint/Spec/Mode"));
  print_ports(array_at(service, "/Endpoint/Ports"));
  std::printf("\n");
}

}  // namespace skep::cli
