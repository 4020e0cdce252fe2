// What `skep plugin inspect FILE` finds out: all that is wrong at once, and nothing is ever run.
// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/plugin/file_report.hpp"
#include "tests/unit/temporary_folder.hpp"

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using skep::Result;
using skep::cli::examine_plugin_file;
using skep::cli::PluginFileReport;

namespace {

namespace fs = std::filesystem;

std::string built(const std::string& name) {
  return std::string(SKEP_TEST_PLUGINS) + "/" + name + ".so";
}

PluginFileReport examined(const std::string& path) {
  Result<PluginFileReport> report = examine_plugin_file(path);
  if (!report) FAIL(report.error().message);
  return std::move(*report);
}

using Folder = skep::testing::TemporaryFolder;

}  // namespace

TEST_CASE("a good plugin's page tells who it is and that nothing is wrong") {
  const PluginFileReport report = examined(built("fake-behaviour"));
  REQUIRE(report.identity);
  CHECK(report.identity->id == "fake-behaviour");
  REQUIRE(report.elf);
  CHECK(report.elf->exported == std::vector<std::string>{"skep_plugin_query"});
  CHECK(report.elf->unique.empty());
  CHECK_FALSE(report.elf->writable_code);
  CHECK_FALSE(report.elf->text_relocations);
  CHECK(report.sha256.size() == 64);
  CHECK(report.places.front().path == built("fake-behaviour"));
  CHECK(report.places.back().path == "/");
  CHECK(report.problems.empty());
  CHECK(report.warnings.empty());
  const std::string page = to_text(report);
  CHECK_THAT(page, Contains("Plugin:      fake-behaviour 1.0\n"));
  CHECK_THAT(page, Contains("Exports:     1 symbol (skep_plugin_query)\n"));
  const skep::cli::Json document = to_json(report);
  CHECK(document["interfaces"] == skep::cli::Json({"skep.base/1", "skep.x-test/1"}));
  CHECK(document["problems"].empty());
}

TEST_CASE("a plugin that ends its process when it is loaded can be looked at") {
  // Both would abort in a constructor; the note alone condemns them.
  CHECK_THAT(examined(built("fake-old-abi")).problems.at(0), StartsWith("abi_major: "));
  CHECK_THAT(examined(built("fake-new-host")).problems.at(0), StartsWith("host_too_old: "));
  const PluginFileReport report = examined(built("fake-no-note"));
  REQUIRE(report.problems.size() == 1);
  CHECK_THAT(report.problems[0], StartsWith("no_note: "));
  CHECK(report.elf);
  CHECK_THAT(to_text(report), Contains("Problems:\n  no_note: "));
}

TEST_CASE("what a plugin exports beside its entry is told, unique symbols too") {
  const PluginFileReport report = examined(built("fake-exports-much"));
  CHECK(report.problems.empty());
  REQUIRE(report.elf);
  CHECK(report.elf->unique == std::vector<std::string>{"shared_by_accident"});
  REQUIRE(report.warnings.size() == 2);
  CHECK_THAT(report.warnings[0], StartsWith("extra_symbols: ") && Contains("exports 2 symbols"));
  CHECK_THAT(report.warnings[1], StartsWith("unique_symbols: ") && Contains("shared_by_accident"));
}

TEST_CASE("a shared object without the entry can't be a plugin") {
  const PluginFileReport report = examined(SKEP_TEST_NO_PLUGIN);
  REQUIRE(report.problems.size() == 2);
  CHECK_THAT(report.problems[0], StartsWith("no_note: "));
  CHECK_THAT(report.problems[1], StartsWith("missing_symbol: "));
}

TEST_CASE("every fault of owner and mode is told at once, with its remedy") {
  const Folder folder;
  const std::string path = folder.path() + "/copy.so";
  fs::copy_file(built("fake-behaviour"), path);
  chmod(path.c_str(), 0666);
  chmod(folder.path().c_str(), 0777);
  const PluginFileReport report = examined(path);
  REQUIRE(report.problems.size() == 2);
  CHECK_THAT(report.problems[0], StartsWith("bad_mode: " + path + " can be written"));
  CHECK_THAT(report.problems[1], StartsWith("bad_mode: " + folder.path() + " can be written"));
  CHECK_THAT(report.problems[1], Contains("; run chmod go-w on it"));
  CHECK_THAT(to_text(report), Contains("  BAD  "));
  CHECK(to_json(report)["places"][1]["ok"] == false);
  CHECK(to_json(report)["places"][2]["ok"] == true);  // /tmp: sticky and root's
}

TEST_CASE("what is no file, or no shared object, is told in the loader's own words") {
  const Folder folder;
  const auto refusal = [](const std::string& path) {
    const Result<PluginFileReport> report = examine_plugin_file(path);
    return report ? report->problems.at(0) : report.error().message;
  };
  CHECK_THAT(refusal(folder.path() + "/none.so"), StartsWith("not_a_file: "));
  CHECK_THAT(refusal(folder.path()), StartsWith("not_a_file: "));
  REQUIRE(symlink(built("fake-behaviour").c_str(), (folder.path() + "/link.so").c_str()) == 0);
  CHECK_THAT(refusal(folder.path() + "/link.so"), Contains("is a symbolic link"));
  const std::string text = folder.path() + "/text.so";
  std::ofstream(text) << "hello";
  CHECK_THAT(refusal(text), StartsWith("not_elf: "));
  CHECK(examined(text).problems.size() == 1);
}

TEST_CASE("a file cut short anywhere is a sentence, never a crash") {
  const Folder folder;
  const std::string path = folder.path() + "/cut.so";
  fs::copy_file(built("fake-behaviour"), path);
  for (uintmax_t length = fs::file_size(path); length > 16; length = length * 9 / 10) {
    fs::resize_file(path, length - 1);
    CHECK_FALSE(examined(path).problems.empty());
  }
}
