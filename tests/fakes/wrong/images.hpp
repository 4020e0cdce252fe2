// The images of the plain runtime: a file for each, by its name; a pull copies it from another
// folder, the registry.
//
// There is always one, "plain", which stands for the machine's own files. What is in an image's
// file is of no account: its size and its id come from it, and nothing else. An image has one name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "skep/cpp/driver.hpp"
#include "tests/fakes/wrong/put_off.hpp"

namespace wrong_driver {

using skep::sdk::json;

// Errors are skep::sdk::Failure with the texts of skep/runtime.h. [any thread]
class Images {
 public:
  // `user_of` names a container of an image, if there is one.
  using UserOf = std::function<std::optional<std::string>(const std::string& name)>;

  Images(std::string folder, std::string registry, UserOf user_of, PutOff& put_off);

  bool has(const std::string& name) const;
  std::string id_of(const std::string& name) const;
  json inspect(const std::string& name_or_id) const;
  json list() const;
  // Copies it; the same again is the same image. `tell` gets the one item of its stream.
  json pull(const std::string& name, const std::function<void(const json&)>& tell);
  json remove(const std::string& name_or_id, bool force);

 private:
  std::string path(const std::string& name) const;
  // These two with the lock held.
  std::string name_of(const std::string& name_or_id) const;
  json all() const;

  mutable std::mutex lock_;
  const std::string folder_;
  const std::string registry_;  // empty: nothing can be pulled
  const UserOf user_of_;
  PutOff& put_off_;
};

}  // namespace wrong_driver
