// The documents of skep/volume.h. Every call that changes a volume has its name as key.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/drivers/volume_driver.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/drivers/plugin.hpp"
#include "daemon/drivers/typed_call.hpp"
#include "skep/volume.h"

namespace skep::drivers {
namespace {

namespace asio = boost::asio;

CallOptions with_deadline_of(const host::Operation& operation) {
  CallOptions options;
  options.deadline_ms = operation.deadline_ms;
  return options;
}

// A handle is the driver's own JSON; one that isn't is no handle of any driver's.
void put_handle(json& document, const std::string& handle) {
  if (handle.empty()) return;
  json value = json::parse(handle, nullptr, false);
  if (!value.is_discarded()) document["handle"] = std::move(value);
}

json volume_document(const std::string& volume, const std::string& handle) {
  json document = json::object();
  document["volume"] = volume;
  put_handle(document, handle);
  return document;
}

json holding_document(const VolumeHolding& holding) {
  json document = volume_document(holding.volume, holding.handle);
  document["holder"] = holding.holder;
  document["holders"] = holding.holders;
  if (holding.read_only) document["read_only"] = true;
  return document;
}

std::string handle_of(const json& document) {
  return document.contains("handle") ? document.at("handle").dump() : "null";
}

KnownVolume known_volume(const json& document) {
  KnownVolume known;
  document.at("volume").get_to(known.volume);
  known.handle = handle_of(document);
  known.path = document.value("path", "");
  if (document.contains("options")) document.at("options").get_to(known.options);
  return known;
}

VolumePage page_of(const json& document) {
  VolumePage page;
  for (const json& volume : document.at("volumes")) page.volumes.push_back(known_volume(volume));
  page.next = document.value("next", "");
  return page;
}

std::string read_scope(const json& document) {
  return document.value("scope", "local");
}
std::string read_path(const json& document) {
  return document.at("path").get<std::string>();
}
int64_t read_used_bytes(const json& document) {
  return document.at("used_bytes").get<int64_t>();
}

}  // namespace

#define VOLUME_OPERATION(field) SKEP_OPERATION(SKEP_VOLUME_1, skep_volume_1, field)
#define BASE_OPERATION(field) SKEP_OPERATION(SKEP_BASE_1, skep_base_1, field)

VolumeDriver::VolumeDriver(Plugin& plugin) : plugin_(&plugin) {}

asio::awaitable<Result<std::string>> VolumeDriver::scope() {
  const host::Operation& operation = BASE_OPERATION(capabilities);
  return ask(*plugin_, operation, std::string(), std::string("{}"), with_deadline_of(operation),
             &read_scope);
}

asio::awaitable<Result<std::string>> VolumeDriver::create(VolumeRequest request) {
  const host::Operation& operation = VOLUME_OPERATION(create);
  json document = volume_document(request.volume, {});
  if (!request.options.empty()) document["options"] = request.options;
  return ask(*plugin_, operation, request.volume, to_text(document), with_deadline_of(operation),
             &handle_of);
}

asio::awaitable<Status> VolumeDriver::remove(std::string volume, std::string handle, bool force) {
  const host::Operation& operation = VOLUME_OPERATION(remove);
  json document = volume_document(volume, handle);
  if (force) document["force"] = true;
  return tell(*plugin_, operation, volume, to_text(document), with_deadline_of(operation));
}

asio::awaitable<Result<KnownVolume>> VolumeDriver::get(std::string volume) {
  const host::Operation& operation = VOLUME_OPERATION(get);
  return ask(*plugin_, operation, std::string(), to_text(volume_document(volume, {})),
             with_deadline_of(operation), &known_volume);
}

asio::awaitable<Result<VolumePage>> VolumeDriver::list(int64_t max, std::string token) {
  const host::Operation& operation = VOLUME_OPERATION(list);
  json document = json::object();
  document["max"] = max;
  if (!token.empty()) document["token"] = token;
  return ask(*plugin_, operation, std::string(), to_text(document), with_deadline_of(operation),
             &page_of);
}

asio::awaitable<Result<std::string>> VolumeDriver::publish(VolumeHolding holding) {
  const host::Operation& operation = VOLUME_OPERATION(publish);
  return ask(*plugin_, operation, holding.volume, to_text(holding_document(holding)),
             with_deadline_of(operation), &read_path);
}

asio::awaitable<Status> VolumeDriver::unpublish(VolumeHolding holding) {
  const host::Operation& operation = VOLUME_OPERATION(unpublish);
  return tell(*plugin_, operation, holding.volume, to_text(holding_document(holding)),
              with_deadline_of(operation));
}

asio::awaitable<Result<int64_t>> VolumeDriver::usage(std::string volume) {
  const host::Operation& operation = VOLUME_OPERATION(usage);
  return ask(*plugin_, operation, std::string(), to_text(volume_document(volume, {})),
             with_deadline_of(operation), &read_used_bytes);
}

asio::awaitable<Status> VolumeDriver::restore_from(RestoreSource source) {
  return plugin_->restore_from(std::move(source));
}

void VolumeDriver::forget_source() {
  plugin_->forget_source();
}

RestorePlan::Object restored_volume(const std::string& volume, const std::string& handle,
                                    const std::vector<std::string>& holders) {
  json more = json::object();
  more["holders"] = holders;
  return {volume, handle, to_text(more)};
}

}  // namespace skep::drivers
