// Mounts of a task template, and the volumes of a node.
//
// A mount's type is looked at before its table is: a type that Docker knows and skep doesn't is
// `unimplemented` and named, as everything else is that isn't built.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {

template <>
struct Words<model::MountType> {
  static constexpr std::pair<model::MountType, std::string_view> words[] = {
      {model::MountType::bind, "bind"},
      {model::MountType::volume, "volume"},
      {model::MountType::tmpfs, "tmpfs"},
  };
};

template <>
struct Table<model::BindOptions> {
  static std::span<const Field<model::BindOptions>> fields() {
    using T = model::BindOptions;
    static const Field<T> rows[] = {field<T, &T::propagation>("Propagation", Show::if_not_empty)};
    return rows;
  }
};

template <>
struct Table<model::VolumeDriverConfig> {
  static std::span<const Field<model::VolumeDriverConfig>> fields() {
    using T = model::VolumeDriverConfig;
    static const Field<T> rows[] = {
        field<T, &T::name>("Name", Show::if_not_empty),
        field<T, &T::options>("Options", Show::if_not_empty),
    };
    return rows;
  }
};

template <>
struct Table<model::VolumeOptions> {
  static std::span<const Field<model::VolumeOptions>> fields() {
    using T = model::VolumeOptions;
    static const Field<T> rows[] = {
        field<T, &T::no_copy>("NoCopy", Show::if_not_empty),
        field<T, &T::labels>("Labels", Show::if_not_empty),
        field<T, &T::driver>("DriverConfig", Show::if_not_null),
    };
    return rows;
  }
};

template <>
struct Table<model::TmpfsOptions> {
  static std::span<const Field<model::TmpfsOptions>> fields() {
    using T = model::TmpfsOptions;
    static const Field<T> rows[] = {
        field<T, &T::size_bytes>("SizeBytes", Show::if_not_empty),
        field<T, &T::mode>("Mode", Show::if_not_empty),
    };
    return rows;
  }
};

std::span<const Field<model::Mount>> Table<model::Mount>::fields() {
  using T = model::Mount;
  static const Field<T> rows[] = {
      field<T, &T::type>("Type"),
      field<T, &T::source>("Source", Show::if_not_empty),
      field<T, &T::target>("Target", Show::if_not_empty),
      field<T, &T::read_only>("ReadOnly", Show::if_not_empty),
      field<T, &T::consistency>("Consistency", Show::if_not_empty),
      field<T, &T::bind>("BindOptions", Show::if_not_null),
      field<T, &T::volume>("VolumeOptions", Show::if_not_null),
      field<T, &T::tmpfs>("TmpfsOptions", Show::if_not_null),
  };
  return rows;
}

std::span<const Field<VolumeView>> Table<VolumeView>::fields() {
  using T = VolumeView;
  static const Field<T> rows[] = {
      field<T, &T::created_at>("CreatedAt"),
      field<T, &T::driver>("Driver"),
      field<T, &T::labels>("Labels"),
      field<T, &T::mountpoint>("Mountpoint"),
      field<T, &T::name>("Name"),
      field<T, &T::options>("Options"),
      field<T, &T::scope>("Scope"),
  };
  return rows;
}

std::span<const Field<VolumeList>> Table<VolumeList>::fields() {
  using T = VolumeList;
  static const Field<T> rows[] = {
      field<T, &T::volumes>("Volumes"),
      field<T, &T::warnings>("Warnings"),
  };
  return rows;
}

std::span<const Field<VolumeCreate>> Table<VolumeCreate>::fields() {
  using T = VolumeCreate;
  static const Field<T> rows[] = {
      field<T, &T::name>("Name"),
      field<T, &T::driver>("Driver"),
      field<T, &T::options>("DriverOpts"),
      field<T, &T::labels>("Labels"),
  };
  return rows;
}

Status refuse_unsupported_mounts(const Json& service_spec) {
  constexpr const char* kWhere = "/TaskTemplate/ContainerSpec/Mounts";
  const Json::json_pointer where(kWhere);
  if (!service_spec.contains(where) || !service_spec.at(where).is_array()) return {};
  for (const Json& mount : service_spec.at(where)) {
    if (!mount.is_object()) continue;
    const auto type = mount.find("Type");
    for (const char* known : {"npipe", "cluster", "image"}) {
      if (type != mount.end() && *type == known) {
        return fail(
            ErrorKind::unimplemented,
            "not implemented yet: TaskTemplate.ContainerSpec.Mounts: type " + std::string(known));
      }
    }
    SKEP_TRY(refuse_unsupported("Mount", mount));
  }
  return {};
}

std::string volume_to_json(const VolumeView& volume) {
  return value_text(volume);
}
Result<VolumeView> parse_volume(std::string_view json) {
  return parse_value<VolumeView>(json);
}
std::string volumes_to_json(const VolumeList& list) {
  return value_text(list);
}
Result<VolumeList> parse_volumes(std::string_view json) {
  return parse_value<VolumeList>(json);
}
std::string volume_create_to_json(const VolumeCreate& request) {
  return value_text(request);
}

Result<VolumeCreate> parse_volume_create(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  if (json.is_object() && json.contains("ClusterVolumeSpec") &&
      !json.at("ClusterVolumeSpec").is_null()) {
    return fail(ErrorKind::unimplemented, "not implemented yet: ClusterVolumeSpec");
  }
  VolumeCreate request;
  SKEP_TRY(Codec<VolumeCreate>::parse(json, request, Path{}));
  return request;
}

std::string pruned_volumes_to_json(const std::vector<std::string>& names, uint64_t bytes,
                                   const std::vector<std::string>& warnings) {
  Json answer = {{"VolumesDeleted", Codec<std::vector<std::string>>::print(names)},
                 {"SpaceReclaimed", bytes}};
  if (!warnings.empty()) answer["Warnings"] = Codec<std::vector<std::string>>::print(warnings);
  return document_text(answer);
}

}  // namespace skep::docker_json
