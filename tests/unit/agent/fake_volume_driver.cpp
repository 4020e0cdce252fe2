// Each operation: hindered or not, its effect, told or not.
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/agent/fake_volume_driver.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace skep::agent::test {

template <class T>
using Reply = drivers::VolumeDriver::Reply<T>;

namespace {

using Words = std::vector<std::string>;

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

}  // namespace

boost::asio::awaitable<Status> FakeVolumeDriver::begin(std::string operation) {
  while (hangs_before.contains(operation)) co_await never_.changed();
  const auto refusal = refusals.find(operation);
  if (refusal != refusals.end()) co_return fail(refusal->second);
  const bool early =
      !restored_ && operation != "list" && operation != "scope" && operation != "restore_from";
  if (early) co_return fail(ErrorKind::precondition, operation + " came before restore_done");
  co_return Status();
}

boost::asio::awaitable<Status> FakeVolumeDriver::end(std::string operation) {
  while (hangs_after.contains(operation)) co_await never_.changed();
  const auto error = lost.find(operation);
  if (error != lost.end()) co_return fail(error->second);
  co_return Status();
}

Reply<std::string> FakeVolumeDriver::scope() {
  SKEP_CO_TRY(co_await begin("scope"));
  co_return std::string("local");
}

Reply<std::string> FakeVolumeDriver::create(drivers::VolumeRequest request) {
  calls.push_back("create " + request.volume);
  SKEP_CO_TRY(co_await begin("create"));
  if (request.options.contains("typo")) {
    co_return fail(ErrorKind::invalid, "unknown option \"typo\"");
  }
  const auto at = volumes.find(request.volume);
  if (at != volumes.end() && at->second.options != request.options) {
    co_return fail(ErrorKind::conflict, "exists with other options");
  }
  volumes[request.volume].options = request.options;
  SKEP_CO_TRY(co_await end("create"));
  co_return "{\"v\":\"" + request.volume + "\"}";
}

Reply<void> FakeVolumeDriver::remove(std::string volume, std::string handle, bool force) {
  calls.push_back("remove " + volume + (force ? " by force" : ""));
  SKEP_CO_TRY(co_await begin("remove"));
  const auto at = volumes.find(volume);
  if (at != volumes.end() && !at->second.holders.empty()) {
    co_return fail(ErrorKind::busy, "held by " + *at->second.holders.begin());
  }
  volumes.erase(volume);
  SKEP_CO_TRY(co_await end("remove"));
  co_return Status();
}

Reply<drivers::KnownVolume> FakeVolumeDriver::get(std::string volume) {
  SKEP_CO_TRY(co_await begin("get"));
  const auto at = volumes.find(volume);
  if (at == volumes.end()) co_return fail(ErrorKind::not_found, "no volume " + volume);
  drivers::KnownVolume known;
  known.volume = volume;
  known.handle = "{\"v\":\"" + volume + "\"}";
  known.options = at->second.options;
  known.path = root_ + "/" + volume;
  co_return known;
}

Reply<drivers::VolumePage> FakeVolumeDriver::list(int64_t max, std::string token) {
  SKEP_CO_TRY(co_await begin("list"));
  drivers::VolumePage page;
  for (auto at = volumes.upper_bound(token); at != volumes.end(); ++at) {
    drivers::KnownVolume known;
    known.volume = at->first;
    known.handle = "{\"v\":\"" + at->first + "\"}";
    known.options = at->second.options;
    known.path = root_ + "/" + at->first;
    page.volumes.push_back(std::move(known));
    if (static_cast<int64_t>(page.volumes.size()) < std::min(max, page_size)) continue;
    page.next = at->first;
    break;
  }
  co_return page;
}

Reply<std::string> FakeVolumeDriver::publish(drivers::VolumeHolding holding) {
  calls.push_back("publish " + holding.volume + " by " + holding.holder + " with " +
                  joined(holding.holders) + (holding.read_only ? " read-only" : ""));
  SKEP_CO_TRY(co_await begin("publish"));
  const auto at = volumes.find(holding.volume);
  if (at == volumes.end()) co_return fail(ErrorKind::not_found, "no volume " + holding.volume);
  at->second.holders.insert(holding.holder);
  SKEP_CO_TRY(co_await end("publish"));
  co_return path_prefix + root_ + "/" + holding.volume;
}

Reply<void> FakeVolumeDriver::unpublish(drivers::VolumeHolding holding) {
  calls.push_back("unpublish " + holding.volume + " by " + holding.holder + " with " +
                  joined(holding.holders));
  SKEP_CO_TRY(co_await begin("unpublish"));
  const auto at = volumes.find(holding.volume);
  if (at != volumes.end()) {
    at->second.holders = {holding.holders.begin(), holding.holders.end()};
  }
  SKEP_CO_TRY(co_await end("unpublish"));
  co_return Status();
}

Reply<int64_t> FakeVolumeDriver::usage(std::string volume) {
  SKEP_CO_TRY(co_await begin("usage"));
  co_return static_cast<int64_t>(volumes.at(volume).data.size());
}

Reply<void> FakeVolumeDriver::restore_from(drivers::RestoreSource source) {
  source_ = std::move(source);
  SKEP_CO_TRY(co_await begin("restore_from"));
  restore(source_());
  SKEP_CO_TRY(co_await end("restore_from"));
  co_return Status();
}

void FakeVolumeDriver::die() {
  restored_ = false;
  restored.clear();
  for (auto& [name, made] : volumes) made.holders.clear();
  if (source_) restore(source_());
}

void FakeVolumeDriver::restore(const drivers::RestorePlan& plan) {
  for (const drivers::RestorePlan::Object& object : plan.objects) {
    const auto holders = nlohmann::json::parse(object.more).at("holders").get<Words>();
    restored.push_back(object.id + " with " + joined(holders));
    const auto at = volumes.find(object.id);
    const auto of_this = refusals.find("restore " + object.id);
    const auto refusal = of_this != refusals.end() ? of_this : refusals.find("restore");
    Status outcome;
    if (refusal != refusals.end()) {
      outcome = fail(refusal->second);
    } else if (at == volumes.end()) {
      outcome = fail(ErrorKind::not_found, "no volume " + object.id);
    } else {
      at->second.holders = {holders.begin(), holders.end()};
    }
    plan.told(object.id, outcome);
  }
  named = std::set<std::string>(plan.ids->begin(), plan.ids->end());
  std::erase_if(volumes, [this](const auto& one) { return !named->contains(one.first); });
  restored_ = true;
}

}  // namespace skep::agent::test
