// A name's slashes are plus signs in the file's name, which no reference has.
// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/wrong/images.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "tests/fakes/wrong/wrong.hpp"

namespace wrong_driver {
namespace {

namespace fs = std::filesystem;
using skep::sdk::Failure;

constexpr const char* made_at = "2000-01-01T00:00:00.000000000Z";
constexpr uint64_t fnv_basis = 14695981039346656037U;
constexpr uint64_t fnv_prime = 1099511628211U;

// Not what the prefix says, but as long, and another one for another content.
std::string digest_of(const std::string& path) {
  std::ifstream file(path);
  uint64_t hash = fnv_basis;
  for (char c = 0; file.get(c);) hash = (hash ^ static_cast<unsigned char>(c)) * fnv_prime;
  char digits[80];
  std::snprintf(digits, sizeof digits, "sha256:%064lx", static_cast<unsigned long>(hash));
  return digits;
}

std::string with(std::string text, char from, char to) {
  std::ranges::replace(text, from, to);
  return text;
}

json document(const std::string& name, const std::string& file) {
  const std::string id = digest_of(file);
  return {{"id", id},
          {"tags", {name}},
          {"digests", json::array()},
          {"created_at", made_at},
          {"size", fs::file_size(file)},
          {"architecture", "amd64"},
          {"os", "linux"},
          {"config", json::object()},
          {"layers", {id}}};
}

Failure missing(const std::string& name) {
  return {SKEP_E_NOTFOUND, "No such image: " + name};
}

}  // namespace

Images::Images(std::string folder, std::string registry, UserOf user_of, PutOff& put_off)
    : folder_(std::move(folder)),
      registry_(std::move(registry)),
      user_of_(std::move(user_of)),
      put_off_(put_off) {
  fs::create_directories(folder_);
  if (has("plain")) return;
  const std::string fresh = folder_ + "/.new-plain";
  std::ofstream(fresh) << "the machine's own files";
  fs::rename(fresh, path("plain"));
}

std::string Images::path(const std::string& name) const {
  return folder_ + "/" + with(name, '/', '+');
}

bool Images::has(const std::string& name) const {
  return !name.starts_with('.') && fs::exists(path(name));
}

std::string Images::id_of(const std::string& name) const {
  if (!has(name)) throw missing(name);
  return digest_of(path(name));
}

std::string Images::name_of(const std::string& name_or_id) const {
  if (has(name_or_id)) return name_or_id;
  for (const json& image : all()) {
    if (image.at("id") == name_or_id) return image.at("tags").at(0);
  }
  throw missing(name_or_id);
}

json Images::inspect(const std::string& name_or_id) const {
  const std::scoped_lock lock(lock_);
  const std::string name = name_of(name_or_id);
  return document(name, path(name));
}

json Images::all() const {
  json found = json::array();
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string file = entry.path().filename();
    if (!file.starts_with('.')) found.push_back(document(with(file, '+', '/'), entry.path()));
  }
  return found;
}

json Images::list() const {
  const std::scoped_lock lock(lock_);
  json images = all();
  if (wrong("lists-images-without-their-size")) {
    for (json& image : images) image["size"] = 0;
  }
  return {{"images", std::move(images)}};
}

json Images::pull(const std::string& name, const std::function<void(const json&)>& tell) {
  const std::scoped_lock lock(lock_);
  const fs::path source = fs::path(registry_) / with(name, '/', '+');
  if (registry_.empty() || !fs::exists(source)) {
    if (!wrong("pull-of-a-missing-image-is-internal")) throw missing(name);
    throw Failure(SKEP_E_INTERNAL, "the pull of " + name + " failed");
  }
  const fs::path fresh = folder_ + "/.new-" + with(name, '/', '+');
  const fs::path place = path(name);
  const bool stumbles = wrong("pull-stumbles-over-what-a-crash-left");
  if (stumbles && fs::exists(fresh)) {
    throw Failure(SKEP_E_BUSY, "image " + name + " is being pulled");
  }
  fs::copy_file(source, fresh, fs::copy_options::overwrite_existing);
  json pulled = document(name, fresh);
  tell({{"layer", pulled.at("id")},
        {"status", "Download complete"},
        {"current", pulled.at("size")},
        {"total", pulled.at("size")}});
  if (wrong("pull-tells-another-image")) pulled["id"] = digest_of(path("plain"));
  if (stumbles) {
    put_off_.put([fresh, place] { fs::rename(fresh, place); });
  } else {
    fs::rename(fresh, place);
  }
  return pulled;
}

json Images::remove(const std::string& name_or_id, bool force) {
  const std::scoped_lock lock(lock_);
  const std::string name = name_of(name_or_id);
  const std::optional<std::string> user = user_of_(name);
  if (user && !force && !wrong("removes-an-image-in-use")) {
    throw Failure(SKEP_E_BUSY, "container " + *user + " uses image " + name);
  }
  const std::string id = digest_of(path(name));
  if (wrong("image-remove-is-finished-by-the-next-call")) {
    const fs::path nameless = folder_ + "/nameless";
    fs::rename(path(name), nameless);
    put_off_.put([nameless] { fs::remove(nameless); });
  } else {
    fs::remove(path(name));
  }
  return {{"untagged", {name}}, {"deleted", {id}}};
}

}  // namespace wrong_driver
