// Configs: made, relabelled and removed, and what is refused.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/config_requests.hpp"

#include <catch2/catch.hpp>

#include "core/store/state_codec.hpp"
#include "tests/unit/planner/world.hpp"

using namespace skep;
using test::World;

namespace {

model::ConfigSpec spec(const std::string& name, size_t bytes = 3) {
  return {name, {{"a", "b"}}, std::string(bytes, 'x'), ""};
}

Result<model::ConfigId> create(World& world, const model::ConfigSpec& wanted) {
  return world.ask(
      [&](store::Draft& draft) { return planner::create_config(draft, wanted, world.ids()); });
}

Status update(World& world, model::ConfigId id, const model::ConfigSpec& wanted) {
  return world.ask([&](store::Draft& draft) {
    return planner::update_config(draft, id, draft.config(id)->meta.version, wanted);
  });
}

}  // namespace

TEST_CASE("a config is made, found by name, and removed") {
  World world(1);
  const auto id = create(world, spec("site.conf"));
  REQUIRE(id);
  CHECK(world.store().config(*id)->spec == spec("site.conf"));
  CHECK(world.store().config(*id)->meta.version == world.entries());
  CHECK(world.store().config_by_name("SITE.CONF")->id == *id);
  const auto remove = [&] {
    return world.ask([&](store::Draft& draft) { return planner::remove_config(draft, *id); });
  };
  REQUIRE(remove());
  CHECK(world.store().config_by_name("site.conf") == nullptr);
  CHECK(remove().error().kind == ErrorKind::not_found);
}

TEST_CASE("a config's name that is taken is refused, also within one batch") {
  World world(1);
  REQUIRE(create(world, spec("a")));
  const auto again = create(world, spec("A"));
  REQUIRE_FALSE(again);
  CHECK(again.error() == Error{ErrorKind::conflict,
                               "name conflicts with an existing object: config A already exists"});
  world.ask([&](store::Draft& draft) {
    CHECK(planner::create_config(draft, spec("b"), world.ids()));
    CHECK_FALSE(planner::create_config(draft, spec("b"), world.ids()));
    return 0;
  });
}

TEST_CASE("a config holds 1 byte to 1000 KiB under a name that is one") {
  World world(1);
  CHECK(create(world, spec("largest", model::kConfigDataBytesMax)));
  CHECK(create(world, spec("larger", model::kConfigDataBytesMax + 1)).error().kind ==
        ErrorKind::invalid);
  CHECK(create(world, spec("empty", 0)).error().kind == ErrorKind::invalid);
  for (const char* name : {"", "-a", "a.", "a b", "a/b"}) CHECK_FALSE(create(world, spec(name)));
  CHECK(create(world, spec(std::string(64, 'a'))));
  CHECK_FALSE(create(world, spec(std::string(65, 'a'))));
  model::ConfigSpec labelled = spec("labelled", model::kConfigDataBytesMax);
  labelled.labels["long"] = std::string(20'000, 'l');
  CHECK(create(world, labelled).error().kind == ErrorKind::too_large);
}

TEST_CASE("only the labels of a config change, and the same data again is no change") {
  World world(1);
  const model::ConfigId id = create(world, spec("a")).value();
  const uint64_t before = world.entries();
  CHECK(update(world, id, spec("a")));
  CHECK(world.entries() == before);
  model::ConfigSpec labelled = spec("a");
  labelled.labels = {{"c", "d"}};
  CHECK(update(world, id, labelled));
  CHECK(world.store().config(id)->spec == labelled);
  CHECK(update(world, id, spec("a", 4)).error().kind == ErrorKind::invalid);
  CHECK(update(world, id, spec("b")).error().kind == ErrorKind::invalid);
  const Status late = world.ask(
      [&](store::Draft& draft) { return planner::update_config(draft, id, before, spec("a")); });
  CHECK(late.error().message == "update out of sequence");
}

TEST_CASE("a config is part of the snapshot") {
  World world(1);
  const model::ConfigId id = create(world, spec("a", 100'000)).value();
  auto state = store::decode_state(store::encode(world.store().dump()));
  REQUIRE(state);
  store::Store loaded;
  loaded.load(world.entries(), std::move(*state));
  CHECK(*loaded.config(id) == *world.store().config(id));
  CHECK(loaded.config_by_name("a")->id == id);
}
