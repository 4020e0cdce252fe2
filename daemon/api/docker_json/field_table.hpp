// The machinery behind the field tables: one row per JSON key, used to parse and to print.
//
// A noun's table is a list of Field<T>: a key, how to read it into a T and how to print it from
// one. `field<T, &T::member>("Key")` makes both from the member's type through Codec<V>, so a table
// is read like the API's documentation. `group` is a JSON object with no struct of its own: its
// fields belong to the same T. A key with odd rules brings its two functions itself.
//
// null and absent are the same when parsing: the member keeps what it had. Internal to this folder:
// the only header that includes the JSON library.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/model/ids.hpp"
#include "core/model/result.hpp"
#include "core/model/time.hpp"
#include "daemon/api/docker_json/time_text.hpp"

namespace skep::docker_json {

// Keeps the order of the tables, so that people find fields where the API's reference has them.
using Json = nlohmann::ordered_json;

// Where in the document we are, for messages. Lives on the stack of the parse.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;

  std::string text() const {
    if (!parent || parent->text().empty()) return std::string(name);
    return name.starts_with('[') ? parent->text() + std::string(name)
                                 : parent->text() + "." + std::string(name);
  }
};

inline tl::unexpected<Error> wrong_value(const Path& path, std::string_view why) {
  const std::string where = path.text();
  return fail(ErrorKind::invalid, (where.empty() ? "body" : where) + ": " + std::string(why));
}

inline tl::unexpected<Error> wrong_type(const Path& path, std::string_view wanted,
                                        const Json& got) {
  return wrong_value(path, "expected " + std::string(wanted) + ", got " + got.type_name());
}

enum class Show : uint8_t { always, if_not_empty, if_not_null };

template <class T>
struct Field {
  std::string_view key;
  Show show = Show::always;
  Status (*parse)(const Json& value, T& object, const Path& path) = nullptr;
  Json (*print)(const T& object) = nullptr;
};

// The table of an object type: specialised with `static std::span<const Field<T>> fields();`.
template <class T>
struct Table;

// The words of an enumeration: specialised with `static constexpr std::pair<E, string_view>
// words[]`.
template <class E>
struct Words;

template <class V>
struct Codec;

template <class V>
concept HasTable = requires {
  Table<V>::fields();
};
template <class V>
concept HasWords = requires {
  Words<V>::words;
};

// null, false, 0, "", [], {} and objects of nothing else: what a Go client sends for "not set".
inline bool is_empty_value(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return true;
    case Json::value_t::boolean:
      return !value.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return value == 0;
    case Json::value_t::string:
      return value.get_ref<const std::string&>().empty();
    case Json::value_t::array:
      return value.empty();
    case Json::value_t::object:
      for (const auto& item : value.items()) {
        if (!is_empty_value(item.value())) return false;
      }
      return true;
    case Json::value_t::binary:
    case Json::value_t::discarded:
      return false;
  }
  return false;
}

template <class T>
Status parse_fields(const Json& json, T& object, const Path& path,
                    std::span<const Field<T>> fields) {
  if (!json.is_object()) return wrong_type(path, "an object", json);
  for (const Field<T>& field : fields) {
    const auto found = json.find(field.key);
    if (!field.parse || found == json.end() || found->is_null()) continue;
    const Path inner{&path, field.key};
    SKEP_TRY(field.parse(*found, object, inner));
  }
  return {};
}

template <class T>
Json print_fields(const T& object, std::span<const Field<T>> fields) {
  Json json = Json::object();
  for (const Field<T>& field : fields) {
    if (!field.print) continue;
    Json value = field.print(object);
    if (field.show == Show::if_not_null && value.is_null()) continue;
    if (field.show == Show::if_not_empty && is_empty_value(value)) continue;
    json[std::string(field.key)] = std::move(value);
  }
  return json;
}

template <>
struct Codec<std::string> {
  static Status parse(const Json& json, std::string& out, const Path& path) {
    if (!json.is_string()) return wrong_type(path, "a string", json);
    out = json.get_ref<const std::string&>();
    return {};
  }
  static Json print(const std::string& value) { return value; }
};

template <>
struct Codec<bool> {
  static Status parse(const Json& json, bool& out, const Path& path) {
    if (!json.is_boolean()) return wrong_type(path, "a boolean", json);
    out = json.get<bool>();
    return {};
  }
  static Json print(bool value) { return value; }
};

template <class N>
requires(std::is_integral_v<N> && !std::is_same_v<N, bool>) struct Codec<N> {
  static Status parse(const Json& json, N& out, const Path& path) {
    if (!json.is_number_integer()) return wrong_type(path, "an integer", json);
    const bool fits = json.is_number_unsigned() ? std::in_range<N>(json.get<uint64_t>())
                                                : std::in_range<N>(json.get<int64_t>());
    if (!fits) return wrong_value(path, json.dump() + " is out of range");
    out = json.get<N>();
    return {};
  }
  static Json print(N value) { return value; }
};

template <>
struct Codec<double> {
  static Status parse(const Json& json, double& out, const Path& path) {
    if (!json.is_number()) return wrong_type(path, "a number", json);
    out = json.get<double>();
    return {};
  }
  // A whole number is printed without a fraction, as the original does.
  static Json print(double value) {
    return value == static_cast<double>(static_cast<int64_t>(value))
               ? Json(static_cast<int64_t>(value))
               : Json(value);
  }
};

template <>
struct Codec<model::Nanoseconds> {
  static Status parse(const Json& json, model::Nanoseconds& out, const Path& path) {
    int64_t count = 0;
    SKEP_TRY(Codec<int64_t>::parse(json, count, path));
    out = model::Nanoseconds(count);
    return {};
  }
  static Json print(model::Nanoseconds value) { return value.count(); }
};

template <>
struct Codec<model::WallTime> {
  static Status parse(const Json& json, model::WallTime& out, const Path& path) {
    if (!json.is_string()) return wrong_type(path, "a time", json);
    const auto time = parse_time(json.get_ref<const std::string&>());
    if (!time) return wrong_value(path, "not an RFC 3339 time");
    out = *time;
    return {};
  }
  static Json print(model::WallTime value) { return time_text(value); }
};

template <class Tag>
struct Codec<model::Id<Tag>> {
  static Status parse(const Json& json, model::Id<Tag>& out, const Path& path) {
    std::string text;
    SKEP_TRY(Codec<std::string>::parse(json, text, path));
    if (text.empty()) {
      out = {};
      return {};
    }
    const auto id = model::Id<Tag>::parse(text);
    if (!id) return wrong_value(path, "not an id");
    out = *id;
    return {};
  }
  static Json print(const model::Id<Tag>& value) {
    return value.none() ? Json("") : Json(value.str());
  }
};

template <HasWords E>
struct Codec<E> {
  // The empty word keeps what was there: Go clients send it for "not set".
  static Status parse(const Json& json, E& out, const Path& path) {
    std::string text;
    SKEP_TRY(Codec<std::string>::parse(json, text, path));
    if (text.empty()) return {};
    std::string expected;
    for (const auto& [value, word] : Words<E>::words) {
      if (word == text) {
        out = value;
        return {};
      }
      expected += (expected.empty() ? "" : ", ") + std::string(word);
    }
    return wrong_value(path, "unknown value '" + text + "', expected one of " + expected);
  }
  static Json print(E value) {
    for (const auto& [candidate, word] : Words<E>::words) {
      if (candidate == value) return std::string(word);
    }
    return "";
  }
};

template <HasTable T>
struct Codec<T> {
  static Status parse(const Json& json, T& out, const Path& path) {
    return parse_fields<T>(json, out, path, Table<T>::fields());
  }
  static Json print(const T& value) { return print_fields<T>(value, Table<T>::fields()); }
};

template <class V>
struct Codec<std::optional<V>> {
  static Status parse(const Json& json, std::optional<V>& out, const Path& path) {
    V value{};
    SKEP_TRY(Codec<V>::parse(json, value, path));
    out = std::move(value);
    return {};
  }
  static Json print(const std::optional<V>& value) {
    return value ? Codec<V>::print(*value) : Json(nullptr);
  }
};

template <class V>
struct Codec<std::vector<V>> {
  static Status parse(const Json& json, std::vector<V>& out, const Path& path) {
    if (!json.is_array()) return wrong_type(path, "a list", json);
    out.clear();
    out.reserve(json.size());
    for (size_t i = 0; i < json.size(); ++i) {
      const std::string index = "[" + std::to_string(i) + "]";
      const Path inner{&path, index};
      V value{};
      SKEP_TRY(Codec<V>::parse(json[i], value, inner));
      out.push_back(std::move(value));
    }
    return {};
  }
  static Json print(const std::vector<V>& values) {
    Json json = Json::array();
    for (const V& value : values) json.push_back(Codec<V>::print(value));
    return json;
  }
};

template <class V>
struct Codec<std::map<std::string, V>> {
  static Status parse(const Json& json, std::map<std::string, V>& out, const Path& path) {
    if (!json.is_object()) return wrong_type(path, "an object", json);
    out.clear();
    for (const auto& item : json.items()) {
      const Path inner{&path, item.key()};
      V value{};
      SKEP_TRY(Codec<V>::parse(item.value(), value, inner));
      out.emplace(item.key(), std::move(value));
    }
    return {};
  }
  static Json print(const std::map<std::string, V>& values) {
    Json json = Json::object();
    for (const auto& [key, value] : values) json[key] = Codec<V>::print(value);
    return json;
  }
};

// One row for what `Get` reaches: a pointer to member, or a captureless lambda
// `[](auto& object) -> auto& { return object.a.b; }`.
template <class T, auto Get>
constexpr Field<T> field(std::string_view key, Show show = Show::always) {
  using V = std::remove_cvref_t<std::invoke_result_t<decltype(Get), T&>>;
  return {key, show,
          [](const Json& json, T& object, const Path& path) -> Status {
            return Codec<V>::parse(json, std::invoke(Get, object), path);
          },
          [](const T& object) -> Json { return Codec<V>::print(std::invoke(Get, object)); }};
}

// A JSON object whose fields belong to T itself. `Fields` is a function that returns the rows.
template <class T, auto Fields>
constexpr Field<T> group(std::string_view key, Show show = Show::always) {
  return {key, show,
          [](const Json& json, T& object, const Path& path) -> Status {
            return parse_fields<T>(json, object, path, Fields());
          },
          [](const T& object) -> Json { return print_fields<T>(object, Fields()); }};
}

// A key that is printed for clients and ignored when it comes back.
template <class T>
constexpr Field<T> shown(std::string_view key, Json (*print)(const T&), Show show = Show::always) {
  return {key, show, nullptr, print};
}

// Text that may come from anywhere to a document; too deep or broken is `invalid`.
Result<Json> parse_document(std::string_view text);
// Bytes that aren't UTF-8 (a log message, a container's environment) are replaced, never thrown on.
std::string document_text(const Json& json);

template <class T>
Result<T> parse_value(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  T value{};
  SKEP_TRY(Codec<T>::parse(json, value, Path{}));
  return value;
}

template <class T>
std::string value_text(const T& value) {
  return document_text(Codec<T>::print(value));
}

}  // namespace skep::docker_json
