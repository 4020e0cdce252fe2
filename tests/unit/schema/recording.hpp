// The daemon's clients with a driver that writes down what they ask (recorder.cpp), and the schemas
// to hold it against.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/drivers/plugin.hpp"
#include "sdk/host/catalog.hpp"
#include "sdk/schema/documents.hpp"
#include "tests/unit/drivers/run.hpp"
#include "tests/unit/schema/replies.hpp"

namespace skep::test {

using nlohmann::json;

inline std::string told(const Status& status) {
  return status ? "fits" : status.error().message;
}

inline const schema::Documents& documents() {
  static const schema::Documents all = [] {
    auto loaded = schema::Documents::load();
    if (!loaded) throw std::runtime_error(loaded.error().message);
    return std::move(*loaded);
  }();
  return all;
}

inline const Canned* find_canned(std::string_view interface, std::string_view operation) {
  for (const Canned& known : canned) {
    if (known.interface == interface && known.operation == operation) return &known;
  }
  return nullptr;
}

inline json replies() {
  json all = json::object();
  for (const auto& interface : host::interfaces()) {
    json& slots = all[std::string(interface.id)] = json::array();
    for (const auto& operation : interface.operations) {
      const Canned* known = find_canned(interface.id, operation.name);
      json slot = json::object();
      slot["reply"] = json::parse(known != nullptr ? known->reply : canned_nothing);
      if (known != nullptr && !known->item.empty()) slot["item"] = json::parse(known->item);
      slots.push_back(slot);
    }
  }
  return all;
}

// The recording driver, loaded by the daemon's own loader and configured by it.
class Recording {
 public:
  Recording() {
    json members = json::object();
    members["record"] = place_.folder + "/requests";
    members["replies"] = replies();
    auto config = plugin_config("recorder", "schema-recorder", drivers::Isolation::in_process,
                                members.dump());
    auto opened = run(loop_, drivers::Plugin::open(std::move(config), place_.place()));
    if (!opened) FAIL(opened.error().message);
    plugin_ = std::move(*opened);
  }

  // Every call must end well: the reply fits its schema, so the client has to take it.
  template <class T>
  void ok(boost::asio::awaitable<T> work) {
    const T result = run(loop_, std::move(work));
    if (!result) FAIL_CHECK(result.error().message);
  }

  drivers::Plugin& plugin() { return *plugin_; }

  // Checks each request, and gives the operations that were asked for, "skep.volume/1 create".
  std::set<std::string> check() {
    std::set<std::string> seen;
    std::ifstream file(place_.folder + "/requests");
    std::string interface, slot, document;
    while (std::getline(file, interface, '\t') && std::getline(file, slot, '\t') &&
           std::getline(file, document)) {
      const auto& operation = host::find_interface(interface)->operations[std::stoul(slot)];
      const Status fits =
          documents().check(interface, operation.name, schema::Part::request, document);
      CHECK(told(fits) == "fits");
      seen.insert(interface + " " + std::string(operation.name));
    }
    return seen;
  }

 private:
  Place place_;
  boost::asio::io_context loop_;
  std::unique_ptr<drivers::Plugin> plugin_;
};

inline void expect_all_of(const char* interface, const std::set<std::string>& seen) {
  for (const auto& operation : host::find_interface(interface)->operations) {
    const std::string name = std::string(interface) + " " + std::string(operation.name);
    INFO(name);
    CHECK(seen.contains(name));
  }
}

}  // namespace skep::test
