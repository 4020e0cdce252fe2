// `skep volume`: what it asks the daemon, what it prints, and what it refuses before it asks.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/cli/fake_daemon.hpp"

namespace skep::cli::test {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("volume create asks for what docker's command asks for, and prints the name") {
  FakeDaemon daemon;
  daemon.answer("POST /volumes/create", 201, R"({"Name":"data"})");
  CHECK(run_skep(daemon, "volume create -d nfs -o a=b=c -o flag --label tier=gold data") ==
        "data\n");
  CHECK(run_skep(daemon, "volume create") == "data\n");
  CHECK(daemon.asked() ==
        Words{R"(POST /volumes/create {"Name":"data","Driver":"nfs",)"
              R"("DriverOpts":{"a":"b=c","flag":""},"Labels":{"tier":"gold"}})",
              R"(POST /volumes/create {"Name":"","Driver":"local","DriverOpts":{},"Labels":{}})"});
}

TEST_CASE("what volume create can't mean is refused before the daemon is asked") {
  FakeDaemon daemon;
  CHECK(run_skep(daemon, "volume create --label =x data") ==
        "invalid argument \"=x\" for \"--label\" flag: invalid label '=x': empty name\nexit 1\n");
  CHECK(run_skep(daemon, "volume create one two").find("exit 1") != std::string::npos);
  CHECK(daemon.asked().empty());
}

TEST_CASE("every option of docker's for volumes of the cluster is known, and refused by its name") {
  FakeDaemon daemon;
  for (const std::string option :
       {"availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing",
        "topology-preferred", "topology-required", "type"}) {
    CHECK(run_skep(daemon, "volume create --" + option + " a=b --" + option + " c=d data") ==
          "not implemented yet: cluster volumes (--" + option + ")\nexit 1\n");
  }
  CHECK(run_skep(daemon, "volume ls --cluster") ==
        "not implemented yet: cluster volumes (--cluster)\nexit 1\n");
  CHECK(run_skep(daemon, "volume update --availability drain data") ==
        "not implemented yet: cluster volumes (volume update)\nexit 1\n");
  CHECK(daemon.asked().empty());
}

TEST_CASE("help names every option that docker's has") {
  FakeDaemon daemon;
  const auto has = [&](const std::string& command, const Words& options) {
    const std::string help = run_skep(daemon, "volume " + command + " --help");
    for (const std::string& option : options) {
      INFO(command << " " << option);
      CHECK(help.find(option) != std::string::npos);
    }
  };
  has("create",
      {"[VOLUME]", "--availability", "-d, --driver", "--group", "--label", "--limit-bytes",
       "-o, --opt", "--required-bytes", "--scope", "--secret", "--sharing", "--topology-preferred",
       "--topology-required", "--type", "not implemented yet"});
  has("ls", {"skep volume list", "--cluster", "-f, --filter", "--format", "-q, --quiet"});
  has("inspect", {"VOLUME [VOLUME...]", "-f, --format"});
  has("rm", {"VOLUME [VOLUME...]", "skep volume remove", "-f, --force"});
  has("prune", {"-a, --all", "--filter", "-f, --force"});
  has("update", {"[VOLUME]", "--availability", "not implemented yet"});
}

TEST_CASE("volume ls sends its filters as they are, and lists in docker's order and fields") {
  FakeDaemon daemon;
  daemon.answer("GET /volumes", 200,
                R"({"Volumes":[{"Name":"v10","Driver":"local"},{"Name":"v9","Driver":"nfs"}]})");
  CHECK(run_skep(daemon, "volume ls -f name=^v --filter label=a=b") ==
        "DRIVER    VOLUME NAME\nnfs       v9\nlocal     v10\n");
  CHECK(daemon.asked() ==
        Words{R"(GET /volumes?filters={"name":{"^v":true},"label":{"a=b":true}})"});
  CHECK(run_skep(daemon, "volume list -q") == "v9\nv10\n");
  CHECK(run_skep(daemon, "volume ls --format 'table {{.Name}}\t{{.Size}}'") ==
        "VOLUME NAME   SIZE\nv9            N/A\nv10           N/A\n");
  daemon.answer("GET /volumes", 200,
                R"({"Volumes":[{"Name":"a","Driver":"local","Scope":"local","Mountpoint":"/a",)"
                R"("Labels":{"k":"v","l":""}}]})");
  CHECK(run_skep(daemon, "volume ls --format json") ==
        R"({"Availability":"N/A","Driver":"local","Group":"N/A","Labels":"k=v,l=","Links":"N/A",)"
        R"("Mountpoint":"/a","Name":"a","Scope":"local","Size":"N/A","Status":"N/A"})"
        "\n");
}

TEST_CASE("volume rm goes on after one that can't be removed, and fails in the end") {
  FakeDaemon daemon;
  daemon.answer("DELETE /volumes/b", 204, "");
  daemon.answer("DELETE /volumes/a", 409, R"({"message":"remove a: volume is in use - [c]"})");
  CHECK(run_skep(daemon, "volume rm a b") ==
        "b\nError response from daemon: remove a: volume is in use - [c]\nexit 1\n");
  run_skep(daemon, "volume rm -f b");
  CHECK(daemon.asked() ==
        Words{"DELETE /volumes/a", "DELETE /volumes/b", "DELETE /volumes/b?force=1"});
}

TEST_CASE("volume prune prints what went and what could not, once it was told to go on") {
  FakeDaemon daemon;
  daemon.answer(
      "POST /volumes/prune", 200,
      R"({"VolumesDeleted":["a","b"],"SpaceReclaimed":1500,"Warnings":["remove c: it is busy"]})");
  const std::string told =
      "WARNING: remove c: it is busy\nDeleted Volumes:\na\nb\n\nTotal reclaimed space: 1.5kB\n";
  CHECK(run_skep(daemon, "volume prune -af --filter label=x --filter label=y") == told);
  const std::string question =
      "WARNING! This will remove anonymous local volumes not used by at least one container.\n"
      "Are you sure you want to continue? [y/N] ";
  const std::string yes = run_skep(daemon, "volume prune", "y\\n");
  CHECK(yes.find(question) != std::string::npos);
  CHECK(yes.ends_with("Total reclaimed space: 1.5kB\n"));
  CHECK(daemon.asked() == Words{R"(POST /volumes/prune?filters={"label":{"x":true,"y":true},"all":)"
                                R"({"true":true}})",
                                "POST /volumes/prune?filters={}"});
  const std::string no = run_skep(daemon, "volume prune", "n\\n");
  CHECK(no.find("volume prune has been cancelled\nexit ") != std::string::npos);
  CHECK(run_skep(daemon, "volume prune -af --filter all=0") ==
        "conflicting options: cannot specify both --all and --filter all=1\nexit 1\n");
  CHECK(daemon.asked().size() == 2);
}

}  // namespace
}  // namespace skep::cli::test
