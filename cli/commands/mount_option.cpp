// Fields of the record, then each by its key, then what doesn't go together.
// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/mount_option.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cli/values.hpp"

namespace skep::cli {
namespace {

tl::unexpected<Error> invalid_value(const std::string& key, const std::string& value) {
  return fail(ErrorKind::invalid, "invalid value for " + key + ": " + value);
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

Result<std::vector<std::string>> fields_of(const std::string& text) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  bool begun = false;  // this field has had a character, if only a quote
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::string& field = fields.back();
    const bool last = i + 1 == text.size();
    if (quoted && c == '"' && !last && text[i + 1] == '"') {
      field += '"';
      ++i;
    } else if (c == '"' && ((quoted && (last || text[i + 1] == ',')) || (!quoted && !begun))) {
      quoted = !quoted;
    } else if (c == '"') {
      return fail(ErrorKind::invalid, "a quote stands in the middle of a field in '" + text + "'");
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
      begun = false;
      continue;
    } else {
      field += c;
    }
    begun = true;
  }
  if (quoted) return fail(ErrorKind::invalid, "a quote is not closed in '" + text + "'");
  return fields;
}

std::optional<bool> flag_of(const std::string& value) {
  constexpr std::array yes = {"1", "t", "T", "true", "TRUE", "True"};
  constexpr std::array no = {"0", "f", "F", "false", "FALSE", "False"};
  if (std::find(yes.begin(), yes.end(), value) != yes.end()) return true;
  if (std::find(no.begin(), no.end(), value) != no.end()) return false;
  return std::nullopt;
}

// One field into the mount. `value` is empty for a key alone, which only flags may be.
class MountFields {
 public:
  Status take(const std::string& field);
  Result<Json> finish();

 private:
  Status take_common(const std::string& key, const std::string& value, bool& taken);
  Status take_volume(const std::string& key, const std::string& value, bool& taken);
  Status take_bind(const std::string& key, const std::string& value, bool& taken);
  Status take_other(const std::string& key, const std::string& value, bool& taken);
  Status check_recursion() const;
  Status put_flag(Json& into, const std::string& key, const std::string& value);
  void put_pair(Json& into, const std::string& pair);

  Json mount_ = {{"Type", "volume"}};
  Json volume_;
  Json bind_;
  Json tmpfs_;
  Json image_;
};

Status MountFields::put_flag(Json& into, const std::string& key, const std::string& value) {
  const std::optional<bool> flag = flag_of(value);
  if (!flag) return invalid_value(key, value);
  into = *flag;
  return {};
}

void MountFields::put_pair(Json& into, const std::string& pair) {
  const size_t equals = std::min(pair.find('='), pair.size());
  if (into.is_null()) into = Json::object();
  if (equals == 0) return;  // without a key it is nothing, as with Docker
  into[pair.substr(0, equals)] = equals < pair.size() ? pair.substr(equals + 1) : "";
}

Status MountFields::take_common(const std::string& key, const std::string& value, bool& taken) {
  taken = true;
  if (key == "type") {
    mount_["Type"] = lowered(value);
  } else if (key == "source" || key == "src") {
    mount_["Source"] = value;
    if (value == "." || value.starts_with("./")) {
      std::error_code error;
      mount_["Source"] = std::filesystem::absolute(value, error).lexically_normal().string();
    }
  } else if (key == "target" || key == "dst" || key == "destination") {
    mount_["Target"] = value;
  } else if (key == "readonly" || key == "ro") {
    return put_flag(mount_["ReadOnly"], key, value);
  } else if (key == "consistency") {
    mount_["Consistency"] = lowered(value);
  } else {
    taken = false;
  }
  return {};
}

Status MountFields::take_volume(const std::string& key, const std::string& value, bool& taken) {
  taken = true;
  if (key == "volume-driver") {
    volume_["DriverConfig"]["Name"] = value;
  } else if (key == "volume-nocopy") {
    return put_flag(volume_["NoCopy"], key, value);
  } else if (key == "volume-opt") {
    put_pair(volume_["DriverConfig"]["Options"], value);
  } else if (key == "volume-label") {
    put_pair(volume_["Labels"], value);
  } else if (key == "volume-subpath") {
    volume_["Subpath"] = value;
  } else {
    taken = false;
  }
  return {};
}

Status MountFields::take_bind(const std::string& key, const std::string& value, bool& taken) {
  taken = true;
  if (key == "bind-propagation") {
    bind_["Propagation"] = lowered(value);
  } else if (key == "bind-nonrecursive") {
    return put_flag(bind_["NonRecursive"], key, value);
  } else if (key == "bind-recursive") {
    if (value == "disabled") {
      bind_["NonRecursive"] = true;
    } else if (value == "writable") {
      bind_["ReadOnlyNonRecursive"] = true;
    } else if (value == "readonly") {
      bind_["ReadOnlyForceRecursive"] = true;
    } else if (value != "enabled") {
      return fail(ErrorKind::invalid,
                  "invalid value for bind-recursive: " + value +
                      R"( (must be "enabled", "disabled", "writable", or "readonly"))");
    }
  } else {
    taken = false;
  }
  return {};
}

Status MountFields::take_other(const std::string& key, const std::string& value, bool& taken) {
  taken = true;
  if (key == "image-subpath") {
    image_["Subpath"] = value;
  } else if (key == "tmpfs-size") {
    const Result<int64_t> bytes = parse_bytes(value);
    if (!bytes) return invalid_value(key, value);
    tmpfs_["SizeBytes"] = *bytes;
  } else if (key == "tmpfs-mode") {
    uint32_t mode = 0;
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), mode, /*base=*/8);
    if (error != std::errc() || end != value.data() + value.size()) {
      return invalid_value(key, value);
    }
    tmpfs_["Mode"] = mode;
  } else {
    taken = false;
  }
  return {};
}

Status MountFields::take(const std::string& field) {
  const size_t equals = field.find('=');
  const std::string key = lowered(field.substr(0, equals));
  std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
  if (equals == std::string::npos) {
    const bool flag =
        key == "readonly" || key == "ro" || key == "volume-nocopy" || key == "bind-nonrecursive";
    if (!flag) {
      return fail(ErrorKind::invalid, "invalid field '" + field + "' must be a key=value pair");
    }
    value = "true";
  }
  bool taken = false;
  SKEP_TRY(take_common(key, value, taken));
  if (!taken) SKEP_TRY(take_volume(key, value, taken));
  if (!taken) SKEP_TRY(take_bind(key, value, taken));
  if (!taken) SKEP_TRY(take_other(key, value, taken));
  if (taken) return {};
  return fail(ErrorKind::invalid, "unexpected key '" + key + "' in '" + field + "'");
}

// Docker asks for the other options that these two need only when all were read.
Status MountFields::check_recursion() const {
  const auto needs = [&](const char* option, const char* other) {
    return fail(ErrorKind::invalid, std::string("option 'bind-recursive=") + option +
                                        "' requires '" + other +
                                        "' to be specified in conjunction");
  };
  const bool read_only = mount_.value("ReadOnly", false);
  if (bind_.contains("ReadOnlyNonRecursive") && !read_only) return needs("writable", "readonly");
  if (!bind_.contains("ReadOnlyForceRecursive")) return {};
  if (!read_only) return needs("readonly", "readonly");
  if (text_at(bind_, "/Propagation") != "rprivate") {
    return needs("readonly", "bind-propagation=rprivate");
  }
  return {};
}

Result<Json> MountFields::finish() {
  const std::string type = mount_["Type"].get<std::string>();
  if (type.empty()) return fail(ErrorKind::invalid, "type is required");
  if (text_at(mount_, "/Target").empty()) return fail(ErrorKind::invalid, "target is required");
  const auto mixed = [&](const char* prefix) {
    return fail(ErrorKind::invalid, std::string("cannot mix '") + prefix +
                                        "-*' options with mount type '" + type + "'");
  };
  if (!volume_.is_null() && type != "volume") return mixed("volume");
  if (!bind_.is_null() && type != "bind") return mixed("bind");
  if (!image_.is_null() && type != "image") return mixed("image");
  if (!tmpfs_.is_null() && type != "tmpfs") return mixed("tmpfs");
  SKEP_TRY(check_recursion());
  if (!volume_.is_null()) mount_["VolumeOptions"] = volume_;
  if (!bind_.is_null()) mount_["BindOptions"] = bind_;
  if (!tmpfs_.is_null()) mount_["TmpfsOptions"] = tmpfs_;
  if (!image_.is_null()) mount_["ImageOptions"] = image_;
  return mount_;
}

}  // namespace

Result<Json> parse_mount(const std::string& text) {
  SKEP_TRY_ASSIGN(const std::vector<std::string> fields, fields_of(text));
  MountFields mount;
  for (const std::string& field : fields) SKEP_TRY(mount.take(field));
  return mount.finish();
}

}  // namespace skep::cli
