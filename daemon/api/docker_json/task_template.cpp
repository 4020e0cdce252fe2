// The task template and what hangs on it: container, resources, restart policy, placement.
//
// A template is printed with empty fields left out, because a client sends back what it read, and
// what it sends back must compare equal.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {

template <>
struct Words<model::RestartCondition> {
  static constexpr std::pair<model::RestartCondition, std::string_view> words[] = {
      {model::RestartCondition::none, "none"},
      {model::RestartCondition::on_failure, "on-failure"},
      {model::RestartCondition::any, "any"},
  };
};

template <>
struct Table<model::Ulimit> {
  static std::span<const Field<model::Ulimit>> fields() {
    using T = model::Ulimit;
    static const Field<T> rows[] = {
        field<T, &T::name>("Name"),
        field<T, &T::soft>("Soft"),
        field<T, &T::hard>("Hard"),
    };
    return rows;
  }
};

template <>
struct Table<model::DnsConfig> {
  static std::span<const Field<model::DnsConfig>> fields() {
    using T = model::DnsConfig;
    static const Field<T> rows[] = {
        field<T, &T::nameservers>("Nameservers", Show::if_not_empty),
        field<T, &T::search>("Search", Show::if_not_empty),
        field<T, &T::options>("Options", Show::if_not_empty),
    };
    return rows;
  }
};

template <>
struct Table<model::Resources> {
  static std::span<const Field<model::Resources>> fields() {
    using T = model::Resources;
    static const Field<T> rows[] = {
        field<T, &T::nano_cpus>("NanoCPUs", Show::if_not_empty),
        field<T, &T::memory_bytes>("MemoryBytes", Show::if_not_empty),
        field<T, &T::pids>("Pids", Show::if_not_empty),
    };
    return rows;
  }
};

template <>
struct Table<model::RestartPolicy> {
  static std::span<const Field<model::RestartPolicy>> fields() {
    using T = model::RestartPolicy;
    static const Field<T> rows[] = {
        field<T, &T::condition>("Condition"),
        field<T, &T::delay>("Delay", Show::if_not_null),
        field<T, &T::max_attempts>("MaxAttempts"),
        field<T, &T::window>("Window", Show::if_not_empty),
    };
    return rows;
  }
};

namespace {

// Preferences: [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}].
Status parse_preferences(const Json& json, model::Placement& placement, const Path& path) {
  if (!json.is_array()) return wrong_type(path, "a list", json);
  placement.spread_over.clear();
  for (const Json& preference : json) {
    const auto spread = preference.is_object() ? preference.find("Spread") : preference.end();
    if (!preference.is_object() || spread == preference.end() || !spread->is_object() ||
        !spread->contains("SpreadDescriptor") || !(*spread)["SpreadDescriptor"].is_string()) {
      return wrong_value(path, "expected {\"Spread\": {\"SpreadDescriptor\": KEY}}");
    }
    placement.spread_over.push_back((*spread)["SpreadDescriptor"].get<std::string>());
  }
  return {};
}

Json print_preferences(const model::Placement& placement) {
  Json list = Json::array();
  for (const std::string& key : placement.spread_over) {
    list.push_back(Json{{"Spread", Json{{"SpreadDescriptor", key}}}});
  }
  return list;
}

std::span<const Field<model::TaskSpec>> resource_rows() {
  using T = model::TaskSpec;
  static const Field<T> rows[] = {
      field<T, &T::limits>("Limits", Show::if_not_null),
      field<T, &T::reservations>("Reservations", Show::if_not_null),
  };
  return rows;
}

}  // namespace

template <>
struct Table<model::Placement> {
  static std::span<const Field<model::Placement>> fields() {
    using T = model::Placement;
    static const Field<T> rows[] = {
        field<T, &T::constraints>("Constraints", Show::if_not_empty),
        {"Preferences", Show::if_not_empty, &parse_preferences, &print_preferences},
        field<T, &T::max_replicas_per_node>("MaxReplicas", Show::if_not_empty),
        field<T, &T::platforms>("Platforms", Show::if_not_empty),
    };
    return rows;
  }
};

std::span<const Field<model::LogDriver>> Table<model::LogDriver>::fields() {
  using T = model::LogDriver;
  static const Field<T> rows[] = {
      field<T, &T::name>("Name", Show::if_not_empty),
      field<T, &T::options>("Options", Show::if_not_empty),
  };
  return rows;
}

std::span<const Field<model::ContainerSpec>> Table<model::ContainerSpec>::fields() {
  using T = model::ContainerSpec;
  constexpr Show set = Show::if_not_empty;
  static const Field<T> rows[] = {
      field<T, &T::image>("Image"),
      field<T, &T::labels>("Labels", set),
      field<T, &T::command>("Command", set),
      field<T, &T::args>("Args", set),
      field<T, &T::hostname>("Hostname", set),
      field<T, &T::env>("Env", set),
      field<T, &T::working_dir>("Dir", set),
      field<T, &T::user>("User", set),
      field<T, &T::groups>("Groups", set),
      field<T, &T::init>("Init", Show::if_not_null),
      field<T, &T::stop_signal>("StopSignal", set),
      field<T, &T::tty>("TTY", set),
      field<T, &T::stdin_open>("OpenStdin", set),
      field<T, &T::read_only>("ReadOnly", set),
      field<T, &T::stop_grace_period>("StopGracePeriod", Show::if_not_null),
      field<T, &T::hosts>("Hosts", set),
      field<T, &T::dns>("DNSConfig", Show::if_not_null),
      field<T, &T::isolation>("Isolation", set),
      field<T, &T::sysctls>("Sysctls", set),
      field<T, &T::capability_add>("CapabilityAdd", set),
      field<T, &T::capability_drop>("CapabilityDrop", set),
      field<T, &T::ulimits>("Ulimits", set),
      field<T, &T::mounts>("Mounts", set),
      field<T, &T::oom_score_adj>("OomScoreAdj", set),
  };
  return rows;
}

std::span<const Field<model::TaskSpec>> Table<model::TaskSpec>::fields() {
  using T = model::TaskSpec;
  static const Field<T> rows[] = {
      field<T, &T::container>("ContainerSpec"),
      group<T, &resource_rows>("Resources"),
      field<T, &T::restart>("RestartPolicy", Show::if_not_null),
      field<T, &T::placement>("Placement", Show::if_not_null),
      field<T, &T::log_driver>("LogDriver", Show::if_not_null),
      field<T, &T::force_update>("ForceUpdate"),
      field<T, &T::runtime>("Runtime", Show::if_not_empty),
  };
  return rows;
}

}  // namespace skep::docker_json
