// A helper process with somebody who polls it and writes down what came, for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/host/helper.hpp"
#include "tests/fakes/plugins/behaviour.h"
#include "tests/fakes/plugins/crashes.h"
#include "tests/unit/plugin_host/listener.hpp"

namespace skep::test {

inline host::Operation slot(std::string_view interface, std::string_view name, size_t offset,
                            host::Effect effect = host::Effect::changes) {
  host::Operation operation;
  operation.interface = interface;
  operation.name = name;
  operation.offset = static_cast<uint32_t>(offset);
  operation.effect = effect;
  return operation;
}
#define BEHAVIOUR(field) \
  ::skep::test::slot(SKEP_TEST_BEHAVIOUR, #field, offsetof(skep_test_behaviour, field))
#define CRASHES(field) \
  ::skep::test::slot(SKEP_TEST_CRASHES, #field, offsetof(skep_test_crashes, field))

#ifdef SKEP_SANITIZED
constexpr std::chrono::milliseconds patience{60'000};
#else
constexpr std::chrono::milliseconds patience{10'000};
#endif

class HelperDriver : public host::HelperEvents {
 public:
  explicit HelperDriver(const std::string& plugin, host::HelperOptions options = {},
                        const std::optional<std::string>& sha256 = std::nullopt) {
    Result<host::CheckedFile> file = host::CheckedFile::open(fake_plugin(plugin), sha256);
    if (!file) FAIL(file.error().message);
    Result<host::PluginIdentity> identity = host::read_note(*file);
    if (!identity) FAIL(identity.error().message);
    spawn(*file, *identity, plugin, std::move(options));
  }
  // The same for a driver whose note nobody reads.
  HelperDriver(const std::string& plugin, const host::PluginIdentity& identity) {
    Result<host::CheckedFile> file = host::CheckedFile::open(fake_plugin(plugin), std::nullopt);
    if (!file) FAIL(file.error().message);
    spawn(*file, identity, plugin, {});
  }

  void spawn(const host::CheckedFile& file, const host::PluginIdentity& identity,
             const std::string& plugin, host::HelperOptions options) {
    if (options.program.empty()) options.program = SKEP_TEST_PLUGIN_HOST;
    if (options.name.empty()) options.name = plugin;
    auto spawned = host::Helper::spawn(file, identity, options, *this);
    if (!spawned) FAIL(spawned.error().message);
    helper = std::move(*spawned);
  }

  // Turns until `done` or the patience is over; whether it is done.
  bool turn_until(const std::function<bool()>& done, std::chrono::milliseconds at_most = patience) {
    const auto end = std::chrono::steady_clock::now() + at_most;
    while (!done()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      pollfd waiting{helper->descriptor(), POLLIN, 0};
      poll(&waiting, 1, static_cast<int>(left.count()));
      helper->turn();
    }
    return true;
  }
  void until_ready() {
    REQUIRE(turn_until([this] { return is_ready || is_lost || refusal; }));
    INFO(how);
    REQUIRE(is_ready);
  }
  uint64_t begin(const host::Operation& operation, const std::string& request,
                 const std::string& key = {}, int64_t deadline_ms = host::no_deadline) {
    helper->call(operation, ++last, key, deadline_ms, request);
    return last;
  }
  // The end of operation `number`, which is waited for.
  End end_of(uint64_t number, std::chrono::milliseconds at_most = patience) {
    if (!turn_until([&] { return is_lost || ends.contains(number); }, at_most)) return {};
    return ends.contains(number) ? ends[number] : End{number, SKEP_E_PLUGIN_LOST, {}, how};
  }
  End misbehave(const std::string& way, std::chrono::milliseconds at_most = patience) {
    return end_of(begin(CRASHES(misbehave), "\"" + way + "\""), at_most);
  }
  bool lives() { return end_of(begin(CRASHES(echo), "1")).reply == "1"; }
  std::string how_lost() {
    REQUIRE(turn_until([this] { return is_lost; }));
    return how;
  }
  bool told(const std::string& what) const {
    return std::any_of(log.begin(), log.end(), [&](const std::string& line) {
      return line.find(what) != std::string::npos;
    });
  }

  void ready(const std::vector<const host::Operation*>& operations, std::string_view config,
             std::string_view options, uint32_t flag_bits) override {
    is_ready = true;
    present = operations;
    config_schema = config;
    options_schema = options;
    flags = flag_bits;
  }
  void refused(Error reason) override { refusal = std::move(reason); }
  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error) override {
    ends[number] = {number, status, std::string(reply), std::string(error)};
    order.push_back(number);
  }
  void emitted(uint64_t number, std::string_view item) override {
    ++item_count;
    if (items.size() < 1000) items.push_back(std::to_string(number) + " " + std::string(item));
  }
  void logged(uint64_t number, int32_t level, std::string_view message) override {
    ++log_count;
    if (log.size() < 1000 || message.find(" dropped") != std::string_view::npos) {
      log.push_back(std::to_string(number) + "/" + std::to_string(level) + " " +
                    std::string(message));
    }
  }
  void printed(std::string_view line) override {
    ++printed_count;
    if (output.size() < 2000) output.emplace_back(line);
  }
  void metric(std::string_view name, int64_t value, bool set) override {
    int64_t& figure = figures[std::string(name)];
    figure = set ? value : figure + value;
  }
  void lost(std::string_view reason) override {
    CHECK_FALSE(is_lost);
    is_lost = true;
    how = reason;
    lost_at = std::chrono::steady_clock::now();
  }

  std::unique_ptr<host::Helper> helper;
  uint64_t last = 0;
  bool is_ready = false;
  bool is_lost = false;
  std::string how;
  std::chrono::steady_clock::time_point lost_at;
  std::optional<Error> refusal;
  std::vector<const host::Operation*> present;
  std::string config_schema;
  std::string options_schema;
  uint32_t flags = 0;
  std::map<uint64_t, End> ends;
  std::vector<uint64_t> order;
  std::vector<std::string> items;
  std::vector<std::string> log;
  std::vector<std::string> output;
  std::map<std::string, int64_t> figures;
  size_t item_count = 0;
  size_t log_count = 0;
  size_t printed_count = 0;
};

}  // namespace skep::test
