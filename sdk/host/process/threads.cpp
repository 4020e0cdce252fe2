// pthread_create, for std::thread takes no stack size.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/process/threads.hpp"

#include <pthread.h>

#include <cstddef>
#include <memory>
#include <utility>

namespace skep::host {
namespace {

constexpr size_t stack_bytes = size_t{4} << 20;

void* run(void* argument) {
  const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
  (*body)();
  return nullptr;
}

}  // namespace

bool start_thread(std::function<void()> body) {
  auto argument = std::make_unique<std::function<void()>>(std::move(body));
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, stack_bytes);
  pthread_t thread{};
  const bool started = pthread_create(&thread, &attributes, &run, argument.get()) == 0;
  pthread_attr_destroy(&attributes);
  if (started) static_cast<void>(argument.release());  // run() has it
  return started;
}

}  // namespace skep::host
