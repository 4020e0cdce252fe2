// What a person may type for an object, and what is said when it is not clear what was meant.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/lookup.hpp"

#include <catch2/catch.hpp>

#include "core/store/draft.hpp"
#include "core/store/store.hpp"

using namespace skep;

namespace {

// The highest id begins with an f.
template <class Id>
Id id(const std::string& beginning) {
  std::string text = beginning;
  text.resize(model::kIdLength, '0');
  return Id::parse(text).value();
}

store::Store cluster() {
  store::Store store;
  store::Draft draft(store);
  for (const auto& [beginning, hostname] :
       {std::pair("aaa1", "alpha"), {"aaa2", "beta"}, {"b", "beta"}, {"c", "aaa"}}) {
    model::Node node;
    node.id = id<model::NodeId>(beginning);
    node.description.hostname = hostname;
    draft.put(node);
  }
  model::Service service;
  service.id = id<model::ServiceId>("e1");
  service.name = "Web";
  draft.put(service);
  model::Task task;
  task.id = id<model::TaskId>("d1");
  task.service = service.id;
  task.service_name = service.name;
  task.slot = 3;
  draft.put(task);
  store.apply(1, draft.transaction({1}));
  return store;
}

template <class T>
std::string found(const Result<store::Row<T>>& result) {
  if (!result) return result.error().message;
  const std::string text = (*result)->id.str();
  return text.substr(0, text.find_last_not_of('0') + 1);
}

}  // namespace

TEST_CASE("an object is found by id, by name in any case, and by the beginning of its id") {
  const store::Store store = cluster();
  CHECK(found(api::find_node(store, id<model::NodeId>("b").str())) == "b");
  CHECK(found(api::find_node(store, "ALPHA")) == "aaa1");
  CHECK(found(api::find_node(store, "aaa2")) == "aaa2");
  CHECK(found(api::find_service(store, "web")) == "e1");
  CHECK(found(api::find_service(store, "e")) == "e1");
  CHECK(found(api::find_task(store, "web.3." + id<model::TaskId>("d1").str())) == "d1");
  CHECK(found(api::find_task(store, "d")) == "d1");
}

TEST_CASE("a name comes before the beginning of an id") {
  CHECK(found(api::find_node(cluster(), "aaa")) == "c");
}

TEST_CASE("what could mean several objects is ambiguous, and says how many") {
  const store::Store store = cluster();
  const auto two = api::find_node(store, "aa");
  REQUIRE_FALSE(two);
  CHECK(two.error() == Error{ErrorKind::invalid, "node aa is ambiguous (2 matches found)"});
  CHECK(found(api::find_node(store, "beta")) == "node beta is ambiguous (2 matches found)");
}

TEST_CASE("what nothing is called is not found") {
  const store::Store store = cluster();
  CHECK(found(api::find_node(store, "zz")) == "node zz not found");
  CHECK(api::find_node(store, "").error().kind == ErrorKind::not_found);
  CHECK(found(api::find_task(store, "web.3.t1")) == "task web.3.t1 not found");
  CHECK(found(api::find_task(store, "web.4." + id<model::TaskId>("d1").str()))
            .ends_with("not found"));
  CHECK(found(api::find_network(store, "ingress")) == "network ingress not found");
  CHECK(found(api::find_config(store, "a")) == "config a not found");
}
