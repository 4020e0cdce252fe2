// The one place that includes gRPC. Messages cross as ByteBuffers through the generic stub, so a
// single instantiation of gRPC's templates serves every method. A call with streamed replies is
// opened as a two-way stream that writes one message: on the wire it is the same.
//
// Lifetime: each operation owns itself and dies in proceed(), on the queue's thread; `live` names
// those that a shutdown has to cancel. Operations are only started under the lock that also guards
// `closing`, because gRPC aborts the process when something is started on a queue that was shut
// down.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/rpc.hpp"

#include <grpcpp/alarm.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "skep/cpp/driver.hpp"

namespace skep::containerd {

namespace {

constexpr int reconnect_min_ms = 50;
constexpr int reconnect_max_ms = 2'000;

grpc::ByteBuffer to_buffer(const Message& message) {
  const std::string bytes = message.SerializeAsString();
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// False when the buffer can't be read, which a whole message never causes.
bool to_bytes(const grpc::ByteBuffer& buffer, std::string& bytes) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return false;
  bytes.clear();
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return true;
}

// Nothing that a callback throws may leave the queue's thread: that would end the host's process.
// Tells the outcome; a callback that throws on it (no memory, a reply it can't read) is called once
// more, with the reason as an error, so that whoever waits for it is told. The second time there
// is nobody left to tell but the log.
void tell(const Rpc::Done& done, RpcStatus status, const Rpc::Log& log) {
  std::string reason;
  try {
    return done(std::move(status));
  } catch (const std::exception& thrown) {
    reason = thrown.what();
  }
  try {
    log("an answer of containerd could not be handled: " + reason);
    done({RpcCode::unknown, "containerd's answer could not be handled: " + reason});
  } catch (const std::exception& thrown) {
    log(std::string("nor could that be told: ") + thrown.what());
  }
}

RpcStatus from_grpc(const grpc::Status& status) {
  return {static_cast<RpcCode>(status.error_code()), status.error_message()};
}

class Operation {
 public:
  virtual ~Operation() = default;
  virtual void cancel() = 0;
  // One event of the queue. True when the operation is over and to be deleted.
  virtual bool proceed(bool ok) = 0;
};

// Shared between a caller's handle and an operation, so that cancel() after the end is harmless.
class Handle final : public CallHandle {
 public:
  void cancel() override {
    const std::lock_guard lock(mutex_);
    if (context_) context_->TryCancel();
  }
  void attach(grpc::ClientContext* context) {
    const std::lock_guard lock(mutex_);
    context_ = context;
  }

 private:
  std::mutex mutex_;
  grpc::ClientContext* context_ = nullptr;
};

class RpcOperation : public Operation {
 public:
  explicit RpcOperation(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {
    handle_->attach(&context);
  }
  ~RpcOperation() override { handle_->attach(nullptr); }
  void cancel() override { context.TryCancel(); }
  grpc::ClientContext context;

 private:
  std::shared_ptr<Handle> handle_;
};

class Unary final : public RpcOperation {
 public:
  Unary(std::shared_ptr<Handle> handle, Message* reply, Rpc::Done done, const Rpc::Log& log)
      : RpcOperation(std::move(handle)), reply_(reply), done_(std::move(done)), log_(log) {}
  void begin(grpc::GenericStub& stub, const char* method, const grpc::ByteBuffer& request,
             grpc::CompletionQueue* queue) {
    reader_ = stub.PrepareUnaryCall(&context, method, request, queue);
    reader_->StartCall();
    reader_->Finish(&buffer_, &status_, static_cast<Operation*>(this));
  }
  bool proceed(bool) override {
    tell([this](RpcStatus status) { read_and_tell(std::move(status)); }, from_grpc(status_), log_);
    return true;
  }

 private:
  void read_and_tell(RpcStatus status) {
    std::string bytes;
    if (status.ok() && (!to_bytes(buffer_, bytes) || !reply_->ParseFromString(bytes))) {
      status = {RpcCode::unknown, "containerd's reply can't be read"};
    }
    done_(std::move(status));
  }

  Message* reply_;
  Rpc::Done done_;
  const Rpc::Log& log_;
  grpc::ByteBuffer buffer_;
  grpc::Status status_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
};

class Stream final : public RpcOperation {
 public:
  Stream(std::shared_ptr<Handle> handle, grpc::ByteBuffer request, Rpc::OnMessage on_message,
         Rpc::Done done, const Rpc::Log& log)
      : RpcOperation(std::move(handle)),
        request_(std::move(request)),
        on_message_(std::move(on_message)),
        done_(std::move(done)),
        log_(log) {}
  void begin(grpc::GenericStub& stub, const char* method, grpc::CompletionQueue* queue) {
    stream_ = stub.PrepareCall(&context, method, queue);
    stream_->StartCall(tag());
  }
  bool proceed(bool ok) override {
    switch (step_) {
      case Step::connect:
        if (!ok) return finish();
        step_ = Step::write;
        stream_->WriteLast(request_, grpc::WriteOptions(), tag());
        return false;
      case Step::write:
        if (!ok) return finish();
        step_ = Step::read;
        stream_->Read(&buffer_, tag());
        return false;
      case Step::read: {
        if (!ok || !take()) return finish();
        stream_->Read(&buffer_, tag());
        return false;
      }
      case Step::finish:
        tell(done_, refused_.ok() ? from_grpc(status_) : refused_, log_);
        return true;
    }
    return true;
  }

 private:
  enum class Step { connect, write, read, finish };
  void* tag() { return static_cast<Operation*>(this); }
  // False when the message can't be read, or the receiver threw: a stream with a hole in it must
  // not go on.
  bool take() {
    try {
      std::string bytes;
      if (!to_bytes(buffer_, bytes)) return false;
      on_message_(bytes);
      return true;
    } catch (const std::exception& thrown) {
      refused_ = {RpcCode::unknown,
                  std::string("containerd's answer could not be handled: ") + thrown.what()};
      context.TryCancel();
      return false;
    }
  }
  bool finish() {
    step_ = Step::finish;
    stream_->Finish(&status_, tag());
    return false;
  }

  grpc::ByteBuffer request_;
  Rpc::OnMessage on_message_;
  Rpc::Done done_;
  const Rpc::Log& log_;
  RpcStatus refused_;  // why the stream was ended from here; ok: it wasn't
  grpc::ByteBuffer buffer_;
  grpc::Status status_;
  Step step_ = Step::connect;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

class Timer final : public Operation {
 public:
  Timer(std::function<void()> action, const Rpc::Log& log)
      : action_(std::move(action)), log_(log) {}
  void begin(grpc::CompletionQueue* queue, int delay_ms) {
    const auto when = std::chrono::system_clock::now() + std::chrono::milliseconds(delay_ms);
    alarm_.Set(queue, when, static_cast<Operation*>(this));
  }
  void cancel() override { alarm_.Cancel(); }
  bool proceed(bool ok) override {
    try {
      if (ok) action_();
    } catch (const std::exception& thrown) {
      log_(std::string("a timer's work was cut short: ") + thrown.what());
    }
    return true;
  }

 private:
  std::function<void()> action_;
  const Rpc::Log& log_;
  grpc::Alarm alarm_;
};

}  // namespace

struct Rpc::Impl {
  std::string space;
  Log log;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<grpc::GenericStub> stub;
  grpc::CompletionQueue queue;
  mutable std::mutex mutex;
  bool closing = false;       // guarded by mutex
  std::set<Operation*> live;  // guarded by mutex
  std::condition_variable none_live;
  std::thread thread;

  void prepare(grpc::ClientContext& context, const CallOptions& options) const {
    context.AddMetadata("containerd-namespace", space);
    if (!options.lease.empty()) context.AddMetadata("containerd-lease", options.lease);
    if (options.timeout_ms > 0) {
      context.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::milliseconds(options.timeout_ms));
    }
  }
  void serve() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      auto* operation = static_cast<Operation*>(tag);
      if (!operation->proceed(ok)) continue;
      {
        const std::lock_guard lock(mutex);
        live.erase(operation);
      }
      none_live.notify_all();
      delete operation;
    }
  }
};

Rpc::Rpc(const std::string& address, std::string containerd_namespace, Log log)
    : impl_(std::make_unique<Impl>()) {
  impl_->space = std::move(containerd_namespace);
  impl_->log = std::move(log);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, reconnect_max_ms);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, reconnect_min_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, reconnect_max_ms);
  // A connection of our own: another driver's channel to the same socket has its own back-off.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  impl_->channel =
      grpc::CreateCustomChannel("unix://" + address, grpc::InsecureChannelCredentials(), arguments);
  impl_->stub = std::make_unique<grpc::GenericStub>(impl_->channel);
  impl_->thread = std::thread([impl = impl_.get()] { impl->serve(); });
}

Rpc::~Rpc() {
  stop();
}

void Rpc::stop() {
  {
    std::unique_lock lock(impl_->mutex);
    if (std::exchange(impl_->closing, true)) return;
    for (Operation* operation : impl_->live) operation->cancel();
    // A stream that was cancelled still asks the queue for its status, so the queue ends after it.
    impl_->none_live.wait(lock, [this] { return impl_->live.empty(); });
    impl_->queue.Shutdown();
  }
  impl_->thread.join();
}

bool Rpc::closing() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->closing;
}

CallHandlePtr Rpc::start(const char* method, const Message& request, Message* reply,
                         const CallOptions& options, Done done) {
  auto handle = std::make_shared<Handle>();
  const grpc::ByteBuffer buffer = to_buffer(request);
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->closing) {
      auto operation = std::make_unique<Unary>(handle, reply, std::move(done), impl_->log);
      impl_->prepare(operation->context, options);
      impl_->live.insert(operation.get());
      operation.release()->begin(*impl_->stub, method, buffer, &impl_->queue);
      return handle;
    }
  }
  done({RpcCode::cancelled, "the driver is ending"});
  return handle;
}

CallHandlePtr Rpc::stream(const char* method, const Message& request, const CallOptions& options,
                          OnMessage on_message, Done done) {
  auto handle = std::make_shared<Handle>();
  grpc::ByteBuffer buffer = to_buffer(request);
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->closing) {
      auto operation = std::make_unique<Stream>(handle, std::move(buffer), std::move(on_message),
                                                std::move(done), impl_->log);
      impl_->prepare(operation->context, options);
      impl_->live.insert(operation.get());
      operation.release()->begin(*impl_->stub, method, &impl_->queue);
      return handle;
    }
  }
  done({RpcCode::cancelled, "the driver is ending"});
  return handle;
}

void Rpc::after(int delay_ms, std::function<void()> action) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->closing) return;
  auto timer = std::make_unique<Timer>(std::move(action), impl_->log);
  impl_->live.insert(timer.get());
  timer.release()->begin(&impl_->queue, delay_ms);
}

int to_skep_code(RpcCode code) {
  switch (code) {
    case RpcCode::ok:
      return SKEP_OK;
    case RpcCode::cancelled:
      return SKEP_E_CANCELLED;
    case RpcCode::invalid_argument:
      return SKEP_E_INVALID;
    case RpcCode::deadline_exceeded:
      return SKEP_E_DEADLINE;
    case RpcCode::not_found:
      return SKEP_E_NOTFOUND;
    case RpcCode::already_exists:
      return SKEP_E_EXISTS;
    case RpcCode::permission_denied:
    case RpcCode::unauthenticated:
      return SKEP_E_DENIED;
    case RpcCode::failed_precondition:
      return SKEP_E_PRECONDITION;
    case RpcCode::unimplemented:
      return SKEP_E_UNIMPLEMENTED;
    case RpcCode::unavailable:
      return SKEP_E_UNAVAILABLE;
    case RpcCode::unknown:
      break;
  }
  return SKEP_E_INTERNAL;
}

void throw_if_failed(const RpcStatus& status) {
  if (status.ok()) return;
  if (status.code == RpcCode::unavailable) {
    throw sdk::Failure(SKEP_E_UNAVAILABLE, "containerd does not answer: " + status.message);
  }
  throw sdk::Failure(to_skep_code(status.code), status.message);
}

}  // namespace skep::containerd
