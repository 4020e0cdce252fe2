// What the C++ wrapper does for every driver: exceptions to codes, bad requests, the base
// operations, secrets, the identity.
// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <functional>

#include "skep/cpp/volume.hpp"
#include "tests/unit/sdk/fake_host.hpp"

namespace skep::sdk::test {
namespace {

// A volume driver whose create does what the test says.
class Obedient final : public VolumeDriver {
 public:
  std::function<void(const CreateVolume&)> on_create = [](const CreateVolume&) {};
  Place place;
  int64_t figure = 0;
  bool refuse_config = false;

  void configure(const Members& config, const Place& where) override {
    if (refuse_config) throw Failure(SKEP_E_UNAVAILABLE, "not today");
    figure = config.integer_within("figure", 3, 1, 9);
    place = where;
  }
  void validate(const ValidateVolume&) override {}
  CreatedVolume create(const CreateVolume& request) override {
    on_create(request);
    return {};
  }
  void remove(const RemoveVolume&) override {}
  std::vector<Volume> list() override { return {}; }
  std::string publish(const PublishVolume&) override { return "/p"; }
};

class Rich final : public VolumeDriver {
 public:
  CreatedVolume create(const CreateVolume&) override { return {}; }
  void remove(const RemoveVolume&) override {}
  std::vector<Volume> list() override { return {}; }
  std::string publish(const PublishVolume&) override { return "/p"; }
  int64_t expand(const ExpandVolume& request) override { return request.capacity_bytes; }
  void detach(const DetachVolume&) override {}
  void reconfigure(const Members&) override {}
};

// Loses its operation on the way to an exception that it handles itself.
class Forgetful final : public Driver {
 public:
  void lose(Call call) {
    try {
      const Call mine = std::move(call);
      throw std::runtime_error("handled below");
    } catch (const std::runtime_error&) {
      log(SKEP_LOG_INFO, "handled");
    }
  }
  const void* interface(std::string_view id) noexcept override {
    static const skep_base_1 table = {.struct_size = sizeof table,
                                      .capabilities = op<&Forgetful::lose>};
    return id == SKEP_BASE_1 ? &table : nullptr;
  }
};

using Host = HostOf<Obedient>;

Outcome create(Host& host, const json& more = json::object()) {
  json request = {{"volume", "v"}};
  request.update(more);
  return host.volume(&skep_volume_1::create, request);
}

Outcome after_throwing(const std::function<void()>& thrower) {
  Host host;
  REQUIRE(host.configure().status == SKEP_OK);
  host.driver().on_create = [&](const CreateVolume&) { thrower(); };
  return create(host);
}

}  // namespace

TEST_CASE("an exception becomes the code that fits it, and its text the sentence") {
  const auto failed = after_throwing([] { throw Failure(SKEP_E_DENIED, "no"); });
  CHECK(failed.status == SKEP_E_DENIED);
  CHECK(failed.error == "no");
  CHECK(after_throwing([] { throw std::bad_alloc(); }).status == SKEP_E_EXHAUSTED);
  CHECK(after_throwing([] { throw std::runtime_error("odd"); }).error == "odd");
  CHECK(after_throwing([] { throw std::runtime_error("odd"); }).status == SKEP_E_INTERNAL);
  CHECK(after_throwing([] { throw 42; }).status == SKEP_E_INTERNAL);
  CHECK(after_throwing([] { (void)json::object().at("x"); }).status == SKEP_E_INVALID);
  const auto of_errno = [](int number) {
    return after_throwing(
               [number] { throw std::system_error(number, std::generic_category(), "f"); })
        .status;
  };
  CHECK(of_errno(ENOSPC) == SKEP_E_EXHAUSTED);
  CHECK(of_errno(EDQUOT) == SKEP_E_EXHAUSTED);
  CHECK(of_errno(EBUSY) == SKEP_E_BUSY);
  CHECK(of_errno(EROFS) == SKEP_E_DENIED);
  CHECK(of_errno(EIO) == SKEP_E_INTERNAL);
}

TEST_CASE("a failure's detail reaches the host beside the sentence") {
  const auto failed = after_throwing([] {
    throw Failure(SKEP_E_INTERNAL, "some", {{"failed", {1, 2}}});
  });
  CHECK(failed.reply == json{{"failed", {1, 2}}});
  CHECK(after_throwing([] { throw Failure(SKEP_E_INTERNAL, "some"); }).reply.is_null());
}

TEST_CASE("an error text is cut between characters, not inside one") {
  const auto failed = after_throwing([] {
    throw Failure(SKEP_E_INTERNAL, "x" + std::string(SKEP_ERROR_MAX - 2, 'a') + "\u00e4\u00e4");
  });
  CHECK(failed.error.size() == SKEP_ERROR_MAX - 1);
  CHECK(failed.error.back() == 'a');
}

TEST_CASE(
    "a request that is no object in UTF-8, too long or too deep is refused before any method") {
  Host host;
  REQUIRE(host.configure().status == SKEP_OK);
  bool reached = false;
  host.driver().on_create = [&](const CreateVolume&) { reached = true; };
  const auto raw = [&](const std::string& text) {
    const auto outcome = host.call(host.table<skep_volume_1>(SKEP_VOLUME_1).create, text);
    CHECK_FALSE(outcome.error.empty());
    return outcome.status;
  };
  CHECK(raw("") == SKEP_E_INVALID);
  CHECK(raw("[]") == SKEP_E_INVALID);
  CHECK(raw("{\"volume\":") == SKEP_E_INVALID);
  CHECK(raw("{\"volume\":\"\xff\"}") == SKEP_E_INVALID);
  CHECK(raw("{\"volume\":\"v\",\"x\":\"" + std::string(SKEP_REQUEST_MAX, 'x') + "\"}") ==
        SKEP_E_INVALID);
  CHECK(raw("{\"volume\":\"v\",\"x\":" + std::string(100, '[') + std::string(100, ']') + "}") ==
        SKEP_E_INVALID);
  CHECK_FALSE(reached);
  // Brackets inside a text are no depth.
  const auto flat = host.call(host.table<skep_volume_1>(SKEP_VOLUME_1).create,
                              R"({"volume":"v","x":"\")" + std::string(100, '[') + "\"}");
  CHECK(flat.status == SKEP_OK);
  CHECK(reached);
}

TEST_CASE("a member that is missing or of another type is named, and its value is not told") {
  Host host;
  REQUIRE(host.configure().status == SKEP_OK);
  const auto error = [&](const json& request) {
    const auto outcome = host.volume(&skep_volume_1::create, request);
    CHECK(outcome.status == SKEP_E_INVALID);
    return outcome.error;
  };
  CHECK(error(json::object()) == "\"volume\" is missing");
  CHECK(error({{"volume", nullptr}}) == "\"volume\" is missing");
  CHECK(error({{"volume", 5}}) == "\"volume\" must be text, not a number");
  CHECK(error({{"volume", ""}}) == "\"volume\" must have 1 to 128 bytes");
  CHECK(error({{"volume", std::string(129, 'v')}}) == "\"volume\" must have 1 to 128 bytes");
  CHECK(error({{"volume", "v"}, {"options", 1}}) == "\"options\" must be an object, not a number");
  CHECK(error({{"volume", "v"}, {"options", {{"o", true}}}}) ==
        "\"options.o\" must be text, not true or false");
  CHECK(error({{"volume", "v"}, {"capacity_bytes", 1.5}}) ==
        "\"capacity_bytes\" must be a whole number, not a number");
  CHECK(error({{"volume", "v"}, {"capacity_bytes", 0}}) == "\"capacity_bytes\" must be at least 1");
  CHECK(error({{"volume", "v"}, {"capacity_bytes", 18446744073709551615u}}) ==
        "\"capacity_bytes\" is too large");
  CHECK(error({{"volume", "v"}, {"secrets", {{"key", {"hush"}}}}}) ==
        "\"secrets.key\" must be text, not a list");
  const auto holders = host.volume(&skep_volume_1::publish,
                                   {{"volume", "v"}, {"holder", "h"}, {"holders", {"a", 3}}});
  CHECK(holders.error == "\"holders[1]\" must be text, not a number");
}

TEST_CASE("members nobody knows are ignored") {
  Host host;
  REQUIRE(host.configure().status == SKEP_OK);
  CHECK(create(host, {{"from the future", {1, 2, 3}}}).status == SKEP_OK);
}

TEST_CASE("secrets reach the driver, and the request's own copy is overwritten after the call") {
  const auto request = [] {
    return json{{"secrets", {{"key", std::string(64, 's')}}}, {"volume", "v"}};
  };
  Host host;
  REQUIRE(host.configure().status == SKEP_OK);
  std::string seen;
  host.driver().on_create = [&](const CreateVolume& asked) {
    seen = asked.secrets.at("key");
    CHECK(asked.secrets.find("other") == nullptr);
    (void)asked.secrets.at("other");
  };
  const auto outcome = create(host, request());
  CHECK(seen == std::string(64, 's'));
  CHECK(outcome.status == SKEP_E_INVALID);
  CHECK(outcome.error == "\"secrets.other\" is missing");

  json document = request();
  detail::wipe(document.at("secrets"));
  CHECK(document.at("secrets").at("key") == std::string(64, '\0'));
  CHECK(document.at("volume") == "v");
}

TEST_CASE("an operation before configure, or after drain, is refused; probe still answers") {
  Host host;
  CHECK(create(host).status == SKEP_E_PRECONDITION);
  CHECK(host.base(&skep_base_1::probe).reply == json{{"state", "ready"}, {"reason", ""}});
  REQUIRE(host.configure().status == SKEP_OK);
  CHECK(create(host).status == SKEP_OK);
  CHECK(host.base(&skep_base_1::drain).status == SKEP_OK);
  CHECK(create(host).status == SKEP_E_UNAVAILABLE);
  CHECK(host.base(&skep_base_1::probe).status == SKEP_OK);
  CHECK(host.base(&skep_base_1::shutdown).status == SKEP_OK);
}

TEST_CASE("configure brings place and config once; a repetition is answered, a change is not") {
  Host host;
  const auto wrong = host.configure({{"figure", 12}});
  CHECK(wrong.status == SKEP_E_INVALID);
  CHECK(wrong.error == "\"config.figure\" must be from 1 to 9");
  host.driver().refuse_config = true;
  CHECK(host.configure().status == SKEP_E_UNAVAILABLE);
  host.driver().refuse_config = false;
  CHECK(host.configure({{"figure", 5}}, "/data").status == SKEP_OK);
  CHECK(host.driver().figure == 5);
  CHECK(host.driver().place.data_dir == "/data");
  CHECK(host.driver().place.node == "n1");
  CHECK(host.configure({{"figure", 5}}, "/data").status == SKEP_OK);
  CHECK(host.configure({{"figure", 6}}, "/data").status == SKEP_E_PRECONDITION);
  CHECK(host.driver().figure == 5);
}

TEST_CASE("what a class does not override is not in its table") {
  const HostOf<Obedient> plain;
  const auto& few = plain.table<skep_volume_1>(SKEP_VOLUME_1);
  for (const skep_call optional :
       {few.stage, few.unstage, few.node_info, few.attach, few.detach, few.expand, few.capacity}) {
    CHECK(optional == nullptr);
  }
  for (const skep_call needed : {few.create, few.remove, few.get, few.list, few.validate,
                                 few.publish, few.unpublish, few.usage, few.mounts}) {
    CHECK(needed != nullptr);
  }
  CHECK(plain.table<skep_base_1>(SKEP_BASE_1).reconfigure == nullptr);
  CHECK_FALSE(plain.has(SKEP_LB_1));

  HostOf<Rich> rich;
  const auto& more = rich.table<skep_volume_1>(SKEP_VOLUME_1);
  CHECK(more.expand != nullptr);
  CHECK(more.detach != nullptr);
  CHECK(more.attach == nullptr);
  CHECK(rich.table<skep_base_1>(SKEP_BASE_1).reconfigure != nullptr);
  REQUIRE(rich.configure().status == SKEP_OK);
  CHECK(rich.volume(&skep_volume_1::expand, {{"volume", "v"}, {"capacity_bytes", 9}}).reply ==
        json{{"capacity_bytes", 9}});
  const json detach = {{"volume", "v"}, {"node", "n"}, {"force", true}};
  CHECK(rich.volume(&skep_volume_1::detach, detach).status == SKEP_E_PRECONDITION);
}

TEST_CASE("inside a method the log, the deadline and the cancellation belong to its operation") {
  Host host;
  REQUIRE(host.configure().status == SKEP_OK);
  host.deadline = 4711;
  host.looks_until_unwanted = 0;
  Obedient& driver = host.driver();
  CHECK(driver.deadline_ms() == -1);
  CHECK_FALSE(driver.cancelled());
  driver.log(SKEP_LOG_INFO, "outside");
  driver.on_create = [&](const CreateVolume&) {
    CHECK(driver.deadline_ms() == 4711);
    CHECK(driver.cancelled());
    driver.log(SKEP_LOG_INFO, "inside");
  };
  CHECK(create(host).status == SKEP_OK);
  CHECK(host.lines == std::vector<std::string>{"0:outside", "7:inside"});
}

TEST_CASE("an operation that is dropped on the way to a handled exception ends all the same") {
  HostOf<Forgetful> host;
  const auto dropped = host.base(&skep_base_1::capabilities);
  CHECK(dropped.status == SKEP_E_INTERNAL);
  CHECK(dropped.error == "the driver dropped the operation");
  CHECK(host.lines == std::vector<std::string>{"0:handled"});
}

TEST_CASE("note and descriptor say the same, from one line") {
  constexpr skep_note note = detail::note_of("my-id", "1.2.3", Rich::plugin_interfaces);
  CHECK(std::string(note.desc) ==
        "abi=1.0;host=0;id=my-id;ver=1.2.3;ifs=skep.base/1 skep.volume/1");
  CHECK(note.type == SKEP_NOTE_TYPE);
  CHECK(std::string(note.name) == "skep");
  constexpr skep_plugin plugin = detail::plugin_of<Rich>("my-id", "1.2.3", {.vendor = "me"});
  CHECK(std::string(plugin.interfaces) == "skep.base/1 skep.volume/1");
  CHECK(std::string(plugin.vendor) == "me");
  CHECK(plugin.options_schema == nullptr);
  CHECK(json::parse(plugin.config_schema).at("additionalProperties") == false);
}

}  // namespace skep::sdk::test
