// A library in this process: what is refused, how calls end, and what a driver's words become.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/instance.hpp"

#include <catch2/catch.hpp>
#include <cstddef>

#include "tests/unit/plugin_host/helper_driver.hpp"
#include "tests/unit/plugin_host/listener.hpp"

namespace {

using skep::Result;
using skep::host::CheckedFile;
using skep::host::HostShape;
using skep::host::Instance;
using skep::host::Operation;
using skep::host::PluginIdentity;
using skep::test::End;
using skep::test::fake_plugin;
using skep::test::Recorder;
using skep::test::slot;

Result<std::unique_ptr<Instance>> load(const std::string& name, Recorder& recorder,
                                       HostShape shape = {}) {
  SKEP_TRY_ASSIGN(CheckedFile file, CheckedFile::open(fake_plugin(name), std::nullopt));
  SKEP_TRY_ASSIGN(PluginIdentity identity, skep::host::read_note(file));
  return Instance::load(std::move(file), std::move(identity), recorder, shape);
}

struct Loaded {
  explicit Loaded(const std::string& name, HostShape shape = {}) {
    Result<std::unique_ptr<Instance>> made = load(name, recorder, shape);
    if (!made) FAIL(made.error().message);
    instance = std::move(*made);
  }
  // The end of one call that ends the way `how` says.
  End misbehave(const std::string& how) {
    instance->call(CRASHES(misbehave), ++number, "\"" + how + "\"");
    const std::vector<End> ends = recorder.ends(number);
    REQUIRE(ends.size() >= number);
    return ends[number - 1];
  }

  Recorder& recorder = *new Recorder;  // for ever, as Instance wants it
  std::unique_ptr<Instance> instance;
  uint64_t number = 0;
};

bool told(const std::vector<std::string>& lines, const std::string& what) {
  for (const std::string& line : lines) {
    if (line.find(what) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a call ends with what the driver completed, from inside or from a later thread") {
  Loaded driver("fake-behaviour");
  driver.instance->call(BEHAVIOUR(echo), 1, "{\"a\":1}");
  CHECK(driver.recorder.ends(1).at(0).reply == "{\"a\":1}");
  driver.instance->call(BEHAVIOUR(echo_later), 2, "[]");
  const std::vector<End> ends = driver.recorder.ends(2);
  REQUIRE(ends.size() == 2);
  CHECK(ends[1].number == 2);
  CHECK(ends[1].status == SKEP_OK);
  CHECK(ends[1].reply == "[]");
}

TEST_CASE("a call that the driver returns from without completing it has an end all the same") {
  Loaded driver("fake-behaviour");
  driver.instance->call(BEHAVIOUR(fails), 1, "{}");
  CHECK(driver.recorder.ends(1).at(0).status == SKEP_E_BUSY);
  driver.instance->call(BEHAVIOUR(lies), 2, "{}");
  CHECK(driver.recorder.ends(2).at(1).status == SKEP_E_INTERNAL);
  const Operation beyond = slot(SKEP_TEST_BEHAVIOUR, "beyond", sizeof(skep_test_behaviour));
  CHECK_FALSE(driver.instance->has(beyond));
  driver.instance->call(beyond, 3, "{}");
  CHECK(driver.recorder.ends(3).at(2).status == SKEP_E_UNIMPLEMENTED);
  CHECK(driver.recorder.ends(3).at(2).error.find("beyond") != std::string::npos);
  driver.instance->call(slot("skep.none/1", "x", 8), 4, "{}");
  CHECK(driver.recorder.ends(4).at(3).status == SKEP_E_UNIMPLEMENTED);
  driver.instance->call(BEHAVIOUR(echo), 5, std::string(SKEP_REQUEST_MAX + 1, 'x'));
  CHECK(driver.recorder.ends(5).at(4).status == SKEP_E_INVALID);
}

TEST_CASE("has() knows a slot that is NULL from one that is set, also in an interface not listed") {
  Loaded driver("fake-behaviour");
  CHECK(driver.instance->has(*skep::host::find_operation(SKEP_BASE_1, "configure")));
  CHECK_FALSE(driver.instance->has(*skep::host::find_operation(SKEP_BASE_1, "restore")));
  CHECK_FALSE(driver.instance->has(*skep::host::find_operation(SKEP_VOLUME_1, "create")));
  CHECK(driver.instance->has(BEHAVIOUR(order)));
}

TEST_CASE("what is thrown over the wall is the call's error") {
  Loaded driver("fake-crashes");
  const End thrown = driver.misbehave("throw");
  CHECK(thrown.status == SKEP_E_INTERNAL);
  CHECK(thrown.error == "the driver threw an exception: over the wall");
  CHECK(driver.misbehave("throw_int").error == "the driver threw something that is no exception");
  CHECK(told(driver.recorder.lines(), "plugin misbehaving: threw an exception: over the wall"));
}

TEST_CASE("a completion on another thread, before the function returned, is the only one") {
  Loaded driver("fake-crashes");
  CHECK(driver.misbehave("elsewhere").reply == "\"from another thread\"");
  CHECK(driver.recorder.ends(1).size() == 1);
}

TEST_CASE("a second completion reaches the keeper of the numbers") {
  Loaded driver("fake-crashes");
  driver.misbehave("twice");
  CHECK(driver.recorder.ends(2).size() == 2);
}

TEST_CASE("what is no reply and no status by the contract is an internal error, and is told") {
  Loaded driver("fake-crashes");
  CHECK(driver.misbehave("bad_utf8").error == "the driver gave a reply that is not UTF-8");
  const End large = driver.misbehave("too_much");
  CHECK(large.status == SKEP_E_INTERNAL);
  CHECK(large.error == "the driver gave a reply of 67108865 bytes, over the limit of 67108864");
  CHECK(driver.misbehave("much").reply.size() == size_t{8} << 20);
  CHECK(driver.misbehave("end_nonsense").status == SKEP_E_INTERNAL);
  CHECK(driver.misbehave("return_nonsense").status == SKEP_E_INTERNAL);
  CHECK(told(driver.recorder.lines(), "plugin misbehaving: gave a reply that is not UTF-8"));
}

TEST_CASE("lines below the log level are dropped, the others are made readable") {
  Loaded driver("fake-crashes");
  CHECK(driver.misbehave("log").reply == std::to_string(SKEP_LOG_INFO));
  const std::vector<std::string> wanted = {"1/2 a warning", "0/3 loud ?"};
  CHECK(driver.recorder.lines() == wanted);
}

TEST_CASE("figures are counted under the names that the contract allows") {
  Loaded driver("fake-crashes");
  driver.misbehave("count");
  const std::map<std::string, int64_t> wanted = {{"turns", 5}, {"level.now", -4}};
  CHECK(driver.recorder.figures() == wanted);
  CHECK(told(driver.recorder.lines(), "a figure is named \"No such name\""));
}

TEST_CASE("a library is refused in a sentence with a code word") {
  Recorder recorder;  // no instance of it will stand
  const auto refusal = [&](const std::string& name) {
    return load(name, recorder).error().message;
  };
  CHECK(refusal("fake-differs").rfind("note_differs: ", 0) == 0);
  const std::string undefined = refusal("fake-undefined");
  CHECK(undefined.rfind("missing_symbol: ", 0) == 0);
  CHECK(undefined.find("skep_test_nobody_has_this") != std::string::npos);
  // Refused by its note alone; the same identity with another host in play is refused by load.
  CHECK(refusal("fake-new-host").rfind("host_too_old: ", 0) == 0);
  Result<CheckedFile> file = CheckedFile::open(fake_plugin("fake-behaviour"), std::nullopt);
  REQUIRE(file);
  Result<PluginIdentity> identity = skep::host::read_note(*file);
  REQUIRE(identity);
  identity->host_minor_needed = 3;
  const auto refused =
      Instance::load(std::move(*file), *identity, recorder, {2, sizeof(skep_host)});
  CHECK(refused.error().message.rfind("host_too_old: ", 0) == 0);
}

TEST_CASE("an older and a newer host call the same driver") {
  const HostShape older{0, offsetof(skep_host, cancelled)};
  const HostShape newer{9, sizeof(skep_host) + 64};
  for (const HostShape shape : {older, newer}) {
    Loaded driver("fake-behaviour", shape);
    driver.instance->call(BEHAVIOUR(echo), 1, "{}");
    CHECK(driver.recorder.ends(1).at(0).status == SKEP_OK);
  }
}

TEST_CASE("an exception out of get_interface is no interface, and is told of") {
  Loaded driver("fake-throws");
  const Operation create = SKEP_OPERATION(SKEP_VOLUME_1, skep_volume_1, create);
  CHECK_FALSE(driver.instance->has(create));
  driver.instance->call(create, 1, "{}");
  CHECK(driver.recorder.ends(1).at(0).status == SKEP_E_UNIMPLEMENTED);
  CHECK(told(driver.recorder.lines(), "get_interface threw an exception: what is that?"));
}
