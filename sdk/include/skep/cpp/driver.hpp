// A driver in C++, the ground floor: a class with a method for each operation, documents as JSON.
//
// Whoever writes a new driver begins one floor up, where requests and replies are structs
// (volume.hpp, lb.hpp). Here is what those stand on, and what a driver uses that needs more:
// streams, and answers that come later from another thread.
//
// A method has one of two shapes. The plain one takes the request and returns the reply; what it
// throws becomes the operation's error (Failure keeps its code, bad JSON access is SKEP_E_INVALID,
// want of memory SKEP_E_EXHAUSTED, anything else SKEP_E_INTERNAL), so no exception ever crosses the
// boundary:
//
//     json create(const json& request);
//
// The other takes a Call, which it may keep and finish later from any thread; a Call that is
// destroyed unfinished completes with SKEP_E_INTERNAL, so an operation can't be forgotten; what the
// method throws while it still has the Call becomes the operation's error as above:
//
//     void wait(Call call);
//
// A table then reads   static const skep_runtime_1 table = {sizeof table, 0, op<&Me::fingerprint>,
// ...};
//
// A request that is too long, too deep, not UTF-8 or not an object never reaches a method. A member
// that is null is absent: it is taken out before, at every depth, but not inside "handle",
// "context" and "config", whose content is the driver's own. The text of its member "secrets" is
// overwritten when the operation's Call goes. Requires nlohmann_json 3.11, C++20.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <iterator>
#include <new>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "skep/abi.h"

namespace skep::sdk {

using json = nlohmann::json;

inline skep_str view(std::string_view text) noexcept {
  return {text.data(), text.size()};
}

// An error with a code, thrown by a plain method or given to Call::fail. The message is a sentence
// for a person and holds no secret; `detail`, if any, an object for whoever wants to act on it.
class Failure : public std::runtime_error {
 public:
  Failure(skep_status code, const std::string& message, json detail = nullptr)
      : std::runtime_error(message), code_(code), detail_(std::move(detail)) {}
  skep_status code() const noexcept { return code_; }
  const json& detail() const noexcept { return detail_; }

 private:
  skep_status code_;
  json detail_;
};

namespace detail {
// An operation whose Call is being destroyed because its method throws: the destructor leaves it
// here, so that op<> can end it with the exception's own text. One per running op<>, on its stack;
// a Call that was handed to another thread does not see it.
struct Unwound {
  skep_op* operation;
  int exceptions;  // in flight when the method was entered
  bool left_open = false;
  Unwound* outer;
};
inline thread_local Unwound* unwound = nullptr;

// What a host is told of an operation whose Call went unfinished.
inline constexpr std::string_view dropped = "the driver dropped the operation";

// The operation whose plain method runs on this thread, and its host; nullptr when none does.
inline thread_local skep_op* running = nullptr;
inline thread_local const skep_host* running_host = nullptr;

// Objects and arrays within each other, at most; what walks a document may recurse.
inline constexpr int depth_max = 64;

inline bool too_deep(std::string_view text) noexcept {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > depth_max) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// At most `size` bytes, and no half of a character at the end.
inline std::string_view cut(std::string_view text, size_t size) noexcept {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0u) == 0x80u) --size;
  return text.substr(0, size);
}

// Overwrites every text in `value`, in place.
inline void wipe(json& value) noexcept {
  if (value.is_string()) {
    std::string& text = value.get_ref<std::string&>();
    explicit_bzero(text.data(), text.size());
  } else if (value.is_structured()) {
    for (json& member : value) wipe(member);
  }
}

// The code for an errno that a library told by std::system_error.
inline skep_status code_of_errno(int number) noexcept {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return SKEP_E_EXHAUSTED;
    case EBUSY:
      return SKEP_E_BUSY;
    case EACCES:
    case EPERM:
    case EROFS:
      return SKEP_E_DENIED;
    default:
      return SKEP_E_INTERNAL;
  }
}

// Gives code, sentence and detail of the exception that is being handled to `ended`, which must not
// throw. Called inside a catch block.
template <class Ended>
void tell_exception(Ended&& ended) noexcept {
  const json no_detail;
  try {
    throw;
  } catch (const Failure& failure) {
    ended(failure.code(), failure.what(), failure.detail());
  } catch (const json::exception& bad) {
    ended(SKEP_E_INVALID, bad.what(), no_detail);
  } catch (const std::bad_alloc&) {
    ended(SKEP_E_EXHAUSTED, "out of memory", no_detail);
  } catch (const std::system_error& bad) {
    const bool known = bad.code().category() == std::generic_category() ||
                       bad.code().category() == std::system_category();
    ended(known ? code_of_errno(bad.code().value()) : SKEP_E_INTERNAL, bad.what(), no_detail);
  } catch (const std::exception& other) {
    ended(SKEP_E_INTERNAL, other.what(), no_detail);
  } catch (...) {
    ended(SKEP_E_INTERNAL, "unknown exception", no_detail);
  }
}
}  // namespace detail

// For a plain method that takes long, to be called again and again (it costs less than a system
// call): throws Failure once nobody waits for the method's result any more, SKEP_E_DEADLINE when
// its time is over but for `spare_ms`, which it keeps for what must come after, else
// SKEP_E_CANCELLED. A process whose driver goes on after that is killed half a second after the
// deadline, and takes all its other calls along. On a thread that runs no plain method it does
// nothing. [any-thread]
inline void end_if_unwanted(int64_t spare_ms = 0) {
  skep_op* const operation = detail::running;
  if (operation == nullptr) return;
  const skep_host* const host = detail::running_host;
  const int64_t deadline = host->deadline_ms(host, operation);
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (deadline >= 0 &&
      int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000 >= deadline - spare_ms) {
    throw Failure(SKEP_E_DEADLINE, "it took longer than the time it had");
  }
  if (host->cancelled(host, operation) != 0) {
    throw Failure(SKEP_E_CANCELLED, "nobody waits for it any more");
  }
}

// One operation in flight. Move-only; finish it once with reply() or fail(). [any-thread]
class Call {
 public:
  Call(const skep_host* host, skep_op* op, json request_document)
      : request(std::move(request_document)), host_(host), op_(op) {}
  Call(Call&& other) noexcept
      : request(std::move(other.request)),
        host_(other.host_),
        op_(std::exchange(other.op_, nullptr)) {}
  Call& operator=(Call&& other) noexcept {
    if (this != &other) {
      forget_secrets();
      abandon();
      request = std::move(other.request);
      host_ = other.host_;
      op_ = std::exchange(other.op_, nullptr);
    }
    return *this;
  }
  ~Call() {
    forget_secrets();
    abandon();
  }

  // Ends the operation well. `document` may hold any text; invalid UTF-8 is replaced.
  void reply(const json& document) {
    const std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
    if (skep_op* op = std::exchange(op_, nullptr)) {
      host_->complete(host_, op, SKEP_OK, view(text), view(""));
    }
  }
  // Ends the operation with an error; texts over SKEP_ERROR_MAX are cut. A detail that can't be
  // written down is left out.
  void fail(skep_status code, std::string_view message, const json& detail = nullptr) noexcept {
    if (skep_op* op = std::exchange(op_, nullptr)) {
      fail_operation(host_, op, code, message, detail);
    }
  }
  // The same for an operation that has no Call.
  static void fail_operation(const skep_host* host, skep_op* op, skep_status code,
                             std::string_view message, const json& detail = nullptr) noexcept {
    std::string document;
    try {
      if (detail.is_object())
        document = detail.dump(-1, ' ', false, json::error_handler_t::replace);
    } catch (const std::bad_alloc&) {
      document.clear();
    }
    host->complete(host, op, code, view(document), view(detail::cut(message, SKEP_ERROR_MAX)));
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
  void forget_secrets() noexcept {
    if (!request.is_object()) return;
    if (const auto found = request.find("secrets"); found != request.end()) detail::wipe(*found);
  }
  void abandon() noexcept {
    if (op_ == nullptr) return;
    detail::Unwound* const method = detail::unwound;
    if (method != nullptr && method->operation == op_ &&
        std::uncaught_exceptions() > method->exceptions) {
      method->left_open = true;
      op_ = nullptr;
      return;
    }
    fail(SKEP_E_INTERNAL, detail::dropped);
  }

  const skep_host* host_;
  skep_op* op_;
};

// Base of every driver class; gives the host and the log.
class Driver {
 public:
  Driver() = default;  // the host is there as soon as the instance is made, not in the constructor
  explicit Driver(const skep_host* host) : host_(host) {}
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  virtual ~Driver() = default;

  // The table for an interface id, or nullptr.
  virtual const void* interface(std::string_view id) noexcept = 0;

  const skep_host* host() const noexcept { return host_; }
  // A line for the daemon's log. Inside a plain method it is tagged with its operation.
  // [any-thread]
  void log(int32_t level, std::string_view message) const noexcept {
    host_->log(host_, detail::running, level, view(message));
  }
  // Inside a plain method: whether the host still wants its result, and the CLOCK_MONOTONIC
  // milliseconds by which it expects it, -1 for none.
  bool cancelled() const noexcept {
    return detail::running != nullptr && host_->cancelled(host_, detail::running) != 0;
  }
  int64_t deadline_ms() const noexcept {
    return detail::running != nullptr ? host_->deadline_ms(host_, detail::running) : -1;
  }

  template <class D>
  friend const skep_instance* make_instance(const skep_host* host) noexcept;

 private:
  const skep_host* host_ = nullptr;
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

// Runs a plain method, and turns whatever it throws into the end of `call`.
template <class Method>
void run_plain(Call& call, skep_op* operation, Method&& method) noexcept {
  skep_op* const outer = std::exchange(running, operation);
  const skep_host* const outer_host = std::exchange(running_host, call.host());
  try {
    const json reply = method(std::as_const(call.request));
    call.reply(reply);
  } catch (...) {  // and tells it: nothing may cross
    tell_exception([&call](skep_status code, std::string_view text, const json& detail) noexcept {
      call.fail(code, text, detail);
    });
  }
  running = outer;
  running_host = outer_host;
}

// Gives `call` to `method`, which owns it from then on. What `method` throws ends the operation
// with its text, unless the Call was finished, or is kept elsewhere, by then: in that case whoever
// has it tells the outcome, and the text goes to the log. An exception that the Call went with may
// also have been handled inside: then the operation was dropped like any other.
template <class Method>
void run_owned(Call call, skep_op* operation, Method&& method) noexcept {
  const skep_host* const host = call.host();
  Unwound here{operation, std::uncaught_exceptions(), false, unwound};
  unwound = &here;
  try {
    method(std::move(call));
    unwound = here.outer;
    if (here.left_open) Call::fail_operation(host, operation, SKEP_E_INTERNAL, dropped);
  } catch (...) {  // and tells it: nothing may cross
    unwound = here.outer;
    tell_exception([&](skep_status code, std::string_view text, const json& detail) noexcept {
      if (here.left_open) {
        Call::fail_operation(host, operation, code, text, detail);
      } else {
        host->log(host, nullptr, SKEP_LOG_ERROR, view(cut(text, SKEP_ERROR_MAX)));
      }
    });
  }
}

// Takes out what is null, below `value`; the depth is bounded by too_deep().
inline void take_out_nulls(json& value) {
  if (!value.is_structured()) return;
  for (auto member = value.begin(); member != value.end();) {
    if (value.is_object() && member->is_null()) {
      member = value.erase(member);
      continue;
    }
    take_out_nulls(*member);
    ++member;
  }
}

// The same for a request, whose opaque members stay as they are.
inline void take_out_absent(json& request) {
  for (auto member = request.begin(); member != request.end();) {
    const std::string& name = member.key();
    if (name != "handle" && name != "context" && name != "config") take_out_nulls(*member);
    member = member->is_null() ? request.erase(member) : std::next(member);
  }
}

// Why a text is no request, or nullptr. Fills in `document`.
inline const char* parse_request(skep_str request, json& document) {
  const std::string_view text(request.ptr == nullptr ? "" : request.ptr, request.len);
  if (text.size() > SKEP_REQUEST_MAX) return "the request is longer than 1 MiB";
  if (too_deep(text)) return "the request is nested more than 64 levels deep";
  document = json::parse(text, nullptr, false);
  if (!document.is_object()) return "the request is not a JSON object in UTF-8";
  take_out_absent(document);
  return nullptr;
}
}  // namespace detail

// The C function for a method. `self` is the Driver.
template <auto Method>
skep_status op(void* self, skep_op* operation, skep_str request) noexcept {
  using M = detail::MethodOf<decltype(Method)>;
  auto* driver = static_cast<typename M::Class*>(static_cast<Driver*>(self));
  json document;
  const char* refusal = "out of memory";
  skep_status code = SKEP_E_EXHAUSTED;
  try {
    refusal = detail::parse_request(request, document);
    code = SKEP_E_INVALID;
  } catch (const std::bad_alloc&) {
    document = nullptr;
  }
  if (refusal != nullptr) {
    Call::fail_operation(driver->host(), operation, code, refusal);
    return SKEP_PENDING;
  }
  Call call(driver->host(), operation, std::move(document));
  if constexpr (M::plain) {
    detail::run_plain(call, operation,
                      [driver](const json& asked) { return (driver->*Method)(asked); });
  } else {
    detail::run_owned(std::move(call), operation,
                      [driver](Call owned) { (driver->*Method)(std::move(owned)); });
  }
  return SKEP_PENDING;
}

// The instance that wraps a driver class; handed out by skep_plugin::create. A class of the floor
// above has its tables by class, others by interface().
template <class D>
const skep_instance* make_instance(const skep_host* host) noexcept {
  try {
    D* made;
    if constexpr (std::is_constructible_v<D, const skep_host*>) {
      made = new D(host);
    } else {
      made = new D();
    }
    Driver* driver = made;
    driver->host_ = host;
    driver->instance_.struct_size = sizeof(skep_instance);
    driver->instance_.self = driver;
    driver->instance_.get_interface = [](void* self, const char* id) -> const void* {
      if constexpr (requires { D::template table_of<D>(std::string_view()); }) {
        return D::template table_of<D>(id);
      } else {
        return static_cast<Driver*>(self)->interface(id);
      }
    };
    driver->instance_.destroy = [](void* self) { delete static_cast<Driver*>(self); };
    return &driver->instance_;
  } catch (...) {  // of whatever kind: nothing may cross, and the host is told by the nullptr
    return nullptr;
  }
}

}  // namespace skep::sdk
