// A driver that breaks its word in every way a host must survive; `ways` lists them.
//
// Its base interface behaves, so that a daemon takes it for a driver until `misbehave` is called.
// It is built like any driver in C++ and without the SDK's wrapper, which would keep some of this
// from the host.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/plugins/crashes.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr int host_socket = 3;

struct Instance {
  skep_instance table{};
  const skep_host* host = nullptr;
  std::vector<std::thread> threads;  // joined by destroy, as far as they end
  std::atomic<skep_op*> given_up_slowly = nullptr;
  std::atomic<bool> in_cancel = false;
};

skep_str str(std::string_view text) {
  return {text.data(), text.size()};
}

skep_status reply(Instance& me, skep_op* op, std::string_view document) {
  me.host->complete(me.host, op, SKEP_OK, str(document), str(""));
  return SKEP_OK;
}

// Defeats the compiler, which knows what writing to nowhere or endless recursion comes to, and the
// sanitizers, which would say so in their own way.
#define AS_IT_IS __attribute__((no_sanitize("address", "undefined", "thread")))
int* volatile nowhere = nullptr;
AS_IT_IS int deeper(int depth) {
  std::array<volatile char, 4096> frame{};
  frame[0] = static_cast<char>(depth);
  return deeper(depth + 1) + frame[0];
}

void wait_for_ever() {
  for (;;) poll(nullptr, 0, -1);
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(descriptor, text.data(), text.size());
    if (count <= 0) return;
    text.remove_prefix(static_cast<size_t>(count));
  }
}

skep_status throws(Instance&, skep_op*) {
  throw std::runtime_error("over the wall");
}
skep_status throws_int(Instance&, skep_op*) {
  throw 7;
}
skep_status throws_in_thread(Instance& me, skep_op*) {
  me.threads.emplace_back([] { throw std::runtime_error("nobody catches this"); });
  return SKEP_PENDING;
}
skep_status aborts(Instance&, skep_op*) {
  abort();
}
AS_IT_IS skep_status writes_null(Instance&, skep_op*) {
  *nowhere = 1;
  return SKEP_PENDING;
}
skep_status overflows_stack(Instance&, skep_op*) {
  return deeper(0);
}
skep_status exits(Instance&, skep_op*) {
  _exit(0);
}
skep_status eats_memory(Instance&, skep_op*) {
  std::vector<std::vector<char>> eaten;
  for (;;) eaten.emplace_back(size_t{16} << 20, 'x');
}
skep_status hangs(Instance&, skep_op*) {
  wait_for_ever();
  return SKEP_PENDING;
}
skep_status spins(Instance&, skep_op*) {
  for (std::atomic<uint64_t> turns = 0;; ++turns) {
  }
}
skep_status writes_garbage(Instance&, skep_op*) {
  write_all(host_socket, std::string(4096, '\x7f'));
  return SKEP_PENDING;
}
// A frame whose head is right but for a size that no frame has.
skep_status claims_a_gigabyte(Instance&, skep_op*) {
  std::string head(32, '\0');
  const uint32_t size = 1u << 30;
  std::memcpy(head.data(), &size, sizeof size);
  head[4] = 20;  // a reply
  write_all(host_socket, head);
  return SKEP_PENDING;
}
// A reply that is right but for its number, which nobody gave.
skep_status forges_reply(Instance&, skep_op*) {
  std::string head(32, '\0');
  head[4] = 20;
  head[16] = 99;
  write_all(host_socket, head);
  return SKEP_PENDING;
}
// The same of the operation itself, which ends with a status that is none.
skep_status forges_status(Instance&, skep_op* op) {
  std::string head(32, '\0');
  head[4] = 20;
  head[12] = 77;
  const auto number = reinterpret_cast<uint64_t>(op);
  std::memcpy(head.data() + 16, &number, sizeof number);
  write_all(host_socket, head);
  return SKEP_PENDING;
}
// A second "ready", of a driver that has nothing.
skep_status forges_ready(Instance&, skep_op*) {
  std::string frame(32 + 4 * 8, '\0');
  frame[0] = 4 * 8;
  frame[4] = 16;
  write_all(host_socket, frame);
  return SKEP_PENDING;
}
// A line of the log at a level that is none, in no UTF-8.
skep_status forges_log(Instance&, skep_op*) {
  std::string frame(32, '\0');
  frame[0] = 2;
  frame[4] = 22;
  frame[12] = 99;
  write_all(host_socket, frame + "\xff\xfe");
  return SKEP_PENDING;
}
// An item that is right but for its number: what a thread that emits too late comes to.
skep_status forges_item(Instance& me, skep_op* op) {
  std::string frame(32, '\0');
  frame[0] = 2;
  frame[4] = 21;
  frame[16] = 99;
  write_all(host_socket, frame + "{}");
  return reply(me, op, "{}");
}
skep_status closes_socket(Instance&, skep_op*) {
  close(host_socket);
  // The host's end sees it only when nobody reads from this one any more.
  wait_for_ever();
  return SKEP_PENDING;
}
// Leaves a child that holds all descriptors, and dies. The child ends when its own pipe does.
skep_status forks_and_dies(Instance&, skep_op*) {
  if (fork() == 0) {
    for (int second = 0; second < 5; ++second) poll(nullptr, 0, 1000);
    _exit(0);
  }
  abort();
}
skep_status prints_without_end(Instance&, skep_op*) {
  for (;;) std::fputs("a line of its standard error, and again\n", stderr);
}
skep_status prints(Instance& me, skep_op* op) {
  std::fputs("to standard error\n", stderr);
  std::puts("to standard output");
  std::fputs("bad \xff byte\n", stderr);
  return reply(me, op, "{}");
}
skep_status replies_bad_utf8(Instance& me, skep_op* op) {
  return reply(me, op, "\"\xff\xfe\"");
}
skep_status replies_too_much(Instance& me, skep_op* op) {
  return reply(me, op, std::string((size_t{64} << 20) + 1, 'x'));
}
skep_status replies_much(Instance& me, skep_op* op) {
  return reply(me, op, std::string(size_t{8} << 20, 'x'));
}
skep_status completes_twice(Instance& me, skep_op* op) {
  reply(me, op, "\"first\"");
  return reply(me, op, "\"second\"");
}
skep_status completes_after_return(Instance& me, skep_op* op) {
  me.threads.emplace_back([&me, op] {
    for (int turn = 0; turn < 20; ++turn) poll(nullptr, 0, 1);
    reply(me, op, "\"too late\"");
  });
  return SKEP_E_BUSY;
}
skep_status completes_unknown(Instance& me, skep_op* op) {
  reply(me, reinterpret_cast<skep_op*>(uintptr_t{0xdeadbeef}), "\"whose?\"");
  return reply(me, op, "{}");
}
skep_status completes_elsewhere(Instance& me, skep_op* op) {
  std::thread other([&me, op] { reply(me, op, "\"from another thread\""); });
  other.join();
  return SKEP_OK;
}
skep_status ends_with_nonsense(Instance& me, skep_op* op) {
  me.host->complete(me.host, op, 77, str("{}"), str("what?"));
  return SKEP_OK;
}
skep_status returns_nonsense(Instance&, skep_op*) {
  return 77;
}
skep_status emits_without_end(Instance& me, skep_op* op) {
  while (me.host->cancelled(me.host, op) == 0) me.host->emit(me.host, op, str("{\"n\":0}"));
  me.host->complete(me.host, op, SKEP_E_CANCELLED, str(""), str("as was asked"));
  return SKEP_OK;
}
// Emits until the host asks for a pause; says how many that took.
skep_status emits_until_pause(Instance& me, skep_op* op) {
  int count = 1;
  while (me.host->emit(me.host, op, str("1")) == 0 && count < 100'000) ++count;
  return reply(me, op, std::to_string(count));
}
skep_status logs_without_end(Instance& me, skep_op* op) {
  const std::string line(1000, 'l');
  while (me.host->cancelled(me.host, op) == 0) {
    me.host->log(me.host, op, SKEP_LOG_INFO, str(line));
  }
  me.host->complete(me.host, op, SKEP_E_CANCELLED, str(""), str("as was asked"));
  return SKEP_OK;
}
skep_status logs(Instance& me, skep_op* op) {
  me.host->log(me.host, op, SKEP_LOG_DEBUG, str("in detail"));
  me.host->log(me.host, op, SKEP_LOG_WARNING, str("a warning"));
  me.host->log(me.host, nullptr, 99, str("loud \xff"));
  return reply(me, op, std::to_string(me.host->log_level(me.host)));
}
skep_status counts(Instance& me, skep_op* op) {
  const auto* metrics =
      static_cast<const skep_host_metric_1*>(me.host->get_extension(me.host, SKEP_HOST_METRIC_1));
  if (metrics == nullptr || me.host->get_extension(me.host, "skep.host.none/1") != nullptr) abort();
  metrics->add(me.host, str("turns"), 2);
  metrics->add(me.host, str("turns"), 3);
  metrics->set(me.host, str("level.now"), -4);
  metrics->set(me.host, str("No such name"), 1);
  return reply(me, op, "{}");
}
// Ends when it is cancelled, from inside the hook, which takes its time afterwards.
skep_status waits_for_slow_cancel(Instance& me, skep_op* op) {
  me.given_up_slowly = op;
  return SKEP_PENDING;
}
// Which descriptors and what else it was given.
skep_status looks_around(Instance& me, skep_op* op) {
  std::string open;
  for (int descriptor = 0; descriptor < 64; ++descriptor) {
    const int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0) continue;
    open += std::to_string(descriptor) + ((flags & FD_CLOEXEC) != 0 ? "c " : " ");
  }
  return reply(me, op, open);
}

struct Way {
  std::string_view name;
  skep_status (*go)(Instance&, skep_op*);
};
constexpr Way ways[] = {
    {"\"throw\"", throws},
    {"\"throw_int\"", throws_int},
    {"\"throw_in_thread\"", throws_in_thread},
    {"\"abort\"", aborts},
    {"\"null_write\"", writes_null},
    {"\"stack_overflow\"", overflows_stack},
    {"\"exit\"", exits},
    {"\"memory_bomb\"", eats_memory},
    {"\"hang\"", hangs},
    {"\"spin\"", spins},
    {"\"garbage\"", writes_garbage},
    {"\"gigabyte\"", claims_a_gigabyte},
    {"\"forge\"", forges_reply},
    {"\"forge_status\"", forges_status},
    {"\"forge_ready\"", forges_ready},
    {"\"forge_log\"", forges_log},
    {"\"forge_item\"", forges_item},
    {"\"close_socket\"", closes_socket},
    {"\"fork\"", forks_and_dies},
    {"\"print_without_end\"", prints_without_end},
    {"\"print\"", prints},
    {"\"bad_utf8\"", replies_bad_utf8},
    {"\"too_much\"", replies_too_much},
    {"\"much\"", replies_much},
    {"\"twice\"", completes_twice},
    {"\"after_return\"", completes_after_return},
    {"\"unknown\"", completes_unknown},
    {"\"elsewhere\"", completes_elsewhere},
    {"\"end_nonsense\"", ends_with_nonsense},
    {"\"return_nonsense\"", returns_nonsense},
    {"\"emit_without_end\"", emits_without_end},
    {"\"emit_until_pause\"", emits_until_pause},
    {"\"log_without_end\"", logs_without_end},
    {"\"log\"", logs},
    {"\"count\"", counts},
    {"\"look_around\"", looks_around},
    {"\"slow_cancel\"", waits_for_slow_cancel},
};

Instance& instance(void* self) {
  return *static_cast<Instance*>(self);
}

skep_status misbehave(void* self, skep_op* op, skep_str request) {
  for (const Way& way : ways) {
    if (way.name == std::string_view(request.ptr, request.len)) return way.go(instance(self), op);
  }
  return SKEP_E_INVALID;
}
skep_status echo(void* self, skep_op* op, skep_str request) {
  return reply(instance(self), op, {request.ptr, request.len});
}
skep_status nothing(void* self, skep_op* op, skep_str) {
  return reply(instance(self), op, "{}");
}
skep_status probe(void* self, skep_op* op, skep_str) {
  return reply(instance(self), op, "{\"state\":\"ready\",\"reason\":\"\"}");
}

// What the tables of all kinds have in common.
constexpr size_t slots_max = 64;
struct AnyTable {
  uint32_t struct_size;
  uint32_t reserved;
  std::array<skep_call, slots_max> slots;
};
std::array<skep_call, slots_max> misbehave_everywhere() {
  std::array<skep_call, slots_max> slots;
  slots.fill(misbehave);
  return slots;
}

const void* get_interface(void*, const char* id) {
  static const skep_base_1 base = {sizeof base, 0,       nothing, nothing, probe,  nothing,
                                   nothing,     nothing, nothing, nothing, nothing};
  static const skep_test_crashes crashes = {sizeof crashes, 0, echo, misbehave};
  // Any other interface it is asked for it has too, with every operation going wrong as it is told.
  static const AnyTable any = {sizeof any, 0, misbehave_everywhere()};
  if (std::string_view(id) == SKEP_BASE_1) return &base;
  if (std::string_view(id) == SKEP_TEST_CRASHES) return &crashes;
  return &any;
}

void cancel(void* self, skep_op* op) {
  Instance& me = instance(self);
  if (op != me.given_up_slowly) return;
  me.in_cancel = true;
  me.host->complete(me.host, op, SKEP_E_CANCELLED, str(""), str("slowly"));
  poll(nullptr, 0, 200);
  me.in_cancel = false;
}

void destroy(void* self) {
  if (instance(self).in_cancel) std::fputs("destroyed inside cancel\n", stderr);
  poll(nullptr, 0, 20);
  std::fputs("destroyed\n", stderr);
  for (std::thread& thread : instance(self).threads) thread.join();
  delete &instance(self);
}

const skep_instance* create(const skep_host* host) {
  auto* made = new Instance;
  made->host = host;
  made->table = {sizeof made->table, 0, made, get_interface, destroy, cancel};
  return &made->table;
}

}  // namespace

SKEP_DECLARE_NOTE("fake-crashes", "1.0", "skep.base/1 skep.x-crash/1");

const skep_plugin* skep_plugin_query(void) {
  static const skep_plugin plugin = {
      sizeof plugin,
      SKEP_ABI_MAJOR,
      SKEP_ABI_MINOR,
      0,
      "fake-crashes",
      "1.0",
      "test",
      "skep.base/1 skep.x-crash/1",
      "{}",
      create,
      0,
      0,
      nullptr,
  };
  return &plugin;
}
