// Each mount by itself, then the targets against each other.
// SPDX-License-Identifier: Apache-2.0
#include "core/model/mounts.hpp"

#include <algorithm>
#include <set>

namespace skep::model {
namespace {

tl::unexpected<Error> refuse(std::string why) {
  return fail(ErrorKind::invalid, std::move(why));
}

tl::unexpected<Error> refuse_for(const Mount& mount, const std::string& why) {
  return refuse("invalid mount config for type \"" + std::string(mount_type_name(mount.type)) +
                "\": " + why);
}

bool is_absolute(std::string_view path) {
  return path.starts_with('/');
}

bool holds_zero_byte(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

Status validate_bind(const Mount& mount) {
  if (!is_absolute(mount.source)) {
    return refuse("invalid bind mount source, must be an absolute path: " + mount.source);
  }
  if (!mount.bind) return {};
  const std::string& propagation = mount.bind->propagation;
  for (const std::string_view known :
       {"", "private", "rprivate", "shared", "rshared", "slave", "rslave"}) {
    if (propagation == known) return {};
  }
  return refuse_for(mount, "invalid propagation mode: " + propagation);
}

Status validate_volume(const Mount& mount) {
  if (is_absolute(mount.source)) {
    return refuse("invalid volume mount source, must not be an absolute path: " + mount.source);
  }
  if (mount.source.empty() && mount.read_only) {
    return refuse_for(mount, "must not set ReadOnly mode when using anonymous volumes");
  }
  if (!mount.source.empty()) SKEP_TRY(validate_volume_name(mount.source));
  return {};
}

Status validate_tmpfs(const Mount& mount) {
  if (!mount.source.empty()) return refuse("invalid tmpfs source, source must be empty");
  if (!mount.tmpfs) return {};
  if (mount.tmpfs->size_bytes < 0) return refuse_for(mount, "the size must not be negative");
  constexpr uint32_t kModeMax = 07777;
  if (mount.tmpfs->mode > kModeMax) return refuse_for(mount, "the mode must be at most 7777");
  return {};
}

Status validate_extra_fields(const Mount& mount) {
  const char* extra = nullptr;
  if (mount.bind && mount.type != MountType::bind) extra = "BindOptions";
  if (mount.volume && mount.type != MountType::volume) extra = "VolumeOptions";
  if (mount.tmpfs && mount.type != MountType::tmpfs) extra = "TmpfsOptions";
  if (extra == nullptr) return {};
  return refuse_for(mount, std::string("field ") + extra + " must not be specified");
}

Status validate_mount(const Mount& mount) {
  if (mount.target.empty()) return refuse_for(mount, "field Target must not be empty");
  if (!is_absolute(mount.target)) {
    return refuse("invalid mount target, must be an absolute path: " + mount.target);
  }
  if (clean_path(mount.target) == "/") {
    return refuse_for(mount, "invalid specification: destination can't be '/'");
  }
  if (holds_zero_byte(mount.target) || holds_zero_byte(mount.source)) {
    return refuse_for(mount, "a path holds a zero byte");
  }
  SKEP_TRY(validate_extra_fields(mount));
  switch (mount.type) {
    case MountType::bind:
      return validate_bind(mount);
    case MountType::volume:
      return validate_volume(mount);
    case MountType::tmpfs:
      return validate_tmpfs(mount);
  }
  return {};
}

}  // namespace

std::string_view mount_type_name(MountType type) {
  switch (type) {
    case MountType::bind:
      return "bind";
    case MountType::volume:
      return "volume";
    case MountType::tmpfs:
      return "tmpfs";
  }
  return "";
}

std::string volume_driver_name(std::string_view name) {
  if (name.empty() || name == kLocalVolumePlugin) name = kLocalVolumeDriver;
  return std::string(name);
}

Status validate_volume_name(std::string_view name) {
  if (name.size() < 2) {
    return refuse("volume name is too short, names should be at least two alphanumeric characters");
  }
  if (name.size() > kVolumeNameLengthMax) {
    return refuse("volume name is too long, names should be at most 128 characters");
  }
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const bool good =
      letter_or_digit(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
        return letter_or_digit(c) || c == '_' || c == '.' || c == '-';
      });
  if (good) return {};
  return refuse("\"" + std::string(name) +
                "\" includes invalid characters for a local volume name, only "
                "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
                "directory, use absolute path");
}

std::string clean_path(std::string_view path) {
  std::vector<std::string_view> steps;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view step = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (step == ".." && !steps.empty()) steps.pop_back();
    if (!step.empty() && step != "." && step != "..") steps.push_back(step);
  }
  std::string text;
  for (const std::string_view step : steps) text += "/" + std::string(step);
  return text.empty() ? "/" : text;
}

Status validate_mounts(const std::vector<Mount>& mounts) {
  if (mounts.size() > kMountsMax) return refuse("more than 256 mounts");
  std::set<std::string> targets;
  for (const Mount& mount : mounts) {
    SKEP_TRY(validate_mount(mount));
    if (!targets.insert(clean_path(mount.target)).second) {
      return refuse("duplicate mount point: " + mount.target);
    }
  }
  return {};
}

std::vector<std::string> foreign_volume_drivers(const std::vector<Mount>& mounts) {
  std::set<std::string> names;
  for (const Mount& mount : mounts) {
    if (mount.type != MountType::volume || !mount.volume || !mount.volume->driver) continue;
    names.insert(volume_driver_name(mount.volume->driver->name));
  }
  names.erase(std::string(kLocalVolumeDriver));
  return {names.begin(), names.end()};
}

}  // namespace skep::model
