// Which nouns have a table, and where their words stand. The tables themselves are in the .cpp
// named after the noun.
//
// Internal to this folder.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/api/docker_json/docker_json.hpp"
#include "daemon/api/docker_json/field_table.hpp"

namespace skep::docker_json {

#define SKEP_TABLE(Type)                          \
  template <>                                     \
  struct Table<Type> {                            \
    static std::span<const Field<Type>> fields(); \
  }

SKEP_TABLE(TrustView);
SKEP_TABLE(model::NodeSpec);
SKEP_TABLE(NodeView);
SKEP_TABLE(model::EnginePlugin);
SKEP_TABLE(model::TaskSpec);
SKEP_TABLE(model::ContainerSpec);
SKEP_TABLE(model::Mount);
SKEP_TABLE(model::Platform);
SKEP_TABLE(model::LogDriver);
SKEP_TABLE(model::UpdateConfig);
SKEP_TABLE(model::EndpointSpec);
SKEP_TABLE(model::ServiceSpec);
SKEP_TABLE(ServiceCounts);
SKEP_TABLE(ServiceView);
SKEP_TABLE(model::ContainerStatus);
SKEP_TABLE(TaskView);
SKEP_TABLE(model::ClusterSpec);
SKEP_TABLE(SwarmView);
SKEP_TABLE(SwarmInit);
SKEP_TABLE(SwarmJoin);
SKEP_TABLE(NetworkView);
SKEP_TABLE(VolumeView);
SKEP_TABLE(VolumeList);
SKEP_TABLE(VolumeCreate);

#undef SKEP_TABLE

// By its table, but for the type of one that has none.
template <>
struct Codec<model::Mount> {
  static Status parse(const Json& json, model::Mount& out, const Path& path);
  static Json print(const model::Mount& value);
};

template <>
struct Words<model::NodeAvailability> {
  static constexpr std::pair<model::NodeAvailability, std::string_view> words[] = {
      {model::NodeAvailability::active, "active"},
      {model::NodeAvailability::pause, "pause"},
      {model::NodeAvailability::drain, "drain"},
  };
};

template <>
struct Words<model::NodeRole> {
  static constexpr std::pair<model::NodeRole, std::string_view> words[] = {
      {model::NodeRole::worker, "worker"},
      {model::NodeRole::manager, "manager"},
  };
};

// "Version": {"Index": n}, and the two times: the first rows of every stored object.
template <class T, auto GetMeta>
Field<T> version_row() {
  return {"Version", Show::always,
          [](const Json& json, T& object, const Path& path) -> Status {
            const auto index = json.is_object() ? json.find("Index") : json.end();
            if (index == json.end()) return {};
            const Path inner{&path, "Index"};
            return Codec<uint64_t>::parse(*index, std::invoke(GetMeta, object).version, inner);
          },
          [](const T& object) -> Json {
            return Json{{"Index", std::invoke(GetMeta, object).version}};
          }};
}
template <class T, auto GetMeta>
Field<T> created_row() {
  return field < T, [](auto& o) -> auto& {
    return std::invoke(GetMeta, o).created_at;
  }
  > ("CreatedAt");
}
template <class T, auto GetMeta>
Field<T> updated_row() {
  return field < T, [](auto& o) -> auto& {
    return std::invoke(GetMeta, o).updated_at;
  }
  > ("UpdatedAt");
}

// ASCII letters made small: Docker's words of mounts may be written in capitals.
std::string lowered(std::string text);

// Fails with `unimplemented` naming the first key of `json` that the table of unsupported.cpp knows
// and that is set. `noun` is "ServiceSpec", "SwarmSpec", ...
Status refuse_unsupported(std::string_view noun, const Json& json);
// The same for each of a service's mounts, whose types it judges too.
Status refuse_unsupported_mounts(const Json& service_spec);

}  // namespace skep::docker_json
