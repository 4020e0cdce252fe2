// Node and NodeSpec. Trust bytes travel as base64; a node without labels shows {} because SDKs
// compare whole specs.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "daemon/api/docker_json/base64.hpp"
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {

template <>
struct Words<model::NodeState> {
  static constexpr std::pair<model::NodeState, std::string_view> words[] = {
      {model::NodeState::unknown, "unknown"},
      {model::NodeState::down, "down"},
      {model::NodeState::ready, "ready"},
      {model::NodeState::disconnected, "disconnected"},
  };
};

namespace {

template <class T, auto Member>
Field<T> bytes_row(std::string_view key) {
  return {key, Show::always,
          [](const Json& json, T& object, const Path& path) -> Status {
            std::string text;
            SKEP_TRY(Codec<std::string>::parse(json, text, path));
            const std::optional<std::string> bytes = from_base64(text);
            if (!bytes) return wrong_value(path, "not base64");
            object.*Member = *bytes;
            return {};
          },
          [](const T& object) -> Json { return to_base64(object.*Member); }};
}

std::span<const Field<NodeView>> resource_rows() {
  using T = NodeView;
  static const Field<T> rows[] = {
      field < T, [](auto& n) -> auto& {return n.node.description.resources.nano_cpus;
}
> ("NanoCPUs"), field < T, [](auto& n) -> auto& {
  return n.node.description.resources.memory_bytes;
}
> ("MemoryBytes"),
};  // namespace
return rows;
}  // namespace skep::docker_json

std::span<const Field<NodeView>> engine_rows() {
  using T = NodeView;
  static const Field<T> rows[] = {field < T,
                                  [](auto& n) -> auto& {return n.node.description.engine_version;
}
> ("EngineVersion"), field < T, [](auto& n) -> auto& {
  return n.node.description.engine_labels;
}
> ("Labels", Show::if_not_empty), field < T, [](auto& n) -> auto& {
  return n.node.description.plugins;
}
> ("Plugins"),
}
;
return rows;
}

std::span<const Field<NodeView>> description_rows() {
  using T = NodeView;
  static const Field<T> rows[] = {field < T,
                                  [](auto& n) -> auto& {return n.node.description.hostname;
}
> ("Hostname"), field < T, [](auto& n) -> auto& {
  return n.node.description.platform;
}
> ("Platform"), group<T, &resource_rows>("Resources"), group<T, &engine_rows>("Engine"),
    field<T, &NodeView::trust>("TLSInfo", Show::if_not_null),
}
;
return rows;
}

std::span<const Field<NodeView>> status_rows() {
  using T = NodeView;
  static const Field<T> rows[] = {field < T, [](auto& n) -> auto& {return n.node.status.state;
}
> ("State"), field < T, [](auto& n) -> auto& {
  return n.node.status.message;
}
> ("Message", Show::if_not_empty), field < T, [](auto& n) -> auto& {
  return n.node.status.address;
}
> ("Addr"),
}
;
return rows;
}

Json print_manager(const NodeView& view) {
  if (!view.node.manager) return nullptr;
  Json json = Json::object();
  if (view.leader) json["Leader"] = true;
  json["Reachability"] = view.reachable ? "reachable" : "unreachable";
  json["Addr"] = view.node.manager->address;
  return json;
}

Status parse_manager(const Json& json, NodeView& view, const Path& path) {
  if (!json.is_object()) return wrong_type(path, "an object", json);
  view.node.manager.emplace();
  view.node.role = model::NodeRole::manager;
  view.leader = json.value("Leader", Json(false)) == true;
  view.reachable = json.value("Reachability", Json("")) == "reachable";
  const Path inner{&path, "Addr"};
  return Codec<std::string>::parse(json.value("Addr", Json("")), view.node.manager->address, inner);
}

}  // namespace

std::span<const Field<TrustView>> Table<TrustView>::fields() {
  using T = TrustView;
  static const Field<T> rows[] = {
      field<T, &T::root_certificate_pem>("TrustRoot"),
      bytes_row<T, &T::issuer_subject_der>("CertIssuerSubject"),
      bytes_row<T, &T::issuer_public_key_der>("CertIssuerPublicKey"),
  };
  return rows;
}

std::span<const Field<model::Platform>> Table<model::Platform>::fields() {
  using T = model::Platform;
  static const Field<T> rows[] = {
      field<T, &T::architecture>("Architecture", Show::if_not_empty),
      field<T, &T::os>("OS", Show::if_not_empty),
  };
  return rows;
}

std::span<const Field<model::EnginePlugin>> Table<model::EnginePlugin>::fields() {
  using T = model::EnginePlugin;
  static const Field<T> rows[] = {
      field<T, &T::type>("Type"),
      field<T, &T::name>("Name"),
  };
  return rows;
}

std::span<const Field<model::NodeSpec>> Table<model::NodeSpec>::fields() {
  using T = model::NodeSpec;
  static const Field<T> rows[] = {
      field<T, &T::name>("Name", Show::if_not_empty),
      field<T, &T::labels>("Labels"),
      field<T, &T::role>("Role"),
      field<T, &T::availability>("Availability"),
  };
  return rows;
}

std::span<const Field<NodeView>> Table<NodeView>::fields() {
  using T = NodeView;
  constexpr auto meta = [](auto& n) -> auto& {
    return n.node.meta;
  };
  static const Field<T> rows[] = {field < T, [](auto& n) -> auto& {return n.node.id;
}
> ("ID"), version_row<T, meta>(), created_row<T, meta>(), updated_row<T, meta>(), field < T,
    [](auto& n) -> auto& {
  return n.node.spec;
}
> ("Spec"), group<T, &description_rows>("Description"), group<T, &status_rows>("Status"),
    {"ManagerStatus", Show::if_not_null, &parse_manager, &print_manager},
}
;
return rows;
}

std::string node_to_json(const NodeView& node) {
  return value_text(node);
}
std::string nodes_to_json(const std::vector<NodeView>& nodes) {
  return value_text(nodes);
}
Result<NodeView> parse_node(std::string_view json) {
  return parse_value<NodeView>(json);
}
Result<std::vector<NodeView>> parse_nodes(std::string_view json) {
  return parse_value<std::vector<NodeView>>(json);
}

Result<model::NodeSpec> parse_node_spec(std::string_view text) {
  SKEP_TRY_ASSIGN(const Json json, parse_document(text));
  if (!json.is_object()) return wrong_type(Path{}, "an object", json);
  for (const char* key : {"Role", "Availability"}) {
    const auto found = json.find(key);
    if (found == json.end() || is_empty_value(*found)) {
      return fail(ErrorKind::invalid, std::string(key) + ": must be given");
    }
  }
  model::NodeSpec spec;
  SKEP_TRY(Codec<model::NodeSpec>::parse(json, spec, Path{}));
  return spec;
}

std::string node_spec_to_json(const model::NodeSpec& spec) {
  return value_text(spec);
}

}  // namespace skep::docker_json
