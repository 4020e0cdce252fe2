// Mounts of a task template, and the volumes of a node.
//
// A mount's type is looked at before its table is: a type that Docker knows and skep doesn't is
// `unimplemented` and named, as everything else is that isn't built. The surprise: a mount without
// a type is a bind, which is what Docker's conversion for the swarm makes of it.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "core/model/mounts.hpp"
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {

namespace {

constexpr std::array kTypes = {model::MountType::bind, model::MountType::volume,
                               model::MountType::tmpfs};

}  // namespace

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

template <>
struct Codec<model::MountType> {
  static Status parse(const Json& json, model::MountType& out, const Path& path) {
    std::string text;
    SKEP_TRY(Codec<std::string>::parse(json, text, path));
    if (text.empty()) return {};
    const auto meant = std::ranges::find(kTypes, lowered(text), &model::mount_type_name);
    if (meant == kTypes.end()) {
      return fail(ErrorKind::invalid, "invalid MountType: \"" + text + "\"");
    }
    out = *meant;
    return {};
  }
  static Json print(model::MountType value) { return std::string(model::mount_type_name(value)); }
};

Status Codec<model::Mount>::parse(const Json& json, model::Mount& out, const Path& path) {
  out.type = model::MountType::bind;
  return parse_fields<model::Mount>(json, out, path, Table<model::Mount>::fields());
}

Json Codec<model::Mount>::print(const model::Mount& value) {
  return print_fields<model::Mount>(value, Table<model::Mount>::fields());
}

template <>
struct Table<model::BindOptions> {
  static Status parse_propagation(const Json& json, model::BindOptions& out, const Path& path) {
    std::string text;
    SKEP_TRY(Codec<std::string>::parse(json, text, path));
    const std::string word = lowered(text);
    for (const std::string_view known :
         {"", "private", "rprivate", "shared", "rshared", "slave", "rslave"}) {
      if (word != known) continue;
      out.propagation = word;
      return {};
    }
    return fail(ErrorKind::invalid, "invalid MountPropagation: \"" + text + "\"");
  }

  static std::span<const Field<model::BindOptions>> fields() {
    using T = model::BindOptions;
    static const Field<T> rows[] = {{"Propagation", Show::if_not_empty, &parse_propagation,
                                     [](const T& options) -> Json { return options.propagation; }}};
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
    const auto given = mount.find("Type");
    const bool is_text = given != mount.end() && given->is_string();
    const std::string type = is_text ? lowered(given->get<std::string>()) : "";
    for (const char* known : {"npipe", "cluster", "image"}) {
      if (type == known) {
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
