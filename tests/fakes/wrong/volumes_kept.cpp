// The volumes themselves: made, listed, published, counted, taken away.
// SPDX-License-Identifier: Apache-2.0
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/fakes/wrong/volumes.hpp"

namespace wrong_driver {

int mounts_at(const std::string& path) {
  int count = 0;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 5; ++i) words >> word;
    if (word == path) ++count;
  }
  return count;
}

Volumes::Volume& Volumes::find(const std::string& name) {
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) throw Failure{SKEP_E_NOTFOUND, "there is no volume " + name};
  return found->second;
}

json Volumes::told(const Volume& volume) {
  json document{{"volume", volume.name}, {"handle", {{"v", 1}}}};
  if (volume.args.contains("options")) document["options"] = volume.args["options"];
  if (wrong("reply-of-another-shape")) document["path"] = 17;
  return document;
}

void Volumes::make(const std::string& name, const json& args, const json& request) {
  const std::string fresh =
      wrong("half-made-after-a-crash") ? folder(name) : data_dir_ + "/.new-" + name;
  if (wrong("half-made-after-a-crash") && fs::exists(fresh)) {
    throw Failure{SKEP_E_INTERNAL, fresh + " is in the way"};
  }
  const auto leave_nothing = [&] {
    if (!wrong("leaves-half-made")) fs::remove_all(fresh);
  };
  try {
    fs::create_directories(wrong("names-lead-out") ? folder(name) + "/data" : fresh + "/data");
    if (wrong("half-made-after-a-crash")) pause_ms(20);
    const std::string gone = data_dir_ + "/.gone-" + name;
    if (wrong("data-outlives-remove") && fs::exists(gone)) {
      fs::remove_all(fresh);
      fs::rename(gone, fresh);
    }
    check_options(request);
    if (wrong("names-lead-out")) return void(volumes_[name] = {name, args, {}});
    std::ofstream file(fresh + "/args.json");
    file << args.dump();
    file.close();
    if (!file) {
      throw fs::filesystem_error("args.json", std::make_error_code(std::errc::no_space_on_device));
    }
    if (wrong("writes-at-the-next-call")) {
      waiting_.insert(name);
    } else if (fresh != folder(name)) {
      fs::rename(fresh, folder(name));
    }
  } catch (const Failure&) {
    leave_nothing();
    throw;
  } catch (const fs::filesystem_error&) {
    leave_nothing();
    throw;
  }
  volumes_[name] = {name, args, {}};
}

void Volumes::write_what_waits() {
  for (const std::string& name : waiting_) fs::rename(data_dir_ + "/.new-" + name, folder(name));
  waiting_.clear();
}

json Volumes::create(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  if (wrong("logs-secrets")) log("create " + request.dump());
  if (wrong("objects-in-a-static")) volumes_.clear();
  if (wrong("objects-in-a-static")) {
    for (const auto& [other, args] : shared().volumes) volumes_[other] = {other, args, {}};
  }
  const std::string sharing = request.value("sharing", "all");
  if (sharing != "all" && sharing != "readonly" && sharing != "onewriter" && sharing != "none") {
    throw Failure{SKEP_E_UNIMPLEMENTED, "there is no sharing " + sharing};
  }
  if (wrong("reads-fail-during-changes") && !volumes_.empty()) {
    changing_ = true;
    mutex_.unlock();
    wait_for(met_);
    mutex_.lock();
    changing_ = false;
  }
  const json args = args_of(request);
  if (const auto there = volumes_.find(name); there != volumes_.end()) {
    if (wrong("refuses-what-was-forgotten") && there->second.forgotten) {
      throw Failure{SKEP_E_EXISTS, name + " is there from before"};
    }
    if (wrong("create-is-not-idempotent")) throw Failure{SKEP_E_EXISTS, name + " is there"};
    if (there->second.args != args && !wrong("takes-other-arguments")) {
      throw Failure{SKEP_E_EXISTS, name + " was made otherwise"};
    }
  } else if (wrong("loses-objects-when-many-come")) {
    // Reads, changes and writes its list without holding it.
    auto copy = volumes_;
    mutex_.unlock();
    pause_ms(3);
    mutex_.lock();
    make(name, args, request);
    copy[name] = volumes_[name];
    volumes_ = copy;
  } else {
    make(name, args, request);
  }
  if (wrong("objects-in-a-static")) shared().volumes[name] = args;
  json reply{{"handle", {{"v", 1}}}};
  if (wrong("differs-in-process") &&
      fs::read_symlink("/proc/self/exe").filename() == "skep-plugin-host") {
    reply["capacity_bytes"] = 1;
  }
  if (wrong("another-reply-each-time")) {
    reply["handle"]["v"] = std::chrono::steady_clock::now().time_since_epoch().count();
  }
  return reply;
}

void Volumes::take(const std::string& name) {
  unmount(name);
  volumes_.erase(name);
  shared().volumes.erase(name);
  const std::string going = data_dir_ + "/.gone-" + name;
  std::error_code absent;  // after a crash there may be nothing any more
  fs::rename(folder(name), going, absent);
  if (!wrong("data-outlives-remove")) fs::remove_all(going);
}

json Volumes::remove(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) {
    if (wrong("remove-of-unknown-fails")) throw Failure{SKEP_E_NOTFOUND, name + " is not there"};
    return json::object();
  }
  const std::vector<std::string>& holders = found->second.holders;
  if (!holders.empty() && !wrong("removes-what-is-held")) {
    throw Failure{SKEP_E_BUSY, wrong("busy-without-a-name") ? name + " is held"
                                                            : name + " is held by " + holders[0]};
  }
  take(name);
  return json::object();
}

json Volumes::get(const json& request) {
  if (changing_) {
    met_ = true;
    throw Failure{SKEP_E_UNAVAILABLE, "volumes are being changed"};
  }
  return told(find(name_of(request)));
}

json Volumes::list(const json& request) {
  const size_t max = request.value("max", volumes_.size() + 1);
  const std::string token = request.value("token", "");
  json reply{{"volumes", json::array()}};
  size_t position = 0;
  for (const auto& [name, volume] : volumes_) {
    // By position, names that came or went move the others.
    const bool before = wrong("pages-by-position")
                            ? position++ < static_cast<size_t>(token.empty() ? 0 : std::stoi(token))
                            : !token.empty() && name <= token;
    if (before) continue;
    if (reply["volumes"].size() == max && !wrong("ignores-max")) {
      reply["next"] = wrong("pages-by-position")
                          ? std::to_string(position - 1)
                          : reply["volumes"].back().at("volume").get<std::string>();
      break;
    }
    reply["volumes"].push_back(told(volume));
    if (wrong("lists-twice")) reply["volumes"].push_back(told(volume));
  }
  return reply;
}

json Volumes::validate(const json& request) {
  check_options(request);
  if (wrong("validate-makes") && !volumes_.contains("validated")) {
    make("validated", json::object(), json::object());
  }
  return json::object();
}

void Volumes::mount_once(const std::string& name) {
  if (!mounts_) return;
  const std::string place = target(name);
  fs::create_directories(place);
  const bool again = wrong("publish-stacks-mounts") ||
                     (wrong("mounts-again") && published_here_.insert(name).second);
  if (mounts_at(place) > 0 && !again) return;
  if (::mount((folder(name) + "/data").c_str(), place.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw Failure{SKEP_E_INTERNAL, place + " can't be mounted: " + std::strerror(errno)};
  }
}

void Volumes::unmount(const std::string& name) {
  if (!mounts_) return;
  const std::string place = target(name);
  while (mounts_at(place) > 0) {
    if (umount2(place.c_str(), MNT_DETACH) != 0) break;
  }
  std::error_code ignored;  // it may never have been published
  fs::remove(place, ignored);
}

// Of a holder from before a restart nobody knows whether it writes, so it may.
void Volumes::check_sharing(const Volume& volume, const json& others, bool reads) const {
  const std::string sharing = volume.args.value("sharing", "all");
  if (sharing == "readonly" && !reads && !wrong("readonly-is-written")) {
    throw Failure{SKEP_E_PRECONDITION, volume.name + " is there to be read"};
  }
  for (const std::string other : others) {
    const bool alone = sharing == "none" && !wrong("none-is-shared");
    const bool writes = !reads && !volume.readers.contains(other);
    if (alone || (sharing == "onewriter" && writes && !wrong("onewriter-has-two"))) {
      throw Failure{SKEP_E_PRECONDITION, volume.name + " is held by " + other};
    }
  }
}

json Volumes::publish(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  if (wrong("publish-makes") && !volumes_.contains(name)) make(name, json::object(), request);
  if (wrong("publish-wants-a-handle") && request.value("handle", json()).is_null()) {
    throw Failure{SKEP_E_INVALID, "handle is absent"};
  }
  Volume& volume = find(name);
  const std::string holder = text_of(request, "holder");
  if (wrong("one-holder-alone") && !request.value("holders", json::array()).empty()) {
    throw Failure{SKEP_E_PRECONDITION, name + " is held by another"};
  }
  const bool reads = request.value("read_only", false);
  check_sharing(volume, request.value("holders", json::array()), reads);
  mount_once(name);
  if (reads) volume.readers.insert(holder);
  if (reads && mounts_ && wrong("reader-makes-it-read-only")) {
    const std::string place = target(name);
    ::mount(nullptr, place.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr);
  }
  if (wrong("counts-holders-itself")) {
    volume.holders.push_back(holder);
  } else {
    volume.holders = request.value("holders", std::vector<std::string>());
    volume.holders.push_back(holder);
  }
  if (wrong("path-is-not-there")) return {{"path", target(name) + "/nowhere"}};
  return {{"path", target(name)}};
}

json Volumes::unpublish(const json& request) {
  check_in_service();
  const std::string name = name_of(request);
  const std::string holder = text_of(request, "holder");
  const auto found = volumes_.find(name);
  if (found == volumes_.end()) return json::object();
  std::vector<std::string>& holders = found->second.holders;
  if (wrong("unknown-holder-fails") && std::ranges::find(holders, holder) == holders.end()) {
    throw Failure{SKEP_E_NOTFOUND, name + " is not held by " + holder};
  }
  found->second.readers.erase(holder);
  if (wrong("counts-holders-itself")) {
    if (const auto one = std::ranges::find(holders, holder); one != holders.end()) {
      holders.erase(one);
    }
  } else {
    holders = request.value("holders", std::vector<std::string>());
  }
  if (wrong("unmounts-under-the-others") || (holders.empty() && !wrong("never-unmounts"))) {
    unmount(name);
  }
  return json::object();
}

json Volumes::detach(const json& request) {
  const std::string name = name_of(request);
  const bool forced = request.value("force", false) && !request.value("fenced", false);
  if (forced && !wrong("detaches-unfenced")) {
    throw Failure{SKEP_E_PRECONDITION, "who had " + name + " may still write to it"};
  }
  return json::object();
}

json Volumes::usage(const json& request) {
  Volume& volume = find(name_of(request));
  uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder(volume.name) + "/data")) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return {{"used_bytes", wrong("usage-is-made-up") ? 4096 : bytes}};
}

json Volumes::mounts(const json&) {
  json all = json::array();
  for (const auto& [name, volume] : volumes_) {
    if (mounts_ && mounts_at(target(name)) > 0 && !wrong("mounts-tells-nothing")) {
      all.push_back({{"volume", name}, {"path", target(name)}});
    }
  }
  return {{"mounts", all}};
}

}  // namespace wrong_driver
