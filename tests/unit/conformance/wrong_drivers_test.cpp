// Every mistake is found by the case of the rule it breaks, and no unrelated case complains.
//
// The table is rows.hpp: a row names a fake of tests/fakes/wrong, the cases that must fail with it,
// and those that may. A fake without a row fails the test, and so does a row without its fake.
// SPDX-License-Identifier: Apache-2.0
#include <fnmatch.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "sdk/conformance/kit.hpp"
#include "tests/unit/conformance/rows.hpp"

namespace {

namespace fs = std::filesystem;
using namespace skep::conformance;
using namespace skep::conformance::test;

std::string path_of(const std::string& fake) {
  return std::string(SKEP_TEST_WRONG) + "/wrong-" + fake + ".so";
}

// What a driver leaves on the node's network must not be there for the next one, nor ever be the
// machine's.
void leave_the_network() {
  REQUIRE(unshare(CLONE_NEWNET) == 0);
}

KitReport report_of(const std::string& fake, Mode mode, const std::string& look,
                    int64_t patience_ms, std::ostream& out, const std::string& profile = {}) {
  KitOptions options;
  options.file = path_of(fake);
  options.mode = mode;
  options.host_program = SKEP_TEST_PLUGIN_HOST;
  options.filter = look;
  options.patience_ms = patience_ms;
  options.profile = profile;
  const skep::Result<KitReport> report = run_kit(options, out);
  if (!report) FAIL(report.error().message);
  return *report;
}

void check_row(const Row& row, const std::string& look, const std::string& profile = {}) {
  std::ostringstream out;
  const KitReport report = report_of(row.fake, row.mode, look, row.patience_ms, out, profile);
  std::set<std::string> failed;
  for (const CaseResult& result : report.cases) {
    if (result.verdict == Verdict::failed) failed.insert(result.name);
  }
  INFO(row.fake << "\n" << out.str());
  for (const std::string& name : row.must) {
    INFO("must fail: " << name);
    CHECK(failed.erase(name) == 1);
  }
  for (const std::string& name : failed) {
    INFO("failed too: " << name);
    CHECK(std::ranges::any_of(row.may, [&](const std::string& glob) {
      return fnmatch(glob.c_str(), name.c_str(), 0) == 0;
    }));
  }
}

void check_group(const Group& group) {
  for (const Row& row : group.rows) check_row(row, group.look);
}

void check_network_group(const Group& group) {
  for (const Row& row : group.rows) {
    leave_the_network();
    check_row(row, group.look);
  }
}

// What runs as a container of one fake, below a control group and a folder of its own; all of it
// ends with this.
class Containers {
 public:
  Containers() : folder_((fs::temp_directory_path() / "wrong-containers-XXXXXX").string()) {
    REQUIRE(mkdtemp(folder_.data()) != nullptr);
    std::ofstream(profile()) << R"({"config": {"state": ")" << folder_ << R"(/state"},
      "runtime": {"image": "plain", "cgroup_parent": "/)"
                             << name() << R"(", "crash_trials": 3, "parallel": 12},
      "skip": {"runtime.run.out-of-memory": "plain processes have no limit of memory"}})";
  }
  ~Containers() {
    const fs::path root = "/sys/fs/cgroup";
    const bool unified = fs::exists(root / "cgroup.controllers");
    const fs::path parent = (unified ? root : root / "pids") / name();
    if (fs::exists(parent)) {
      for (const auto& entry : fs::directory_iterator(parent)) {
        if (entry.is_directory()) end_group(entry.path());
      }
      rmdir(parent.c_str());
    }
    fs::remove_all(folder_);
  }
  std::string profile() const { return folder_ + "/profile.json"; }

 private:
  std::string name() const { return fs::path(folder_).filename().string(); }
  static void end_group(const fs::path& group) {
    for (int round = 0; round < 500 && rmdir(group.c_str()) != 0; ++round) {
      std::ifstream list(group / "cgroup.procs");
      for (pid_t pid = 0; list >> pid;) kill(pid, SIGKILL);
      usleep(10'000);
    }
  }

  std::string folder_;
};

void check_container_group(const Group& group) {
  for (const Row& row : group.rows) {
    const Containers containers;
    check_row(row, group.look, containers.profile());
  }
}

}  // namespace

TEST_CASE("a driver without a mistake passes everything, in both modes", "[right]") {
  for (const std::string fake : {"volumes-nothing", "balancer-nothing"}) {
    for (const Mode mode : {Mode::process, Mode::in_process}) {
      std::ostringstream out;
      const KitReport report = report_of(fake, mode, "", 0, out);
      INFO(out.str());
      CHECK(report.failed() == 0);
      CHECK(report.cases.size() > 50);
    }
  }
}

TEST_CASE("mistakes in the file, in loading and in instances are caught", "[loading]") {
  check_group(loading_group());
}
TEST_CASE("mistakes in tables, configuration and base operations are caught", "[base]") {
  check_group(base_group());
}
TEST_CASE("mistakes with requests and errors are caught", "[requests]") {
  check_group(request_group());
}
TEST_CASE("mistakes with completion and replies are caught", "[completion]") {
  check_group(completion_group());
  check_group(silence_group());
}
TEST_CASE("mistakes in an object's life are caught", "[life]") {
  check_group(life_group());
}
TEST_CASE("mistakes around restarts are caught", "[restart]") {
  check_group(restart_group());
}
TEST_CASE("mistakes with volumes and holders are caught", "[volume]") {
  check_group(volume_group());
}
TEST_CASE("mistakes with what a volume is made of are caught", "[create]") {
  check_group(create_group());
}
TEST_CASE("mistakes of balancers are caught", "[lb]") {
  check_group(balancer_group());
}

TEST_CASE("a network driver without a mistake passes everything, in both modes", "[right-net]") {
  for (const Mode mode : {Mode::process, Mode::in_process}) {
    leave_the_network();
    std::ostringstream out;
    const KitReport report = report_of("networks-nothing", mode, "", 0, out);
    INFO(out.str());
    CHECK(report.failed() == 0);
    CHECK(report.cases.size() > 50);
  }
}
TEST_CASE("mistakes of networks are caught", "[network]") {
  check_network_group(network_group());
}
TEST_CASE("mistakes of networks around restarts are caught", "[network-restart]") {
  check_network_group(network_restart_group());
}

TEST_CASE("a runtime driver without a mistake passes everything, in both modes", "[right-run]") {
  for (const Mode mode : {Mode::process, Mode::in_process}) {
    const Containers containers;
    std::ostringstream out;
    const KitReport report =
        report_of("containers-nothing", mode, "", 0, out, containers.profile());
    INFO(out.str());
    CHECK(report.failed() == 0);
    CHECK(report.cases.size() > 50);
  }
}
TEST_CASE("mistakes with streams and waits are caught", "[streams]") {
  check_container_group(stream_group());
  check_container_group(cancel_group());
}
TEST_CASE("mistakes of runtimes are caught", "[runtime]") {
  check_container_group(container_group());
  check_container_group(left_over_group());
}
TEST_CASE("mistakes of runtimes around restarts are caught", "[runtime-restart]") {
  check_container_group(container_restart_group());
}

TEST_CASE("every fake has its row, and every row its fake", "[rows]") {
  std::set<std::string> rows{"volumes-nothing", "balancer-nothing", "networks-nothing",
                             "containers-nothing"};
  for (const Group& some :
       {loading_group(), base_group(), request_group(), completion_group(), silence_group(),
        life_group(), restart_group(), volume_group(), create_group(), balancer_group(),
        network_group(), network_restart_group(), stream_group(), cancel_group(), container_group(),
        left_over_group(), container_restart_group()}) {
    for (const Row& row : some.rows) CHECK(rows.insert(row.fake).second);
  }
  std::set<std::string> fakes;
  for (const auto& entry : std::filesystem::directory_iterator(SKEP_TEST_WRONG)) {
    const std::string name = entry.path().stem();
    fakes.insert(name.substr(std::string("wrong-").size()));
  }
  CHECK(rows == fakes);
}
