// skep-plugin-host: one driver in a process of its own, so that what it breaks is its own.
//
// Started by a host alone, with a socket as descriptor 3 and the driver's file as descriptor 4;
// standard output and error are a pipe that the host reads line by line. It dies with its host: by
// the death signal (of the thread that started it, see spawner.hpp), and by the end of the socket.
// Everything of the limits is in force before the library is mapped, because constructors run then.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "sdk/host/process/link.hpp"
#include "sdk/host/process/output.hpp"
#include "sdk/host/process/server.hpp"
#include "sdk/host/wire.hpp"

namespace {

using namespace skep;
using namespace skep::host;

constexpr int host_socket = 3;
constexpr int driver_file = 4;
constexpr int arenas_max = 2;  // of malloc, each of which reserves 64 MiB of addresses

tl::unexpected<Error> failed(const std::string& what) {
  return fail(ErrorKind::internal, "init_failed: the helper process could not " + what + " (" +
                                       std::strerror(errno) + "); change the plugin's limits");
}

Status limit(int resource, const char* name, int64_t value) {
  rlimit bounds{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &bounds) != 0) return failed(name);
  const auto wanted = static_cast<rlim_t>(value);
  bounds.rlim_cur = bounds.rlim_max = std::min(wanted, bounds.rlim_max);
  if (setrlimit(static_cast<__rlimit_resource>(resource), &bounds) != 0) {
    return failed(std::string("limit its ") + name);
  }
  return {};
}

Status enter_cgroup(const std::string& folder) {
  const int file = open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  const bool entered = file >= 0 && write(file, "0", 1) == 1;
  const int number = errno;
  if (file >= 0) close(file);
  errno = number;
  if (!entered) return failed("enter the cgroup " + folder);
  return {};
}

Status apply_limits(const Hello& hello) {
  if (!hello.cgroup.empty()) SKEP_TRY(enter_cgroup(hello.cgroup));
  if (!hello.core_dump) SKEP_TRY(limit(RLIMIT_CORE, "core dumps", 0));
  if (hello.open_files > 0) SKEP_TRY(limit(RLIMIT_NOFILE, "open files", hello.open_files));
#ifndef SKEP_SANITIZED  // whose run time reserves terabytes
  if (hello.address_space_bytes > 0) {
    SKEP_TRY(limit(RLIMIT_AS, "address space", hello.address_space_bytes));
  }
#endif
  return {};
}

Result<std::unique_ptr<Instance>> load(const Hello& hello, HostLink& link) {
  SKEP_TRY(apply_limits(hello));
  const auto by = hello.load_path ? CheckedFile::LoadBy::path : CheckedFile::LoadBy::descriptor;
  return Instance::load(CheckedFile::adopt(hello.path, driver_file, by), hello.identity, link,
                        hello.shape);
}

[[noreturn]] void refuse(Output& output, const Error& error) {
  FrameHead head;
  head.kind = FrameKind::refused;
  head.code = static_cast<int32_t>(error.kind);
  output.send(head, {}, error.message);
  output.flush();
  _exit(0);
}

void tell_ready(Output& output, const Instance& instance) {
  const skep_plugin* descriptor = &instance.descriptor();
  Ready ready;
  const size_t flags_end = offsetof(skep_plugin, flags) + sizeof(descriptor->flags);
  if (descriptor->struct_size >= flags_end) ready.flags = descriptor->flags;
  if (SKEP_HAS(descriptor, skep_plugin, config_schema)) {
    ready.config_schema = descriptor->config_schema;
  }
  if (SKEP_HAS(descriptor, skep_plugin, options_schema)) {
    ready.options_schema = descriptor->options_schema;
  }
  for (const Interface& interface : interfaces()) {
    for (const Operation& operation : interface.operations) {
      if (instance.has(operation)) ready.present.push_back(&operation);
    }
  }
  FrameHead head;
  head.kind = FrameKind::ready;
  output.send(head, {}, to_body(ready));
}

// What is set before the host's first word: how this process dies, and how it prints.
bool settle() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  mallopt(M_ARENA_MAX, arenas_max);
  // The pipe would make it wait for 4 KiB, and a crash would take them along.
  static_cast<void>(std::setvbuf(stdout, nullptr, _IOLBF, 0));
  // Programs that the driver starts get neither.
  return fcntl(host_socket, F_SETFD, FD_CLOEXEC) == 0 &&
         fcntl(driver_file, F_SETFD, FD_CLOEXEC) == 0;
}

}  // namespace

int main() {
  if (!settle()) {
    std::fputs("skep-plugin-host is started by skepd and by `skep plugin`, not by hand\n", stderr);
    return 2;
  }
  FrameReader reader(Side::host);
  Frame frame;
  receive_frame(host_socket, reader, frame);
  Hello hello;
  if (frame.head.kind != FrameKind::hello || !from_body(frame.rest, hello)) {
    std::fputs("skep-plugin-host: its host is of another version; install both together\n", stderr);
    return 2;
  }
  prctl(PR_SET_NAME, ("skep:" + hello.name).c_str());
  // Both as long as the process: the driver's threads may still use them while it ends.
  Output& output = *new Output(host_socket);
  HostLink& link = *new HostLink(output, hello.log_level);
  Result<std::unique_ptr<Instance>> instance = load(hello, link);
  if (!instance) refuse(output, instance.error());
  tell_ready(output, **instance);
  Server& server = *new Server(host_socket, std::move(reader), std::move(*instance), output, link);
  server.run();
}
