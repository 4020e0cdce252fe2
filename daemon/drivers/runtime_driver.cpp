// Which operation takes which key and which deadline.
//
// Keyed by the container: what changes it and has to come in order (create, start, stop, remove).
// Without a key: what only looks, what waits, and signal, because `kill` has to get through while a
// `stop` with a long grace is under way.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/runtime_driver.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/drivers/plugin.hpp"
#include "daemon/drivers/runtime_documents.hpp"
#include "daemon/drivers/typed_call.hpp"
#include "skep/runtime.h"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;

constexpr int64_t create_deadline_ms = 60'000;
constexpr int64_t stop_extra_ms = 15'000;  // beyond the grace, for the kill and its aftermath
constexpr int64_t image_remove_deadline_ms = 120'000;

CallOptions within_ms(int64_t deadline_ms) {
  CallOptions options;
  options.deadline_ms = deadline_ms;
  return options;
}

json id_document(const std::string& id) {
  json document = json::object();
  document["id"] = id;
  return document;
}

json exec_document(const std::string& id, const std::string& exec_id) {
  json document = id_document(id);
  document["exec_id"] = exec_id;
  return document;
}

json image_document(const std::string& reference) {
  json document = json::object();
  document["image"] = reference;
  return document;
}

int64_t read_pid(const json& document) {
  return document.at("pid").get<int64_t>();
}
int64_t read_exit_code(const json& document) {
  return document.at("exit_code").get<int64_t>();
}

// A stream's options: items are read by `decode`; one that can't be read is passed over, because
// the next may be fine; read_item has logged it.
template <class T>
CallOptions stream_of(const Plugin& plugin, T (*decode)(const json&),
                      std::function<void(T)> on_item) {
  CallOptions options = within_ms(no_deadline);
  if (!on_item) return options;
  options.on_item = [&plugin, decode, on_item = std::move(on_item)](std::string_view text) {
    T value{};
    const Status status =
        read_item(plugin, text, [&](const json& document) { value = decode(document); });
    if (status) on_item(std::move(value));
  };
  return options;
}

}  // namespace

#define RUNTIME_CALL(field) SKEP_OPERATION(SKEP_RUNTIME_1, skep_runtime_1, field)
#define EXEC_CALL(field) SKEP_OPERATION(SKEP_RUNTIME_EXEC_1, skep_runtime_exec_1, field)
#define IMAGES_CALL(field) SKEP_OPERATION(SKEP_RUNTIME_IMAGES_1, skep_runtime_images_1, field)

RuntimeDriver::RuntimeDriver(Plugin& plugin) : plugin_(&plugin) {}

asio::awaitable<Status> RuntimeDriver::fingerprint(std::function<void(RuntimeHealth)> on_item) {
  CallOptions options = stream_of(*plugin_, &runtime_health, std::move(on_item));
  return tell(*plugin_, RUNTIME_CALL(fingerprint), {}, "{}", std::move(options));
}

asio::awaitable<Status> RuntimeDriver::events(std::function<void(RuntimeEvent)> on_item) {
  CallOptions options = stream_of(*plugin_, &runtime_event, std::move(on_item));
  return tell(*plugin_, RUNTIME_CALL(events), {}, "{}", std::move(options));
}

asio::awaitable<Result<CreatedContainer>> RuntimeDriver::create(ContainerRequest request) {
  const bool fills = std::any_of(request.mounts.begin(), request.mounts.end(),
                                 [](const ContainerMount& mount) { return mount.populate; });
  return ask(*plugin_, RUNTIME_CALL(create), request.id, to_text(to_json(request)),
             within_ms(fills ? host::filling_create_ms : create_deadline_ms), &created_container);
}

asio::awaitable<Result<StartedContainer>> RuntimeDriver::start(std::string id) {
  return ask(*plugin_, RUNTIME_CALL(start), id, to_text(id_document(id)), CallOptions(),
             &started_container);
}

asio::awaitable<Result<ContainerExit>> RuntimeDriver::wait(std::string id) {
  return ask(*plugin_, RUNTIME_CALL(wait), {}, to_text(id_document(id)), within_ms(no_deadline),
             &container_exit);
}

asio::awaitable<Status> RuntimeDriver::stop(std::string id, std::string signal, int64_t grace_ms) {
  json request = id_document(id);
  if (!signal.empty()) request["signal"] = signal;
  request["grace_ms"] = grace_ms;
  return tell(*plugin_, RUNTIME_CALL(stop), id, to_text(request),
              within_ms(grace_ms + stop_extra_ms));
}

asio::awaitable<Status> RuntimeDriver::signal(std::string id, std::string signal) {
  json request = id_document(id);
  request["signal"] = signal;
  return tell(*plugin_, RUNTIME_CALL(signal), {}, to_text(request), CallOptions());
}

asio::awaitable<Status> RuntimeDriver::remove(std::string id, bool force) {
  json request = id_document(id);
  request["force"] = force;
  return tell(*plugin_, RUNTIME_CALL(remove), id, to_text(request), within_ms(create_deadline_ms));
}

asio::awaitable<Result<ContainerState>> RuntimeDriver::inspect(std::string id) {
  return ask(*plugin_, RUNTIME_CALL(inspect), {}, to_text(id_document(id)), CallOptions(),
             &container_state);
}

asio::awaitable<Result<std::vector<ContainerState>>> RuntimeDriver::list() {
  return ask(*plugin_, RUNTIME_CALL(list), {}, "{}", CallOptions(), &container_states);
}

asio::awaitable<Result<std::vector<ContainerStats>>> RuntimeDriver::stats(
    std::vector<std::string> ids) {
  json request = json::object();
  request["ids"] = ids;
  return ask(*plugin_, RUNTIME_CALL(stats), {}, to_text(request), CallOptions(), &container_stats);
}

asio::awaitable<Status> RuntimeDriver::exec_create(ExecRequest request) {
  return tell(*plugin_, EXEC_CALL(create), request.exec_id, to_text(to_json(request)),
              CallOptions());
}

asio::awaitable<Result<int64_t>> RuntimeDriver::exec_start(std::string id, std::string exec_id) {
  return ask(*plugin_, EXEC_CALL(start), exec_id, to_text(exec_document(id, exec_id)),
             CallOptions(), &read_pid);
}

asio::awaitable<Status> RuntimeDriver::exec_resize(std::string id, std::string exec_id,
                                                   int64_t rows, int64_t columns) {
  json request = exec_document(id, exec_id);
  request["rows"] = rows;
  request["cols"] = columns;
  return tell(*plugin_, EXEC_CALL(resize), exec_id, to_text(request), CallOptions());
}

asio::awaitable<Result<int64_t>> RuntimeDriver::exec_wait(std::string id, std::string exec_id) {
  return ask(*plugin_, EXEC_CALL(wait), {}, to_text(exec_document(id, exec_id)),
             within_ms(no_deadline), &read_exit_code);
}

asio::awaitable<Status> RuntimeDriver::exec_close_stdin(std::string id, std::string exec_id) {
  return tell(*plugin_, EXEC_CALL(close_stdin), exec_id, to_text(exec_document(id, exec_id)),
              CallOptions());
}

asio::awaitable<Status> RuntimeDriver::exec_signal(std::string id, std::string exec_id,
                                                   std::string signal) {
  json request = exec_document(id, exec_id);
  request["signal"] = signal;
  return tell(*plugin_, EXEC_CALL(signal), exec_id, to_text(request), CallOptions());
}

asio::awaitable<Result<ImageInfo>> RuntimeDriver::image_pull(
    std::string reference, std::optional<RegistryAuth> auth,
    std::function<void(PullProgress)> on_progress) {
  json request = image_document(reference);
  if (auth) request["auth"] = to_json(*auth);
  CallOptions options = stream_of(*plugin_, &pull_progress, std::move(on_progress));
  return ask(*plugin_, IMAGES_CALL(pull), reference, to_text(request), std::move(options),
             &image_info);
}

asio::awaitable<Result<ImageInfo>> RuntimeDriver::image_inspect(std::string reference_or_id) {
  return ask(*plugin_, IMAGES_CALL(inspect), {}, to_text(image_document(reference_or_id)),
             CallOptions(), &image_info);
}

asio::awaitable<Result<std::vector<ImageInfo>>> RuntimeDriver::image_list() {
  return ask(*plugin_, IMAGES_CALL(list), {}, "{}", CallOptions(), &image_infos);
}

asio::awaitable<Result<RemovedImage>> RuntimeDriver::image_remove(std::string reference_or_id,
                                                                  bool force) {
  json request = image_document(reference_or_id);
  request["force"] = force;
  return ask(*plugin_, IMAGES_CALL(remove), reference_or_id, to_text(request),
             within_ms(image_remove_deadline_ms), &removed_image);
}

asio::awaitable<Status> RuntimeDriver::restore_from(RestoreSource source) {
  return plugin_->restore_from(std::move(source));
}

void RuntimeDriver::forget_source() {
  plugin_->forget_source();
}

asio::awaitable<Status> RuntimeDriver::restore_done(std::vector<std::string> ids) {
  return end_restore(*plugin_, std::move(ids));
}

}  // namespace skep::drivers
