// The descriptor and the note of a fake, and the mistakes that are made as a library is loaded.
//
// SKEP_WRONG is the name of the mistake; SKEP_WRONG_ID, SKEP_WRONG_INTERFACES what the note says.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>

#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {

const std::string_view mistake = SKEP_WRONG;

namespace {

void* idle(void*) {
  for (;;) pause();
}

__attribute__((constructor)) void loaded() {
  if (wrong("thread-at-load")) {
    pthread_t thread;
    pthread_create(&thread, nullptr, idle, nullptr);
  }
  if (wrong("signal-at-load")) signal(SIGUSR1, SIG_IGN);
  if (wrong("environment-at-load")) setenv("WRONG_DRIVER", "1", 1);
  if (wrong("file-at-load")) static_cast<void>(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (wrong("umask-at-load")) umask(077);
  if (wrong("folder-at-load") && chdir("/proc") != 0) abort();
  if (wrong("locale-at-load")) setlocale(LC_ALL, "C.UTF-8");
}

const skep_instance* create(const skep_host* host) {
  if (wrong("file-per-instance")) static_cast<void>(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (wrong("memory-per-instance")) {
    // Touched, so that it is really there.
    auto* const lost = static_cast<volatile char*>(malloc(4096));
    if (lost != nullptr) lost[0] = 1;
  }
  return make(host);
}

}  // namespace

}  // namespace wrong_driver

SKEP_DECLARE_NOTE(SKEP_WRONG_ID, "1.0", SKEP_WRONG_INTERFACES);

#ifdef SKEP_WRONG_SECOND_SYMBOL
extern "C" __attribute__((visibility("default"))) int wrong_driver_second_symbol() {
  return 2;
}
#endif

#ifdef SKEP_WRONG_UNIQUE_SYMBOL
// What g++ makes of an inline variable of default visibility; clang never does, hence by hand.
asm(".data\n.globl wrong_driver_unique\n.type wrong_driver_unique, @gnu_unique_object\n"
    ".size wrong_driver_unique, 4\nwrong_driver_unique:\n.long 0\n.text\n");
#endif

#ifdef SKEP_WRONG_TEXT_RELOCATION
// An absolute address within code, which the loader has to write there.
asm(".text\n.globl wrong_driver_text\n.hidden wrong_driver_text\nwrong_driver_text:\n.quad "
    "malloc\n");
#endif

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      sizeof plugin,
      SKEP_ABI_MAJOR,
      SKEP_ABI_MINOR,
      0,
      wrong_driver::wrong("another-id-in-the-note") ? "wrong-other" : SKEP_WRONG_ID,
      "1.0",
      "test",
      wrong_driver::interfaces,
      wrong_driver::wrong("schema-is-no-schema") ? "type: object" : wrong_driver::config_schema,
      wrong_driver::create,
      0,
      0,
      nullptr};
  return &plugin;
}
