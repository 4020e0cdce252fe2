// Reading a JSON object member by member, with errors that name the member.
//
// Every reader either gives a value of the type it says or throws Failure(SKEP_E_INVALID) with a
// sentence like `"capacity_bytes" must be a whole number, not text`; a member inside another is
// named by its path
// ("backends[2].address"). Values never appear in these sentences: they may be secrets. A member
// that is null is absent, and members nobody asks for are ignored, as the contract wants.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/cpp/driver.hpp"

namespace skep::sdk {

// A volume's or network's driver options, and the like.
using TextMap = std::map<std::string, std::string>;

// Texts that neither side logs. Read by name; overwritten when it goes; can't be copied by
// accident.
class Secrets {
 public:
  Secrets() = default;
  Secrets(Secrets&&) noexcept = default;
  Secrets& operator=(Secrets&& other) noexcept {
    values_.swap(other.values_);
    return *this;
  }
  ~Secrets() {
    for (auto& [name, value] : values_) explicit_bzero(value.data(), value.size());
  }
  bool empty() const noexcept { return values_.empty(); }
  // nullptr when there is none of that name. Borrowed from this object.
  const std::string* find(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? nullptr : &found->second;
  }
  // Throws Failure(SKEP_E_INVALID) when there is none.
  const std::string& at(const std::string& name) const {
    if (const std::string* value = find(name)) return *value;
    throw Failure(SKEP_E_INVALID, "\"secrets." + name + "\" is missing");
  }
  void put(const std::string& name, const std::string& value) { values_[name] = value; }

 private:
  std::map<std::string, std::string> values_;
};

// One JSON object, borrowed, and the path that leads to it.
class Members {
 public:
  // `value` is what stands at `path`; anything but an object (or null, which counts as {}) is
  // refused.
  Members(const json& value, std::string path) : object_(value), path_(std::move(path)) {
    if (!value.is_object() && !value.is_null()) {
      throw Failure(SKEP_E_INVALID, quoted(path_) + " must be an object, not " + kind_of(value));
    }
  }
  explicit Members(const json& request) : Members(request, "") {}

  const json& document() const noexcept { return object_; }
  bool has(std::string_view name) const { return find(name) != nullptr; }

  // Refuses the object when it lacks one of these; for lists and objects, whose readers take {} for
  // absent.
  const Members& with(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) (void)needed(name);
    return *this;
  }

  std::string text(std::string_view name) const { return text_of(needed(name), path_to(name)); }
  std::string text(std::string_view name, std::string_view fallback) const {
    const json* value = find(name);
    return value == nullptr ? std::string(fallback) : text_of(*value, path_to(name));
  }
  // The name of an object: 1 to SKEP_ID_MAX bytes.
  std::string id(std::string_view name) const { return id_of(needed(name), path_to(name)); }

  int64_t integer(std::string_view name) const { return integer_of(needed(name), path_to(name)); }
  int64_t integer(std::string_view name, int64_t fallback) const {
    return maybe_integer(name).value_or(fallback);
  }
  std::optional<int64_t> maybe_integer(std::string_view name) const {
    const json* value = find(name);
    if (value == nullptr) return std::nullopt;
    return integer_of(*value, path_to(name));
  }
  // The same, and refuses what is not from `lowest` to `highest`.
  int64_t integer_within(std::string_view name, int64_t fallback, int64_t lowest,
                         int64_t highest) const {
    return within(integer(name, fallback), name, lowest, highest);
  }
  int64_t integer_within(std::string_view name, int64_t lowest, int64_t highest) const {
    return within(integer(name), name, lowest, highest);
  }
  // A number of bytes; when there it is at least 1.
  std::optional<int64_t> maybe_size(std::string_view name) const {
    if (!has(name)) return std::nullopt;
    return integer_within(name, 1, std::numeric_limits<int64_t>::max());
  }
  bool boolean(std::string_view name, bool fallback) const {
    const json* value = find(name);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) refuse(path_to(name), "must be true or false", *value);
    return value->get<bool>();
  }

  // {} when absent. The second has ids.
  std::vector<std::string> texts(std::string_view name) const {
    return list<std::string>(name, text_of);
  }
  std::vector<std::string> ids(std::string_view name) const {
    return list<std::string>(name, id_of);
  }
  TextMap text_map(std::string_view name) const {
    TextMap result;
    for_each_member(name, [&result](const std::string& key, const json& value, std::string path) {
      result[key] = text_of(value, std::move(path));
    });
    return result;
  }
  Secrets secrets(std::string_view name = "secrets") const {
    Secrets result;
    for_each_member(name, [&result](const std::string& key, const json& value, std::string path) {
      if (!value.is_string()) refuse(path, "must be text", value);
      result.put(key, value.get_ref<const std::string&>());
    });
    return result;
  }

  // An object inside; empty when absent. Borrowed from this document.
  Members object(std::string_view name) const {
    static const json nothing = json::object();
    const json* value = find(name);
    return Members(value == nullptr ? nothing : *value, path_to(name));
  }
  // The objects of a list, each as read(Members) made it; {} when absent.
  template <class Read>
  auto objects(std::string_view name, Read&& read) const {
    using Entry = decltype(read(*this));
    return list<Entry>(name, [&read](const json& value, std::string path) {
      return read(Members(value, std::move(path)));
    });
  }
  // Any JSON; null when absent.
  json any(std::string_view name) const {
    const json* value = find(name);
    return value == nullptr ? json() : *value;
  }
  std::string path_to(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }

 private:
  static std::string quoted(const std::string& path) {
    return path.empty() ? "the document" : "\"" + path + "\"";
  }
  static const char* kind_of(const json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "a list";
    if (value.is_string()) return "text";
    if (value.is_boolean()) return "true or false";
    return value.is_null() ? "null" : "a number";
  }
  [[noreturn]] static void refuse(const std::string& path, const char* wanted, const json& value) {
    throw Failure(SKEP_E_INVALID, quoted(path) + " " + wanted + ", not " + kind_of(value));
  }
  static std::string text_of(const json& value, const std::string& path) {
    if (!value.is_string()) refuse(path, "must be text", value);
    return value.get<std::string>();
  }
  static std::string id_of(const json& value, const std::string& path) {
    std::string text = text_of(value, path);
    if (text.empty() || text.size() > SKEP_ID_MAX) {
      throw Failure(SKEP_E_INVALID, quoted(path) + " must have 1 to 128 bytes");
    }
    return text;
  }
  static int64_t integer_of(const json& value, const std::string& path) {
    if (!value.is_number_integer()) refuse(path, "must be a whole number", value);
    constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (value.is_number_unsigned() && value.get<uint64_t>() > most) {
      throw Failure(SKEP_E_INVALID, quoted(path) + " is too large");
    }
    return value.get<int64_t>();
  }
  int64_t within(int64_t value, std::string_view name, int64_t lowest, int64_t highest) const {
    if (value >= lowest && value <= highest) return value;
    const std::string upper =
        highest == std::numeric_limits<int64_t>::max()
            ? "at least " + std::to_string(lowest)
            : "from " + std::to_string(lowest) + " to " + std::to_string(highest);
    throw Failure(SKEP_E_INVALID, quoted(path_to(name)) + " must be " + upper);
  }
  const json* find(std::string_view name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  const json& needed(std::string_view name) const {
    if (const json* value = find(name)) return *value;
    throw Failure(SKEP_E_INVALID, quoted(path_to(name)) + " is missing");
  }
  template <class Entry, class Read>
  std::vector<Entry> list(std::string_view name, Read&& read) const {
    std::vector<Entry> result;
    const json* value = find(name);
    if (value == nullptr) return result;
    if (!value->is_array()) refuse(path_to(name), "must be a list", *value);
    result.reserve(value->size());
    for (const json& entry : *value) {
      result.push_back(read(entry, path_to(name) + "[" + std::to_string(result.size()) + "]"));
    }
    return result;
  }
  template <class Take>
  void for_each_member(std::string_view name, Take&& take) const {
    const json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_object()) refuse(path_to(name), "must be an object", *value);
    for (const auto& [key, member] : value->items()) {
      take(key, member, path_to(name) + "." + key);
    }
  }

  const json& object_;
  std::string path_;
};

// Refuses the first of `options` that is not among `known`, by its name.
inline void only_known_options(const TextMap& options,
                               std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : options) {
    bool found = false;
    for (const std::string_view one : known) found = found || one == name;
    if (!found) throw Failure(SKEP_E_INVALID, "there is no option \"" + name + "\"");
  }
}

// Refuses what may not be the name of a file below a driver's folder: only letters, digits, '_',
// '.' and
// '-', a letter or digit first (as Docker's own names are).
inline void only_file_name(const std::string& name, const char* member) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  bool fine = !name.empty() && name.size() <= SKEP_ID_MAX && alphanumeric(name[0]);
  for (const char c : name) fine = fine && (alphanumeric(c) || c == '_' || c == '.' || c == '-');
  if (fine) return;
  throw Failure(SKEP_E_INVALID,
                std::string("\"") + member +
                    "\" must be letters, digits, '_', '.' and '-', with a letter or a "
                    "digit first, and at most 128 bytes");
}

}  // namespace skep::sdk
