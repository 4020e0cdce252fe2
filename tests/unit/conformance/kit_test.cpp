// The kit as a program: what it runs, what it prints, how it ends, and what it leaves behind.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "sdk/conformance/case.hpp"
#include "sdk/conformance/child.hpp"
#include "sdk/conformance/kit.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace {

using namespace skep::conformance;

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

Ran run(std::vector<std::string> words) {
  words.insert(words.end(), {"--host", SKEP_TEST_PLUGIN_HOST});
  std::ostringstream out;
  std::ostringstream err;
  const int code = kit_main(words, out, err);
  return {code, out.str(), err.str()};
}

std::string fake(const std::string& name) {
  return std::string(SKEP_TEST_WRONG) + "/wrong-" + name + ".so";
}

using Folder = skep::testing::TemporaryFolder;

// Notes in a file where its cases leave things, and can't take them away from a folder that says
// so.
class LeavingKind : public Kind {
 public:
  explicit LeavingKind(std::string notes) : notes_(std::move(notes)) {}
  std::string_view name() const override { return "leaving"; }
  skep::Status prepare(Run&) const override { return {}; }
  skep::Result<Object> object(Run&, int) const override { return Object(); }
  std::vector<Step> life(const Driver&) const override { return {}; }
  json altered(const Object&) const override { return nullptr; }
  skep::Result<std::vector<std::string>> existing(Run&, Driver&) const override {
    return std::vector<std::string>();
  }
  std::vector<Case> cases() const override { return {}; }
  skep::Status take_leavings_away(Run& run) const override {
    std::ofstream(notes_, std::ios::app) << run.scratch() << "\n";
    const bool stuck = std::filesystem::exists(run.scratch() + "/stuck");
    return run.that(!stuck, "it can be taken away", "it is stuck");
  }

 private:
  std::string notes_;
};

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("a case that fails prints its rule, the call, what was expected and what came") {
  const Ran ran = run({fake("volumes-removes-what-is-held"), "--filter", "volume.remove.held"});
  CHECK(ran.code == 1);
  CHECK(ran.out.find("FAIL  volume.remove.held") != std::string::npos);
  CHECK(ran.out.find("volume.h remove: a held volume is BUSY") != std::string::npos);
  CHECK(ran.out.find("rule 36: the host counts holders") != std::string::npos);
  CHECK(ran.out.find("operation: remove of skep.volume/1") != std::string::npos);
  CHECK(ran.out.find("request:   {") != std::string::npos);
  CHECK(ran.out.find("expected:  the error BUSY") != std::string::npos);
  CHECK(ran.out.find("came:      OK {}") != std::string::npos);
  CHECK(ran.out.find("0 passed, 1 failed, 0 skipped") != std::string::npos);
}

TEST_CASE("a watch that the filter did not select still tells what was seen") {
  const Ran ran = run({fake("volumes-completes-twice"), "--filter", "volume.usage"});
  CHECK(ran.code == 1);
  CHECK(ran.out.find("FAIL  generic.watch.completion") != std::string::npos);
  CHECK(ran.out.find("(during volume.usage)") != std::string::npos);
}

TEST_CASE("a crash in-process costs one case, and names the operation") {
  const Ran ran =
      run({fake("volumes-crashes-on-large-requests"), "--in-process", "--filter", "volume.[fl]*"});
  CHECK(ran.code == 1);
  CHECK(ran.out.find("FAIL  volume.fuzz.large") != std::string::npos);
  CHECK(ran.out.find("killed by signal 6") != std::string::npos);
  CHECK(ran.out.find("ok    volume.list.pages") != std::string::npos);
}

TEST_CASE("one case in-process runs in the kit's own process, for a debugger") {
  const Ran ran = run({fake("volumes-nothing"), "--in-process", "--filter", "volume.usage"});
  CHECK(ran.code == 0);
  CHECK(text_of("/proc/self/maps").find("wrong-volumes-nothing.so") != std::string::npos);
}

TEST_CASE("a JUnit file has every case") {
  const Folder folder;
  const std::string path = folder.path() + "/report.xml";
  const Ran ran = run({fake("volumes-removes-what-is-held"), "--filter", "volume.rem*,*.bad-option",
                       "--junit", path});
  CHECK(ran.code == 1);
  const std::string xml = text_of(path);
  CHECK(xml.find("<testsuite name=") != std::string::npos);
  CHECK(xml.find("failures=\"1\"") != std::string::npos);
  CHECK(xml.find("name=\"volume.remove.unknown\"") != std::string::npos);
  CHECK(xml.find("<failure message=\"came:      OK {}\">") != std::string::npos);
  const std::string reason = "the profile has no &quot;volume&quot;.&quot;bad_option&quot;";
  CHECK(xml.find("<skipped message=\"" + reason + "\"/>") != std::string::npos);
  const Ran nowhere = run({fake("volumes-nothing"), "--filter", "volume.usage", "--junit",
                           folder.path() + "/no/such/folder.xml"});
  CHECK(nowhere.code == exit_cannot_run);
  CHECK(nowhere.err.find("can't be written") != std::string::npos);
}

TEST_CASE("--list prints the cases with their rules and runs nothing") {
  const Ran ran = run({fake("volumes-nothing"), "--list"});
  CHECK(ran.code == 0);
  CHECK(ran.out.find("volume.crash.during") != std::string::npos);
  CHECK(ran.out.find("[35, 34] killed during each step") != std::string::npos);
  CHECK(ran.out.find("lb.apply") == std::string::npos);
  const Ran one = run({fake("volumes-nothing"), "--list", "--filter", "volume.usage"});
  CHECK(std::ranges::count(one.out, '\n') == 1);
}

TEST_CASE("a profile's configuration, options and skips are used") {
  const Folder folder;
  const std::string path = folder.path() + "/profile.json";
  std::ofstream(path) << R"({"config": {"color": 5}, "skip": {"volume.u*": "not today"}})";
  const Ran wrong = run({fake("volumes-nothing"), "--profile", path, "--filter", "*.good"});
  CHECK(wrong.code == 1);
  CHECK(wrong.out.find("INVALID: config: color is no text") != std::string::npos);
  const Ran skipped = run({fake("volumes-nothing"), "--profile", path, "--config",
                           R"({"color": "blue"})", "--filter", "volume.us*"});
  CHECK(skipped.code == 0);
  CHECK(skipped.out.find("not today") != std::string::npos);
}

TEST_CASE("what can't run ends with 2 and one sentence") {
  const auto refused = [](const std::vector<std::string>& words, const std::string& sentence) {
    const Ran ran = run(words);
    INFO(ran.err);
    CHECK(ran.code == exit_cannot_run);
    CHECK(ran.err.find(sentence) != std::string::npos);
    CHECK(std::ranges::count(ran.err, '\n') == 1);
  };
  refused({}, "the driver's file is missing; see --help");
  refused({fake("volumes-nothing"), "--no-such"}, "there is no option --no-such");
  refused({fake("volumes-nothing"), "other.so"}, "one file at a time");
  refused({"/no/such/driver.so"}, "can't be opened");
  refused({SKEP_TEST_PLUGIN_HOST}, "no_note");
  refused({fake("volumes-nothing"), "--kind", "lb"}, "is no lb driver");
  refused({fake("volumes-nothing"), "--filter", "no.such*"}, "no case matches \"no.such*\"");
  refused({fake("volumes-nothing"), "--config", "[]"}, "the configuration is not a JSON object");
  refused({fake("volumes-nothing"), "--profile", "/no/such"}, "the profile /no/such can't be read");
  refused({fake("volumes-nothing"), "--scratch", "/no/such"}, "no folder for scratch files");
  refused({fake("volumes-nothing"), "--patience-ms=soon"}, "is no number of milliseconds");
}

TEST_CASE("nothing is left in the scratch folder, not even after a crash") {
  const Folder folder;
  const Ran ran =
      run({fake("volumes-never-unmounts"), "--scratch", folder.path(), "--filter", "volume.[pu]*"});
  CHECK(ran.code == 1);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("what a failed case left is taken away before the next one, and only that") {
  const Folder folder;
  const std::string notes = folder.path() + "/notes";
  const LeavingKind kind(notes);
  const Plugin plugin;
  const auto ended = [&](const std::string& name, std::function<skep::Status(Run&)> body) {
    Case one;
    one.name = name;
    one.kind = &kind;
    one.limit_s = 1;
    one.run = std::move(body);
    const std::string scratch = folder.path() + "/" + name;
    Ended outcome = run_apart(plugin, one, scratch);
    CHECK_FALSE(std::filesystem::exists(scratch));
    return outcome;
  };
  const auto noted = [&](const std::string& name) {
    return text_of(notes).find(folder.path() + "/" + name + "\n") != std::string::npos;
  };
  CHECK(ended("passed", [](Run&) { return skep::Status(); }).verdict == Verdict::passed);
  CHECK(ended("skipped", [](Run& run) { return run.skip("no"); }).verdict == Verdict::skipped);
  CHECK(text_of(notes).empty());

  const Ended failed = ended("failed", [](Run& run) { return run.that(false, "this", "that"); });
  CHECK(failed.verdict == Verdict::failed);
  CHECK(failed.text == "expected:  this\ncame:      that");
  CHECK(noted("failed"));
  const auto dies = [](Run&) -> skep::Status { _exit(3); };
  CHECK(ended("died", dies).text.find("exited with code 3") != std::string::npos);
  CHECK(noted("died"));
  const auto overstays = [](Run&) -> skep::Status {
    for (;;) pause();
  };
  CHECK(ended("overstayed", overstays).text.find("none within 1 s") != std::string::npos);
  CHECK(noted("overstayed"));

  const auto leaves_much = [](Run& run) {
    std::ofstream(run.scratch() + "/stuck") << "much";
    return run.that(false, "this", "that");
  };
  CHECK(ended("stuck", leaves_much).text ==
        "expected:  this\ncame:      that\nand what it left could not be taken away:\n"
        "expected:  it can be taken away\ncame:      it is stuck");
}

TEST_CASE("an answer is not waited for longer than the user is patient, whatever the case asks") {
  const Folder folder;
  KitOptions options;
  options.file = fake("volumes-forgets-to-complete");
  options.host_program = SKEP_TEST_PLUGIN_HOST;
  options.patience_ms = 2'000;
  const skep::Result<Plugin> plugin = plugin_of(options);
  REQUIRE(plugin.has_value());
  std::vector<Observation> seen;
  Driver driver(*plugin, Mode::process, folder.path() + "/driver", seen);
  REQUIRE(driver.start().has_value());
  CallOptions long_call;
  long_call.patience_ms = 20'000;
  const skep::host::Operation* const usage = skep::host::find_operation(SKEP_VOLUME_1, "usage");
  REQUIRE(usage != nullptr);
  const Outcome outcome = driver.call(*usage, {{"volume", "v"}}, long_call);
  CHECK_FALSE(outcome.answered);
  CHECK(outcome.took_ms < 20'000);
  driver.kill();
}
