// A driver in a process of its own that behaves: calls, order, streams, limits, its end.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/helper.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "sdk/host/spawner.hpp"
#include "tests/unit/plugin_host/helper_driver.hpp"

namespace {

using skep::host::Effect;
using skep::test::End;
using skep::test::fake_plugin;
using skep::test::HelperDriver;
using std::chrono::milliseconds;

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Living or dead, of any thread.
bool has_children() {
  bool any = false;
  DIR* tasks = opendir("/proc/self/task");
  while (const dirent* task = readdir(tasks)) {
    any = any || !file_text("/proc/self/task/" + std::string(task->d_name) + "/children").empty();
  }
  closedir(tasks);
  return any;
}

// The spawner reaps those that took a moment to die, and then closes their descriptor.
bool settled(const std::function<bool()>& state) {
  const auto until = std::chrono::steady_clock::now() + skep::test::patience;
  while (!state() && std::chrono::steady_clock::now() < until) poll(nullptr, 0, 1);
  return state();
}

size_t open_descriptors() {
  size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

// Whether the process has the text anywhere in memory of its own.
bool holds(pid_t process, const std::string& text) {
  const std::string folder = "/proc/" + std::to_string(process);
  std::ifstream maps(folder + "/maps");
  std::ifstream memory(folder + "/mem", std::ios::binary);
  REQUIRE(memory);
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0;
    uint64_t end = 0;
    std::array<char, 5> mode{};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, mode.data()) != 3) continue;
    if (std::string_view(mode.data()) != "rw-p") continue;
    if (end - begin > uint64_t{1} << 30) continue;  // a sanitizer's own, which holds no text
    std::string part(end - begin, '\0');
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(begin));
    memory.read(part.data(), static_cast<std::streamsize>(part.size()));
    if (part.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a helper says what its driver has, and answers from inside a call and from later") {
  HelperDriver driver("fake-behaviour");
  driver.until_ready();
  std::set<std::string> names;
  for (const auto* operation : driver.present) names.emplace(operation->name);
  CHECK(names == std::set<std::string>{"configure", "probe"});
  CHECK(driver.config_schema == "{}");
  CHECK(driver.end_of(driver.begin(BEHAVIOUR(echo), "{\"a\":1}")).reply == "{\"a\":1}");
  CHECK(driver.end_of(driver.begin(BEHAVIOUR(echo_later), "[2]")).reply == "[2]");
  CHECK(driver.end_of(driver.begin(BEHAVIOUR(fails), "{}")).status == SKEP_E_BUSY);
  const auto probe = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, probe);
  CHECK(driver.end_of(driver.begin(probe, "{}")).reply.find("warming up") != std::string::npos);
  const auto restore = SKEP_OPERATION(SKEP_BASE_1, skep_base_1, restore);
  const End absent = driver.end_of(driver.begin(restore, "{}"));
  CHECK(absent.status == SKEP_E_UNIMPLEMENTED);
  CHECK(absent.error == "driver fake-behaviour lacks the operation restore");
}

TEST_CASE("documents of every size arrive whole, both ways") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65536}, size_t{SKEP_REQUEST_MAX}}) {
    const std::string document(size, 'd');
    CHECK(driver.end_of(driver.begin(CRASHES(echo), document)).reply == document);
  }
  CHECK(driver.misbehave("much").reply == std::string(size_t{8} << 20, 'x'));
  const std::string large(SKEP_REQUEST_MAX + 1, 'd');
  CHECK(driver.end_of(driver.begin(CRASHES(echo), large)).status == SKEP_E_INVALID);
}

TEST_CASE("a helper forgets a request, and the secrets in it, when the call has ended") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  const std::string secret = "secret-" + std::to_string(getpid());
  CHECK(holds(driver.helper->pid(), "fake-crashes"));  // it can be found at all
  // In the usual buffer and beyond it; far from both ends, which a copy leaves in registers.
  for (const size_t size : {size_t{2'000}, size_t{100'000}}) {
    const std::string padding(size, 'p');
    const std::string request = "[\"" + padding + "\", \"" + secret + "\", \"" + padding + "\"]";
    CHECK(driver.end_of(driver.begin(CRASHES(echo), request)).reply == request);
    // The reply may be here before the thread that ran the call is done with it.
    CHECK(settled([&] { return !holds(driver.helper->pid(), secret); }));
  }
}

TEST_CASE("many calls at once all end, though the socket takes only some at a time") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  const std::string document(10'000, 'd');
  constexpr uint64_t count = 500;
  for (uint64_t number = 0; number < count; ++number) driver.begin(CRASHES(echo), document);
  CHECK(driver.turn_until([&] { return driver.ends.size() == count; }));
  for (const auto& [number, end] : driver.ends) CHECK(end.reply == document);
}

TEST_CASE("calls of one key come in order and alone, those of others overlap, others' too") {
  HelperDriver driver("fake-behaviour");
  driver.until_ready();
  for (int count = 0; count < 4; ++count) driver.begin(BEHAVIOUR(sleeps), "", "k");
  REQUIRE(driver.turn_until([&] { return driver.ends.size() == 4; }));
  CHECK(driver.ends[4].reply == "1");  // at most one was inside
  CHECK(driver.order == std::vector<uint64_t>{1, 2, 3, 4});
  for (const char* key : {"a", "b", "c", "d"}) driver.begin(BEHAVIOUR(sleeps), "", key);
  REQUIRE(driver.turn_until([&] { return driver.ends.size() == 8; }));
  CHECK(driver.ends[8].reply == "4");
  // What only reads is not held up by its key.
  auto reading = BEHAVIOUR(sleeps);
  reading.effect = Effect::reads;
  for (int count = 0; count < 6; ++count) driver.begin(reading, "", "k");
  REQUIRE(driver.turn_until([&] { return driver.ends.size() == 14; }));
  CHECK(std::stoi(driver.ends[14].reply) >= 5);
}

TEST_CASE("32 calls run at a time, and those behind them queue") {
  HelperDriver driver("fake-behaviour");
  driver.until_ready();
  constexpr uint64_t count = 80;
  for (uint64_t number = 0; number < count; ++number) {
    driver.begin(BEHAVIOUR(sleeps), "", "k" + std::to_string(number));
  }
  REQUIRE(driver.turn_until([&] { return driver.ends.size() == count; }));
  const int most = std::stoi(driver.ends[count].reply);
  CHECK(most <= 32);
  CHECK(most > 20);  // a busy machine may not bring all of them together
}

TEST_CASE("a hundred calls of one key keep their order") {
  HelperDriver driver("fake-behaviour");
  driver.until_ready();
  std::string wanted;
  for (int count = 0; count < 100; ++count) {
    const std::string letter(1, static_cast<char>('a' + count % 26));
    wanted += letter;
    driver.begin(BEHAVIOUR(order), letter, "k");
  }
  CHECK(driver.end_of(100).reply == wanted);
}

TEST_CASE("a stream's items come in order and before its end") {
  HelperDriver driver("fake-behaviour");
  driver.until_ready();
  CHECK(driver.end_of(driver.begin(BEHAVIOUR(items), "{}")).reply == "\"end\"");
  REQUIRE(driver.items.size() == 100);
  CHECK(driver.items.front() == "1 {\"n\":0}");
  CHECK(driver.items.back() == "1 {\"n\":99}");
}

TEST_CASE(
    "a stream is asked to pause after 256 items that nobody has read, and goes on when read") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  driver.begin(CRASHES(misbehave), "\"emit_until_pause\"");
  // Nobody reads meanwhile: the host does not turn.
  const auto until = std::chrono::steady_clock::now() + milliseconds(100);
  pollfd nothing{-1, 0, 0};
  while (std::chrono::steady_clock::now() < until) poll(&nothing, 1, 10);
  const int first = std::stoi(driver.end_of(1).reply);
  CHECK(first >= 257);
  CHECK(first < 2000);
  // One that ignores the request is held by the socket: its memory does not grow.
  const uint64_t stream = driver.begin(CRASHES(misbehave), "\"emit_without_end\"");
  REQUIRE(driver.turn_until([&] { return driver.item_count > 20'000; }));
  CHECK(driver.lives());
  driver.helper->cancel(stream);
  CHECK(driver.end_of(stream).status == SKEP_E_CANCELLED);
}

TEST_CASE("cancelling reaches the driver, and a call that has not begun is not made") {
  HelperDriver driver("fake-behaviour");
  driver.until_ready();
  const uint64_t waiting = driver.begin(BEHAVIOUR(until_cancelled), "{}");
  CHECK_FALSE(driver.turn_until([&] { return driver.ends.contains(waiting); }, milliseconds(50)));
  driver.helper->cancel(waiting);
  CHECK(driver.end_of(waiting).error == "as was asked");
  driver.begin(BEHAVIOUR(sleeps), "", "k");
  const uint64_t held = driver.begin(BEHAVIOUR(order), "never", "k");
  driver.helper->cancel(held);
  const End end = driver.end_of(held);
  CHECK(end.status == SKEP_E_CANCELLED);
  CHECK(end.error == "nobody waits for this call any more");
  CHECK(driver.end_of(driver.begin(BEHAVIOUR(order), "x")).reply == "x");
}

TEST_CASE("log lines carry operation and level, and the level is heard at once") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  CHECK(driver.misbehave("log").reply == "1");
  CHECK(driver.log == std::vector<std::string>{"1/2 a warning", "0/3 loud ?"});
  driver.helper->set_log_level(SKEP_LOG_DEBUG);
  CHECK(driver.misbehave("log").reply == "0");
  CHECK(driver.told("2/0 in detail"));
}

TEST_CASE("figures arrive added up, and what is printed arrives line by line") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  driver.misbehave("count");
  const std::map<std::string, int64_t> wanted = {{"turns", 5}, {"level.now", -4}};
  CHECK(driver.turn_until([&] { return driver.figures == wanted; }));
  driver.misbehave("print");
  REQUIRE(driver.turn_until([&] { return driver.output.size() >= 3; }));
  const std::set<std::string> lines(driver.output.begin(), driver.output.end());
  CHECK(lines == std::set<std::string>{"to standard error", "to standard output", "bad ? byte"});
}

TEST_CASE("a helper has five descriptors, limits, and the name of its plugin") {
  skep::host::HelperOptions options;
  options.limits.open_files = 77;
  options.limits.address_space_bytes = int64_t{300} << 20;
  HelperDriver driver("fake-crashes", options);
  driver.until_ready();
  CHECK(driver.misbehave("look_around").reply == "0 1 2 3c 4c ");
  const std::string process = "/proc/" + std::to_string(driver.helper->pid());
  const std::string limits = file_text(process + "/limits");
  CHECK(limits.find("Max open files            77 ") != std::string::npos);
#ifndef SKEP_SANITIZED
  CHECK(limits.find("Max address space         314572800 ") != std::string::npos);
#endif
  CHECK(limits.find("Max core file size        0 ") != std::string::npos);
  CHECK(file_text(process + "/comm") == "skep:fake-crash\n");
}

TEST_CASE(
    "a helper comes up with the least it may be limited to, and answers several calls at once") {
  const char* const plugin = GENERATE("fake-behaviour", "fake-throws");  // in C, in C++
  skep::host::HelperOptions options;
  options.limits.open_files = skep::host::open_files_min;
  options.limits.address_space_bytes = skep::host::address_space_min;
  HelperDriver driver(plugin, options);
  driver.until_ready();
  if (std::string(plugin) != "fake-behaviour") return;
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    driver.begin(BEHAVIOUR(sleeps), "", key);
  }
  CHECK(driver.turn_until([&] { return driver.ends.size() == 8; }));
  for (const auto& [number, end] : driver.ends) CHECK(end.status == SKEP_OK);
}

TEST_CASE("a helper that is asked to end destroys its instance and exits well") {
  HelperDriver driver("fake-behaviour");
  driver.until_ready();
  driver.begin(BEHAVIOUR(until_cancelled), "{}");
  driver.helper->end();
  CHECK(driver.how_lost() == "exited with code 0");
  CHECK(driver.ends[1].status == SKEP_E_CANCELLED);
  driver.helper->turn();  // nothing more comes
  driver.begin(BEHAVIOUR(echo), "{}");
  CHECK(driver.ends.size() == 1);
}

TEST_CASE("an instance is not destroyed while its driver's cancel hook is still running") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  const uint64_t number = driver.begin(CRASHES(misbehave), "\"slow_cancel\"");
  CHECK(driver.lives());
  driver.helper->cancel(number);
  CHECK(driver.end_of(number).error == "slowly");
  driver.helper->end();
  CHECK(driver.how_lost() == "exited with code 0");
  CHECK(driver.output == std::vector<std::string>{"destroyed"});
}

TEST_CASE("a helper that is asked to end twice destroys its instance once, to the end") {
  HelperDriver driver("fake-crashes");
  driver.until_ready();
  const uint64_t number = driver.begin(CRASHES(misbehave), "\"slow_cancel\"");
  CHECK(driver.lives());
  driver.helper->end();
  driver.helper->end();
  CHECK(driver.how_lost() == "exited with code 0");
  CHECK(driver.ends[number].error == "slowly");
  CHECK(driver.output == std::vector<std::string>{"destroyed"});
}

TEST_CASE("a library is refused in the helper with the sentence that it has in this process") {
  HelperDriver driver("fake-differs");
  CHECK(driver.how_lost() == "exited with code 0");
  REQUIRE(driver.refusal);
  CHECK(driver.refusal->message.rfind("note_differs: ", 0) == 0);
  CHECK(driver.refusal->kind == skep::ErrorKind::invalid);
  CHECK_FALSE(driver.is_ready);
}

TEST_CASE("a pinned library is mapped from its sealed copy, for a debugger from its path") {
  const auto file = skep::host::CheckedFile::open(fake_plugin("fake-behaviour"), std::nullopt);
  REQUIRE(file);
  const auto hash = skep::host::sha256_of(file->descriptor());
  REQUIRE(hash);
  for (const bool debug : {false, true}) {
    skep::host::HelperOptions options;
    options.debug = debug;
    HelperDriver driver("fake-behaviour", options, *hash);
    driver.until_ready();
    const std::string maps = file_text("/proc/" + std::to_string(driver.helper->pid()) + "/maps");
    CHECK((maps.find("/memfd:skep-plugin") != std::string::npos) == !debug);
    CHECK((maps.find(fake_plugin("fake-behaviour")) != std::string::npos) == debug);
  }
}

TEST_CASE("a helper enters its cgroup before it maps the library") {
  // An ordinary folder with the file that a cgroup has: what is written there is what counts.
  std::string folder = "/tmp/skep-plugin-host-XXXXXX";
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  std::ofstream(folder + "/cgroup.procs").close();
  skep::host::HelperOptions options;
  options.limits.cgroup = folder;
  HelperDriver("fake-behaviour", options).until_ready();
  CHECK(file_text(folder + "/cgroup.procs") == "0");
  std::filesystem::remove_all(folder);
}

TEST_CASE("a cgroup that can't be entered, and a program that is not there, are told") {
  skep::host::HelperOptions options;
  options.limits.cgroup = "/no/such/cgroup";
  HelperDriver driver("fake-behaviour", options);
  driver.how_lost();
  REQUIRE(driver.refusal);
  CHECK(driver.refusal->message ==
        "init_failed: the helper process could not enter the cgroup /no/such/cgroup (No such file "
        "or directory); change the plugin's limits");
  const skep::host::ChildPlan plan{"/no/such/program", "x", 0, 0, 0};
  const auto absent = skep::host::spawn_child(plan);
  REQUIRE_FALSE(absent);
  CHECK(absent.error().message ==
        "the helper program /no/such/program can't be started (No such file or directory); "
        "install it again");
}

TEST_CASE("a thousand helpers leave no descriptor and no dead process behind") {
  HelperDriver("fake-behaviour").until_ready();
  REQUIRE(settled([] { return !has_children(); }));
  const size_t before = open_descriptors();
  for (int count = 0; count < 1000; ++count) {
    HelperDriver driver("fake-behaviour");
    // Some are ended while they begin, some when they stand.
    if (count % 10 == 0) driver.until_ready();
  }
  CHECK(settled([&] { return !has_children() && open_descriptors() <= before; }));
  INFO(open_descriptors() << " descriptors, " << before << " before");
  CHECK_FALSE(has_children());
}
