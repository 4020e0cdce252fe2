// A host of its own, to be killed: spawns a helper, lets its driver do what argv[2] says ("hang",
// or nothing), prints the helper's pid when it does, and waits. Usage: plugin_host_small PLUGIN WAY
// SPDX-License-Identifier: Apache-2.0
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "sdk/host/helper.hpp"
#include "tests/fakes/plugins/crashes.h"

namespace {

using namespace skep;

class Quiet : public host::HelperEvents {
 public:
  void ready(const std::vector<const host::Operation*>&, std::string_view, std::string_view,
             uint32_t) override {
    is_ready = true;
  }
  void refused(Error) override { abort(); }
  void completed(uint64_t, skep_status, std::string_view, std::string_view) override {
    answered = true;
  }
  void emitted(uint64_t, std::string_view) override {}
  void logged(uint64_t, int32_t, std::string_view) override {}
  void printed(std::string_view) override {}
  void metric(std::string_view, int64_t, bool) override {}
  void lost(std::string_view) override { abort(); }

  bool is_ready = false;
  bool answered = false;
};

void turn_until(host::Helper& helper, const bool& done) {
  while (!done) {
    pollfd waiting{helper.descriptor(), POLLIN, 0};
    poll(&waiting, 1, -1);
    helper.turn();
  }
}

Status go(const std::string& path, const std::string& way) {
  SKEP_TRY_ASSIGN(host::CheckedFile file, host::CheckedFile::open(path, std::nullopt));
  SKEP_TRY_ASSIGN(host::PluginIdentity identity, host::read_note(file));
  host::HelperOptions options;
  options.program = SKEP_TEST_PLUGIN_HOST;
  options.name = "small";
  Quiet events;
  SKEP_TRY_ASSIGN(std::unique_ptr<host::Helper> helper,
                  host::Helper::spawn(file, identity, options, events));
  turn_until(*helper, events.is_ready);
  host::Operation operation;
  operation.interface = SKEP_TEST_CRASHES;
  operation.offset = offsetof(skep_test_crashes, misbehave);
  if (!way.empty()) helper->call(operation, 1, {}, host::no_deadline, "\"" + way + "\"");
  // An answer behind it says that the driver is in it.
  operation.offset = offsetof(skep_test_crashes, echo);
  helper->call(operation, 2, {}, host::no_deadline, "1");
  turn_until(*helper, events.answered);
  std::printf("%d\n", helper->pid());
  std::fflush(stdout);
  for (;;) poll(nullptr, 0, -1);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const Status status = go(arguments[1], arguments[2]);
  std::fprintf(stderr, "%s\n", status ? "" : status.error().message.c_str());
  return 1;
}
