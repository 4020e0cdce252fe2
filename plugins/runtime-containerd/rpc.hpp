// Calls to containerd over gRPC without generated stubs. A call is a method name, a request message
// and an empty reply; gRPC itself is included in rpc.cpp alone, because its headers and its symbols
// are the most expensive thing in this driver. One thread serves the completion queue and runs
// every callback, timers included; so callbacks never run at the same time as each other, and must
// not block. A Done that throws is called once more, with an error that says what was thrown; an
// OnMessage that throws ends its stream with such an error.
//
// Each call carries the containerd namespace. A call on a broken connection fails at once instead
// of waiting; reconnecting is gRPC's, with a back-off of at most two seconds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message_lite.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>

namespace skep::containerd {

using Message = google::protobuf::MessageLite;

// gRPC's status codes, as far as this driver tells them apart.
enum class RpcCode : int {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  failed_precondition = 9,
  unimplemented = 12,
  unavailable = 14,
  unauthenticated = 16,
};

struct RpcStatus {
  RpcCode code = RpcCode::ok;
  std::string message;
  bool ok() const { return code == RpcCode::ok; }
};

// Throws skep::sdk::Failure with the code that fits; does nothing when the status is ok.
void throw_if_failed(const RpcStatus& status);
// The SKEP_E_* code for a status.
int to_skep_code(RpcCode code);

struct CallOptions {
  int timeout_ms = 60'000;  // 0 for none
  std::string lease;        // what the call makes is kept from garbage collection by this lease
};

// Ends a call early; its callback then gets `cancelled`. Harmless after the end. [any-thread]
class CallHandle {
 public:
  virtual ~CallHandle() = default;
  virtual void cancel() = 0;
};
using CallHandlePtr = std::shared_ptr<CallHandle>;

// A started call whose reply is waited for later.
template <class Reply>
class Started {
 public:
  struct State {
    Reply reply;
    std::promise<RpcStatus> promise;
  };
  explicit Started(std::shared_ptr<State> state)
      : state_(std::move(state)), future_(state_->promise.get_future()) {}
  // Blocks until the end. Once only. Never on the callback thread.
  RpcStatus status() { return future_.get(); }
  Reply& reply() { return state_->reply; }
  // status(), which throws Failure on an error, and the reply.
  Reply get() {
    throw_if_failed(future_.get());
    return std::move(state_->reply);
  }

 private:
  std::shared_ptr<State> state_;
  std::future<RpcStatus> future_;
};

class Rpc {
 public:
  using Done = std::function<void(RpcStatus)>;
  using OnMessage = std::function<void(std::string_view bytes)>;
  using Log = std::function<void(const std::string& line)>;

  // `address` is the path of containerd's socket. Connects on the first call. `log` hears what a
  // callback threw; it must not throw itself.
  Rpc(const std::string& address, std::string containerd_namespace, Log log);
  ~Rpc();
  // Cancels what is in flight, runs its callbacks, and ends the thread. What is started later is
  // answered `cancelled` at once. To be called while everything that callbacks refer to still
  // exists.
  void stop();
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  // Starts a call with one reply. `reply` must live until `done` ran: let `done` own it.
  // [any-thread]
  CallHandlePtr start(const char* method, const Message& request, Message* reply,
                      const CallOptions& options, Done done);
  // Starts a call whose answer is a stream of messages. [any-thread]
  CallHandlePtr stream(const char* method, const Message& request, const CallOptions& options,
                       OnMessage on_message, Done done);
  // Runs `action` on the callback thread after a while; not at all if the Rpc ends before.
  // [any-thread]
  void after(int delay_ms, std::function<void()> action);

  template <class Reply>
  Started<Reply> begin(const char* method, const Message& request,
                       const CallOptions& options = {}) {
    auto state = std::make_shared<typename Started<Reply>::State>();
    Started<Reply> started(state);
    start(method, request, &state->reply, options,
          [state](RpcStatus status) { state->promise.set_value(std::move(status)); });
    return started;
  }
  // Blocks. Throws Failure.
  template <class Reply>
  Reply call(const char* method, const Message& request, const CallOptions& options = {}) {
    return begin<Reply>(method, request, options).get();
  }
  // Starts a call with a callback that gets the reply.
  template <class Reply>
  CallHandlePtr async(const char* method, const Message& request, const CallOptions& options,
                      std::function<void(RpcStatus, Reply&)> done) {
    auto reply = std::make_shared<Reply>();
    Message* out = reply.get();
    return start(method, request, out, options, [reply, done = std::move(done)](RpcStatus status) {
      done(std::move(status), *reply);
    });
  }

  // True when the driver is ending; what is started now is answered `cancelled` at once.
  bool closing() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skep::containerd
