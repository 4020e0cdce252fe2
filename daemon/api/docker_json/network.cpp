// A network as Docker lists it: the key is "Id" here, and the container map keeps whole endpoints.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/docker_json/tables.hpp"

namespace skep::docker_json {

template <>
struct Table<NetworkView::Endpoint> {
  static std::span<const Field<NetworkView::Endpoint>> fields() {
    using T = NetworkView::Endpoint;
    static const Field<T> rows[] = {
        field<T, &T::name>("Name"),
        field<T, &T::endpoint_id>("EndpointID"),
        field<T, &T::mac>("MacAddress"),
        field<T, &T::address>("IPv4Address"),
        shown<T>("IPv6Address", [](const T&) -> Json { return ""; }),
    };
    return rows;
  }
};

namespace {

Json print_ipam(const NetworkView& network) {
  Json config = Json::array();
  if (!network.subnet.empty()) {
    config.push_back(Json{{"Subnet", network.subnet}, {"Gateway", network.gateway}});
  }
  return Json{{"Driver", "default"}, {"Options", nullptr}, {"Config", config}};
}

// The first block only: a network of ours has one.
Status parse_ipam(const Json& json, NetworkView& network, const Path& path) {
  if (!json.is_object()) return wrong_type(path, "an object", json);
  const auto config = json.find("Config");
  if (config == json.end() || !config->is_array() || config->empty()) return {};
  const Json& first = config->front();
  const Path inner{&path, "Config"};
  if (!first.is_object()) return wrong_type(inner, "a list of objects", first);
  SKEP_TRY(Codec<std::string>::parse(first.value("Subnet", Json("")), network.subnet, inner));
  return Codec<std::string>::parse(first.value("Gateway", Json("")), network.gateway, inner);
}

}  // namespace

std::span<const Field<NetworkView>> Table<NetworkView>::fields() {
  using T = NetworkView;
  static const Field<T> rows[] = {
      field<T, &T::name>("Name"),
      field<T, &T::id>("Id"),
      field<T, &T::created_at>("Created"),
      field<T, &T::scope>("Scope"),
      field<T, &T::driver>("Driver"),
      shown<T>("EnableIPv4", [](const T&) -> Json { return true; }),
      shown<T>("EnableIPv6", [](const T&) -> Json { return false; }),
      {"IPAM", Show::always, &parse_ipam, &print_ipam},
      field<T, &T::internal>("Internal"),
      field<T, &T::attachable>("Attachable"),
      field<T, &T::ingress>("Ingress"),
      shown<T>("ConfigFrom",
               [](const T&) -> Json {
                 return Json{{"Network", ""}};
               }),
      shown<T>("ConfigOnly", [](const T&) -> Json { return false; }),
      field<T, &T::containers>("Containers"),
      field<T, &T::options>("Options"),
      field<T, &T::labels>("Labels"),
  };
  return rows;
}

std::string network_to_json(const NetworkView& network) {
  return value_text(network);
}
std::string networks_to_json(const std::vector<NetworkView>& networks) {
  return value_text(networks);
}
Result<NetworkView> parse_network(std::string_view json) {
  return parse_value<NetworkView>(json);
}
Result<std::vector<NetworkView>> parse_networks(std::string_view json) {
  return parse_value<std::vector<NetworkView>>(json);
}

}  // namespace skep::docker_json
