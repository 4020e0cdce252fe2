// Writing a driver in C++: derive from Driver, write one method per operation, list them in a table.
//
// A method has one of two shapes. The plain one takes the request and returns the reply; what it throws
// becomes the operation's error (Failure keeps its code, bad JSON access is SKEP_E_INVALID, anything
// else SKEP_E_INTERNAL), so no exception ever crosses the boundary:
//
//     json create(const json& request);
//
// The other takes a Call, which it may keep and finish later from any thread; a Call that is destroyed
// unfinished completes with SKEP_E_INTERNAL, so an operation can't be forgotten; what the method throws
// while it still has the Call becomes the operation's error as above:
//
//     void wait(Call call);
//
// A table then reads   static const skep_runtime_1 table = {sizeof table, 0, op<&Me::fingerprint>, ...};
// Requires nlohmann_json 3.11, C++20.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "skep/abi.h"

namespace skep::sdk {

using json = nlohmann::json;

inline skep_str view(std::string_view text) noexcept { return {text.data(), text.size()}; }

// An error with a code, thrown by a plain method or given to Call::fail.
class Failure : public std::runtime_error {
 public:
  Failure(skep_status code, const std::string& message)
      : std::runtime_error(message), code_(code) {}
  skep_status code() const noexcept { return code_; }

 private:
  skep_status code_;
};

namespace detail {
// An operation whose Call is being destroyed because its method throws: the destructor leaves it here,
// so that op<> can end it with the exception's own text. One per running op<>, on its stack; a Call
// that was handed to another thread does not see it.
struct Unwound {
  skep_op* operation;
  int exceptions;  // in flight when the method was entered
  bool left_open = false;
  Unwound* outer;
};
inline thread_local Unwound* unwound = nullptr;
}  // namespace detail

// One operation in flight. Move-only; finish it once with reply() or fail(). [any-thread]
class Call {
 public:
  Call(const skep_host* host, skep_op* op, json request_document)
      : request(std::move(request_document)), host_(host), op_(op) {}
  Call(Call&& other) noexcept
      : request(std::move(other.request)), host_(other.host_), op_(std::exchange(other.op_, nullptr)) {}
  Call& operator=(Call&& other) noexcept {
    if (this != &other) {
      abandon();
      request = std::move(other.request);
      host_ = other.host_;
      op_ = std::exchange(other.op_, nullptr);
    }
    return *this;
  }
  ~Call() { abandon(); }

  // Ends the operation well. `document` may hold any text; invalid UTF-8 is replaced.
  void reply(const json& document) {
    const std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
    if (skep_op* op = std::exchange(op_, nullptr)) {
      host_->complete(host_, op, SKEP_OK, view(text), view(""));
    }
  }
  // Ends the operation with an error; texts over SKEP_ERROR_MAX are cut.
  void fail(skep_status code, std::string_view message) noexcept {
    if (skep_op* op = std::exchange(op_, nullptr)) {
      host_->complete(host_, op, code, view(""), view(message.substr(0, SKEP_ERROR_MAX)));
    }
  }
  // One item of a stream; true when the host asks for a pause.
  bool emit(const json& item) {
    const std::string text = item.dump(-1, ' ', false, json::error_handler_t::replace);
    return op_ != nullptr && host_->emit(host_, op_, view(text)) != 0;
  }
  bool cancelled() const noexcept { return op_ == nullptr || host_->cancelled(host_, op_) != 0; }
  // CLOCK_MONOTONIC milliseconds, -1 for none.
  int64_t deadline_ms() const noexcept { return op_ ? host_->deadline_ms(host_, op_) : -1; }
  bool finished() const noexcept { return op_ == nullptr; }
  const skep_host* host() const noexcept { return host_; }

  json request;

 private:
  void abandon() noexcept {
    if (op_ == nullptr) return;
    detail::Unwound* const method = detail::unwound;
    if (method != nullptr && method->operation == op_ &&
        std::uncaught_exceptions() > method->exceptions) {
      method->left_open = true;
      op_ = nullptr;
      return;
    }
    fail(SKEP_E_INTERNAL, "the driver dropped the operation");
  }

  const skep_host* host_;
  skep_op* op_;
};

// Base of every driver class; gives the host and the log.
class Driver {
 public:
  explicit Driver(const skep_host* host) : host_(host) {}
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  virtual ~Driver() = default;

  // The table for an interface id, or nullptr.
  virtual const void* interface(std::string_view id) noexcept = 0;

  const skep_host* host() const noexcept { return host_; }
  void log(int32_t level, std::string_view message) const noexcept {
    host_->log(host_, nullptr, level, view(message));
  }

  template <class D>
  friend const skep_instance* make_instance(const skep_host* host) noexcept;

 private:
  const skep_host* host_;
  skep_instance instance_{};
};

namespace detail {
template <class T>
struct MethodOf;
template <class D>
struct MethodOf<json (D::*)(const json&)> {
  using Class = D;
  static constexpr bool plain = true;
};
template <class D>
struct MethodOf<void (D::*)(Call)> {
  using Class = D;
  static constexpr bool plain = false;
};

// Runs `body`, and turns whatever it throws into the end of `call`.
template <class Body>
void guarded(Call& call, Body&& body) noexcept {
  try {
    body();
  } catch (const Failure& failure) {
    call.fail(failure.code(), failure.what());
  } catch (const json::exception& bad) {
    call.fail(SKEP_E_INVALID, std::string_view(bad.what()));
  } catch (const std::exception& other) {
    call.fail(SKEP_E_INTERNAL, std::string_view(other.what()));
  } catch (...) {
    call.fail(SKEP_E_INTERNAL, "unknown exception");
  }
}

// Gives `call` to `method`, which owns it from then on. What `method` throws ends the operation with
// its text, unless the Call was finished, or is kept elsewhere, by then: in that case whoever has it
// tells the outcome, and the text goes to the log.
template <class Method>
void run_owned(Call call, skep_op* operation, Method&& method) noexcept {
  const skep_host* const host = call.host();
  Unwound here{operation, std::uncaught_exceptions(), false, unwound};
  unwound = &here;
  const auto ended = [&](skep_status code, std::string_view text) noexcept {
    unwound = here.outer;
    text = text.substr(0, SKEP_ERROR_MAX);
    if (here.left_open) {
      host->complete(host, operation, code, view(""), view(text));
    } else {
      host->log(host, operation, SKEP_LOG_ERROR, view(text));
    }
  };
  try {
    method(std::move(call));
    unwound = here.outer;
  } catch (const Failure& failure) {
    ended(failure.code(), failure.what());
  } catch (const json::exception& bad) {
    ended(SKEP_E_INVALID, bad.what());
  } catch (const std::exception& other) {
    ended(SKEP_E_INTERNAL, other.what());
  } catch (...) {
    ended(SKEP_E_INTERNAL, "unknown exception");
  }
}
}  // namespace detail

// The C function for a method. `self` is the Driver.
template <auto Method>
skep_status op(void* self, skep_op* operation, skep_str request) noexcept {
  using M = detail::MethodOf<decltype(Method)>;
  auto* driver = static_cast<typename M::Class*>(static_cast<Driver*>(self));
  json document = json::parse(request.ptr, request.ptr + request.len, nullptr, false);
  Call call(driver->host(), operation, std::move(document));
  if (!call.request.is_object()) {
    call.fail(SKEP_E_INVALID, "the request is not a JSON object");
    return SKEP_PENDING;
  }
  if constexpr (M::plain) {
    detail::guarded(call, [&] { call.reply((driver->*Method)(call.request)); });
  } else {
    detail::run_owned(std::move(call), operation,
                      [driver](Call owned) { (driver->*Method)(std::move(owned)); });
  }
  return SKEP_PENDING;
}

// The instance that wraps a driver class; handed out by skep_plugin::create.
template <class D>
const skep_instance* make_instance(const skep_host* host) noexcept {
  try {
    Driver* driver = new D(host);
    driver->instance_.struct_size = sizeof(skep_instance);
    driver->instance_.self = driver;
    driver->instance_.get_interface = [](void* self, const char* id) -> const void* {
      return static_cast<Driver*>(self)->interface(id);
    };
    driver->instance_.destroy = [](void* self) { delete static_cast<Driver*>(self); };
    return &driver->instance_;
  } catch (...) {  // of whatever kind: nothing may cross, and the host is told by the nullptr
    return nullptr;
  }
}

}  // namespace skep::sdk
