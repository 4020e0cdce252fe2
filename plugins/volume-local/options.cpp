// Docker's words for a mount, turned into what mount(2) takes.
// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <sys/mount.h>

#include <array>
#include <limits>
#include <sstream>
#include <string_view>

namespace skep::volume_local {
namespace {

using sdk::Failure;

constexpr size_t data_bytes_max = 4095;  // a page, less its end: the kernel takes no more

struct Word {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
};

constexpr std::array<Word, 28> flag_words = {{
    {"defaults", 0, 0},
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"mand", MS_MANDLOCK, 0},
    {"nomand", 0, MS_MANDLOCK},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, 0},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"lazytime", MS_LAZYTIME, 0},
    {"nolazytime", 0, MS_LAZYTIME},
    {"silent", MS_SILENT, 0},
    {"loud", 0, MS_SILENT},
    {"bind", MS_BIND, 0},
    {"rbind", MS_BIND | MS_REC, 0},
}};

constexpr std::array<Word, 8> propagation_words = {{
    {"private", MS_PRIVATE, 0},
    {"rprivate", MS_PRIVATE | MS_REC, 0},
    {"shared", MS_SHARED, 0},
    {"rshared", MS_SHARED | MS_REC, 0},
    {"slave", MS_SLAVE, 0},
    {"rslave", MS_SLAVE | MS_REC, 0},
    {"unbindable", MS_UNBINDABLE, 0},
    {"runbindable", MS_UNBINDABLE | MS_REC, 0},
}};

template <size_t Size>
const Word* find(const std::array<Word, Size>& words, std::string_view name) {
  for (const Word& word : words) {
    if (word.name == name) return &word;
  }
  return nullptr;
}

void read_words(const std::string& text, MountPlan& plan) {
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    if (word == "remount") {
      throw Failure(SKEP_E_INVALID,
                    "\"options.o\": a volume is not mounted yet, so no \"remount\"");
    }
    if (const Word* flag = find(flag_words, word)) {
      plan.flags = (plan.flags | flag->set) & ~flag->clear;
    } else if (const Word* propagation = find(propagation_words, word)) {
      plan.propagation = propagation->set;
    } else if (!word.empty()) {
      plan.data += (plan.data.empty() ? "" : ",") + word;
    }
  }
}

bool says_size(const std::string& data) {
  return data.starts_with("size=") || data.find(",size=") != std::string::npos ||
         data.starts_with("nr_blocks=") || data.find(",nr_blocks=") != std::string::npos;
}

std::string text_of(const sdk::TextMap& options, const std::string& name) {
  const auto found = options.find(name);
  return found == options.end() ? std::string() : found->second;
}

MountPlan plan_of(const sdk::TextMap& options) {
  MountPlan plan;
  plan.type = text_of(options, "type");
  plan.device = text_of(options, "device");
  for (const char* needed : {"type", "device"}) {
    if (text_of(options, needed).empty()) {
      throw Failure(SKEP_E_INVALID, std::string("\"options.") + needed +
                                        "\" is missing: what is mounted has a type and a device");
    }
  }
  read_words(text_of(options, "o"), plan);
  if (plan.type == "bind") {
    plan.type = "none";
    plan.flags |= MS_BIND;
  }
  if (plan.type == "none" && !plan.bind()) {
    throw Failure(SKEP_E_INVALID, "\"options.o\" must have \"bind\" where the type is \"none\"");
  }
  if (plan.bind() && !plan.device.starts_with('/')) {
    throw Failure(SKEP_E_INVALID, "\"options.device\" must be an absolute path where it is bound");
  }
  if (plan.bind() && !plan.data.empty()) {
    throw Failure(SKEP_E_INVALID, "\"options.o\": a bind has no option \"" + plan.data + "\"");
  }
  if (plan.data.size() > data_bytes_max) {
    throw Failure(SKEP_E_INVALID, "\"options.o\" is longer than the kernel takes");
  }
  return plan;
}

std::optional<int64_t> limit_of(const sdk::TextMap& options,
                                std::optional<int64_t> capacity_bytes) {
  const auto size = options.find("size");
  if (size == options.end()) return capacity_bytes;
  const std::optional<int64_t> bytes = bytes_of(size->second);
  if (!bytes) {
    throw Failure(SKEP_E_INVALID,
                  "\"options.size\" must be a size of at least one byte, as \"10g\"");
  }
  if (capacity_bytes && *capacity_bytes != *bytes) {
    throw Failure(SKEP_E_INVALID, "\"options.size\" and \"capacity_bytes\" say different sizes");
  }
  return bytes;
}

}  // namespace

bool MountPlan::bind() const {
  return (flags & MS_BIND) != 0;
}

bool MountPlan::remote() const {
  return type == "nfs" || type == "nfs4" || type == "cifs";
}

std::optional<int64_t> bytes_of(const std::string& text) {
  constexpr std::string_view units = "kmgtp";
  size_t at = 0;
  int64_t value = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    if (value > (std::numeric_limits<int64_t>::max() - 9) / 10) return std::nullopt;
    value = value * 10 + (text[at] - '0');
  }
  if (at == 0 || value == 0) return std::nullopt;
  std::string rest = text.substr(at);
  for (char& c : rest) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const size_t power = rest.empty() ? units.npos : units.find(rest[0]);
  if (power != units.npos) {
    rest.erase(0, 1);
    for (size_t i = 0; i <= power; ++i) {
      if (value > std::numeric_limits<int64_t>::max() / 1024) return std::nullopt;
      value *= 1024;
    }
  }
  if (rest == "ib" && power == units.npos) return std::nullopt;
  if (!rest.empty() && rest != "b" && rest != "ib") return std::nullopt;
  return value;
}

Shape shape_of(const sdk::TextMap& options, std::optional<int64_t> capacity_bytes) {
  sdk::only_known_options(options, {"type", "device", "o", "size"});
  Shape shape;
  shape.capacity_bytes = limit_of(options, capacity_bytes);
  if (!options.contains("type") && !options.contains("device") && !options.contains("o")) {
    shape.limit_bytes = shape.capacity_bytes;
    return shape;
  }
  MountPlan plan = plan_of(options);
  if (shape.capacity_bytes) {
    const char* const member = options.contains("size") ? "options.size" : "capacity_bytes";
    if (plan.type != "tmpfs") {
      throw Failure(SKEP_E_INVALID, std::string("\"") + member + "\": what is mounted from " +
                                        plan.device + " has a size of its own");
    }
    if (says_size(plan.data)) {
      throw Failure(SKEP_E_INVALID, std::string("\"") + member + "\" and \"options.o\" say a size");
    }
    plan.data += (plan.data.empty() ? "size=" : ",size=") + std::to_string(*shape.capacity_bytes);
  }
  shape.mount = std::move(plan);
  return shape;
}

}  // namespace skep::volume_local
