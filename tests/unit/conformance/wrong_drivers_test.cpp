// Every mistake is found by the case of the rule it breaks, and no unrelated case complains.
//
// The table is rows.hpp: a row names a fake of tests/fakes/wrong, the cases that must fail with it,
// and those that may. A fake without a row fails the test, and so does a row without its fake, and
// a case of the kit that no fake fails: it may be unable to.
// SPDX-License-Identifier: Apache-2.0
#include <fnmatch.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "sdk/conformance/kinds.hpp"
#include "sdk/conformance/kit.hpp"
#include "tests/unit/conformance/rows.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
using namespace skep::conformance;
using namespace skep::conformance::test;

std::string path_of(const std::string& fake) {
  return std::string(SKEP_TEST_WRONG) + "/wrong-" + fake + ".so";
}

bool can_run(const char* what) {
  if (geteuid() == 0) return true;
  WARN("skipped: " << what << " need root");
  return false;
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

// What the kit can't know of the volume fakes.
class VolumesProfile {
 public:
  VolumesProfile() {
    std::ofstream(path()) << R"({"config": {"color": "red"},
      "unready": {"config": {"color": "red", "store": "/no/such/store"}, "names": "/no/such/store"},
      "volume": {"bad_option": {"name": "mode", "value": "wide"}}})";
  }
  std::string path() const { return folder_.file("profile.json"); }

 private:
  skep::testing::TemporaryFolder folder_;
};

void check_group(const Group& group) {
  const VolumesProfile profile;
  for (const Row& row : group.rows) {
    check_row(row, row.look.empty() ? group.look : row.look,
              row.fake.starts_with("volumes-") ? profile.path() : "");
  }
}

void check_network_group(const Group& group) {
  if (!can_run("network namespaces")) return;
  for (const Row& row : group.rows) {
    leave_the_network();
    check_row(row, row.look.empty() ? group.look : row.look);
  }
}

// What runs as a container of one fake, below a control group and a folder of its own; all of it
// ends with this.
class Containers {
 public:
  Containers() : folder_((fs::temp_directory_path() / "wrong-containers-XXXXXX").string()) {
    REQUIRE(mkdtemp(folder_.data()) != nullptr);
    fs::create_directory(folder_ + "/registry");
    std::ofstream(folder_ + "/registry/elsewhere+pulled:1") << "an image";
    std::ofstream(profile()) << R"({"config": {"state": ")" << folder_
                             << R"(/state", "registry": ")" << folder_ << R"(/registry"},
      "runtime": {"image": "plain", "pull_image": "elsewhere/pulled:1", "cgroup_parent": "/)"
                             << name() << R"(", "crash_trials": 3, "parallel": 12}})";
  }
  ~Containers() {
    for (const char* const hierarchy : {"", "pids", "memory"}) {
      const fs::path parent = fs::path("/sys/fs/cgroup") / hierarchy / name();
      if (!fs::exists(parent)) continue;
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
  if (!can_run("control groups")) return;
  for (const Row& row : group.rows) {
    const Containers containers;
    check_row(row, row.look.empty() ? group.look : row.look, containers.profile());
  }
}

}  // namespace

TEST_CASE("a driver without a mistake passes everything, in both modes", "[right]") {
  const VolumesProfile profile;
  for (const std::string fake : {"volumes-nothing", "balancer-nothing"}) {
    for (const Mode mode : {Mode::process, Mode::in_process}) {
      std::ostringstream out;
      const bool volumes = fake == "volumes-nothing";
      const KitReport report = report_of(fake, mode, "", 0, out, volumes ? profile.path() : "");
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
  check_group(configuration_group());
  check_group(capabilities_group());
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
  check_group(overlap_group());
  check_group(cancelled_group());
}
TEST_CASE("mistakes around restarts are caught", "[restart]") {
  check_group(restart_group());
  check_group(kill_group());
}
TEST_CASE("mistakes with volumes and holders are caught", "[volume]") {
  check_group(volume_group());
  check_group(sharing_group());
}
TEST_CASE("mistakes with what a volume is made of are caught", "[create]") {
  check_group(create_group());
}
TEST_CASE("mistakes of balancers are caught", "[lb]") {
  check_group(balancer_group());
  check_group(many_services_group());
  check_group(balancer_restart_group());
}

TEST_CASE("a network driver without a mistake passes everything, in both modes", "[right-net]") {
  if (!can_run("network namespaces")) return;
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
  check_network_group(traffic_group());
}
TEST_CASE("mistakes of networks around restarts are caught", "[network-restart]") {
  check_network_group(network_restart_group());
}

TEST_CASE("a runtime driver without a mistake passes everything, in both modes", "[right-run]") {
  if (!can_run("control groups")) return;
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
}
TEST_CASE("mistakes of runtimes are caught", "[runtime]") {
  check_container_group(made_group());
  check_container_group(container_group());
}
TEST_CASE("mistakes with any call of a runtime, and with ends, are caught", "[runtime-calls]") {
  check_container_group(call_group());
  check_container_group(end_group());
}
TEST_CASE("mistakes with further processes and images are caught", "[exec]") {
  check_container_group(exec_group());
  check_container_group(image_group());
}
TEST_CASE("mistakes of runtimes around restarts are caught", "[runtime-restart]") {
  check_container_group(container_restart_group());
}
TEST_CASE("what a runtime loses by a crash is caught", "[runtime-crash]") {
  check_container_group(container_crash_group());
}

TEST_CASE("every fake has its row, and every row its fake", "[rows]") {
  std::set<std::string> rows{"volumes-nothing", "balancer-nothing", "networks-nothing",
                             "containers-nothing"};
  for (const Group& some : all_groups()) {
    for (const Row& row : some.rows) CHECK(rows.insert(row.fake).second);
  }
  std::set<std::string> fakes;
  for (const auto& entry : std::filesystem::directory_iterator(SKEP_TEST_WRONG)) {
    const std::string name = entry.path().stem();
    fakes.insert(name.substr(std::string("wrong-").size()));
  }
  CHECK(rows == fakes);
}

TEST_CASE("every case of the kit is failed by some fake", "[rows]") {
  // A case of the common part goes by its name without the kind: it is the same code for all.
  const auto common = [](const std::string& kind, const std::string& name) {
    return name.substr(kind.size());
  };
  std::set<std::string> cases;
  std::set<std::string> shared;
  for (const Case& one : generic_cases()) cases.insert(one.name);
  for (const Kind* const kind : kinds()) {
    const std::string name(kind->name());
    for (const Case& one : life_cases(*kind)) {
      shared.insert(one.name);
      cases.insert(common(name, one.name));
    }
    for (const Case& one : kind->cases()) CHECK(cases.insert(one.name).second);
  }
  std::set<std::string> failed;
  for (const Group& group : all_groups()) {
    for (const Row& row : group.rows) {
      for (const std::string& name : row.must) {
        const bool is_shared = shared.contains(name);
        failed.insert(is_shared ? common(name.substr(0, name.find('.')), name) : name);
      }
    }
  }
  std::set<std::string> unseen;
  std::ranges::set_difference(cases, failed, std::inserter(unseen, unseen.end()));
  for (const Exception& one : exceptions()) {
    INFO(one.cases << " is excepted (" << one.reason << "), and must be needed");
    CHECK(std::erase_if(unseen, [&](const std::string& name) {
            return fnmatch(one.cases.c_str(), name.c_str(), 0) == 0;
          }) > 0);
  }
  CHECK(unseen == std::set<std::string>());
  for (const std::string& name : failed) {
    INFO(name << " is a case of no kind");
    CHECK((cases.contains(name) || name.starts_with("generic.seen.")));
  }
}
