// `skep plugin run` as a script, over real drivers in real helper processes.
//
// What a driver says of its own number, folder and times differs from run to run, so answers are
// looked for, not compared whole.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "cli/plugin/console.hpp"
#include "tests/unit/temporary_folder.hpp"

using Catch::Matchers::Contains;
using skep::Result;
using skep::cli::ConsoleOptions;
using skep::cli::run_console;

namespace {

namespace fs = std::filesystem;

struct Ran {
  Result<int> outcome = 0;
  std::string output;
};

Ran run(const std::string& script, ConsoleOptions options) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(write(ends[1], script.data(), script.size()) == static_cast<ssize_t>(script.size()));
  close(ends[1]);
  if (options.host_program.empty()) options.host_program = SKEP_TEST_PLUGIN_HOST;
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  REQUIRE(out != nullptr);
  Ran ran;
  ran.outcome = run_console(options, ends[0], out);
  std::fclose(out);
  close(ends[0]);
  ran.output.assign(text, size);
  std::free(text);
  return ran;
}

Ran volume(const std::string& script, ConsoleOptions options = {}) {
  options.file = SKEP_TEST_VOLUME_PLUGIN;
  return run(script, std::move(options));
}

Ran runtime(const std::string& script, ConsoleOptions options = {}) {
  options.file = std::string(SKEP_TEST_PLUGINS) + "/fake-console.so";
  return run(script, std::move(options));
}

int code(const Ran& ran) {
  INFO(ran.output);
  if (!ran.outcome) FAIL(ran.outcome.error().message);
  return *ran.outcome;
}

// The folder of the first line.
std::string folder_of(const Ran& ran) {
  const std::string before = "its folders below ";
  const size_t at = ran.output.find(before) + before.size();
  return ran.output.substr(at, ran.output.find('\n', at) - at);
}

using Folder = skep::testing::TemporaryFolder;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Waits until the file holds `text`; false when it takes too long.
bool shows(const std::string& path, const std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (text_of(path).find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

constexpr const char* kRecovery =
    "create {\"volume\": \"a\"}\n"
    "publish {\"volume\": \"a\", \"holder\": \"c1\", \"holders\": []}\n"
    "kill\n"
    "restart\n"
    "! remove {\"volume\": \"a\"}\n";

}  // namespace

TEST_CASE("a script is echoed and answered, and does what it says") {
  for (const bool in_process : {false, true}) {
    const Ran ran =
        volume("# nothing\n\ncreate {\"volume\": \"a\"}\nlist\n", {.in_process = in_process});
    CHECK(code(ran) == 0);
    CHECK_THAT(ran.output, Contains("ready\n> create {\"volume\": \"a\"}\n{\n    \"handle\": "));
    CHECK_THAT(ran.output, Contains("> list\n") && Contains("\"volume\": \"a\""));
    CHECK_THAT(ran.output, !Contains("# nothing") && !Contains("error"));
    CHECK_FALSE(fs::exists(folder_of(ran)));
  }
}

TEST_CASE("a driver that was killed is started again and told of its objects and their holders") {
  const Ran ran = volume(kRecovery);
  CHECK(code(ran) == 0);
  CHECK_THAT(ran.output, Contains("> kill\nkilled\n> restart\n"));
  CHECK_THAT(ran.output, Contains("> restore {\"id\":\"a\",\"handle\":") &&
                             Contains(",\"holders\":[\"c1\"]}\nready\n"));
  CHECK_THAT(ran.output, Contains("error BUSY: ") && Contains("c1"));
}

TEST_CASE("a script ends with 1 when a line failed, or did not fail though it had to") {
  CHECK(code(volume("get {\"volume\": \"none\"}\n")) == 1);
  CHECK(code(volume("! get {\"volume\": \"none\"}\n")) == 0);
  const Ran surprising = volume("! list\n");
  CHECK(code(surprising) == 1);
  CHECK_THAT(surprising.output, Contains("error: it should have failed"));
  CHECK(code(volume("lst\n")) == 1);
  CHECK(code(volume("list {\n")) == 1);
  CHECK(code(volume("restart")) == 0);  // no newline at the end
  CHECK(code(volume("kill\nlist\n")) == 1);
  CHECK(code(volume("quit\nlst\n")) == 0);
  CHECK(code(volume("kill\n", {.in_process = true})) == 1);
}

TEST_CASE("folders that are to be kept are kept, and the next run finds what this one left") {
  const Folder folder;
  CHECK(code(volume("create {\"volume\": \"kept\"}\n", {.keep = folder.path()})) == 0);
  const Ran again = volume("list\n", {.keep = folder.path()});
  CHECK(code(again) == 0);
  CHECK_THAT(again.output, Contains("> restore {\"id\":\"kept\","));
  CHECK_THAT(again.output, Contains("\"volume\": \"kept\""));
  std::ofstream(folder.path() + "/objects") << "nonsense";
  const Ran wrong = volume("list\n", {.keep = folder.path()});
  REQUIRE_FALSE(wrong.outcome);
  CHECK_THAT(wrong.outcome.error().message, Contains("/objects: this is no list of objects"));
}

TEST_CASE("a driver that is watched is started anew, with its objects, when its file has changed") {
  const Folder folder;
  const std::string plugin = folder.path() + "/watched.so";
  const std::string seen = folder.path() + "/output";
  fs::copy_file(SKEP_TEST_VOLUME_PLUGIN, plugin);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  // Types, builds anew and waits for what comes of it, while the console runs on this thread.
  std::thread author([&] {
    const std::string create = "create {\"volume\": \"a\"}\n";
    bool done = write(ends[1], create.data(), create.size()) > 0 && shows(seen, "\"handle\"");
    fs::copy_file(SKEP_TEST_VOLUME_PLUGIN, plugin + ".new");
    fs::rename(plugin + ".new", plugin);
    done = done && shows(seen, "> restore {\"id\":\"a\"");
    done = done && write(ends[1], "list\n", 5) > 0 && shows(seen, "\"volumes\"");
    close(ends[1]);
    CHECK(done);
  });
  std::FILE* out = std::fopen(seen.c_str(), "w");
  const Result<int> outcome = run_console(
      {.file = plugin, .host_program = SKEP_TEST_PLUGIN_HOST, .watch = true}, ends[0], out);
  author.join();
  std::fclose(out);
  close(ends[0]);
  REQUIRE(outcome);
  CHECK(*outcome == 0);
  CHECK_THAT(text_of(seen), Contains("the file has changed\nvolume-dir-c"));
}

TEST_CASE("a driver that dies is told with its signal, fails the script, and can be restarted") {
  const Ran ran = runtime("inspect {\"id\": \"a\"}\nlist\nrestart\nlist\n");
  CHECK(code(ran) == 1);
  CHECK_THAT(ran.output, Contains("the driver's process is gone: killed by signal 6"));
  CHECK_THAT(ran.output, Contains("> list\nerror: the driver's process is gone"));
  CHECK_THAT(ran.output, Contains("> restart\nconsole-runtime 1.0 in process"));
  CHECK_THAT(ran.output, Contains("\"containers\": []"));
}

TEST_CASE("a stream's items are shown until the script has listened long enough") {
  const Ran ran = runtime("events\n", {.stream_for_ms = 50});
  CHECK(code(ran) == 0);
  CHECK_THAT(ran.output, Contains("\"seq\":1,") && Contains("\"seq\":2,"));
  CHECK_THAT(ran.output, Contains("error CANCELLED: the host asked for it"));
}

TEST_CASE("a call that outlives its deadline is cancelled, and given up when that is not heard") {
  const Ran heard = runtime("! events\n", {.deadline_ms = 50});
  CHECK(code(heard) == 0);
  CHECK_THAT(heard.output, Contains("error CANCELLED: "));
  const Ran deaf = runtime("signal {\"id\": \"a\"}\nlist\n", {.deadline_ms = 50});
  CHECK(code(deaf) == 1);
  CHECK_THAT(deaf.output, Contains("error: no answer, not even to the cancel"));
  CHECK_THAT(deaf.output, Contains("\"containers\": []"));
}

TEST_CASE("what the driver logs stands beside the answer, from the level that was asked for") {
  const Ran ran = runtime("list\nlog debug\nlist\nlog loud\n");
  CHECK(code(ran) == 1);
  const std::string first = ran.output.substr(0, ran.output.find("> log debug"));
  CHECK_THAT(first, Contains("  warning: a warning\n") && !Contains("a detail"));
  CHECK_THAT(ran.output.substr(first.size()), Contains("  debug: a detail\n"));
  CHECK_THAT(ran.output, Contains("not_ready: only a fake"));
  CHECK_THAT(ran.output, Contains("error: log wants debug, info, warning or error"));
}

TEST_CASE("the configuration that is given reaches the driver, and what is none is refused") {
  const Ran ran = runtime("dump\n", {.config = R"({"a": [1]})"});
  CHECK(code(ran) == 0);
  CHECK_THAT(ran.output, Contains("> dump\n{\n    \"a\": ["));
  CHECK_FALSE(volume("", {.config = "[]"}).outcome);
  const Ran refused = volume("", {.config = R"({"root": 5})"});
  REQUIRE_FALSE(refused.outcome);
  CHECK_THAT(refused.outcome.error().message, Contains("configure: INVALID: "));
}

TEST_CASE("what can't be loaded is refused before any line is read") {
  const auto refusal = [](ConsoleOptions options) {
    const Ran ran = run("list\n", std::move(options));
    return ran.outcome ? "loaded" : ran.outcome.error().message;
  };
  CHECK_THAT(refusal({.file = "/nowhere.so"}), Contains("not_a_file: "));
  CHECK_THAT(refusal({.file = std::string(SKEP_TEST_PLUGINS) + "/fake-differs.so"}),
             Contains("note_differs: "));
  CHECK_THAT(refusal({.file = SKEP_TEST_VOLUME_PLUGIN, .in_process = true, .watch = true}),
             Contains("--watch and --in-process exclude each other"));
}
