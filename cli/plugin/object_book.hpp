// What a host would know of a driver's objects: enough to restore them after its process was lost.
//
// The daemon keeps handles and holders in its own store; `skep plugin run` keeps them here, from
// the answers it saw, so that kill and restart show what a crash shows. With --keep the book is
// kept too: a driver that was told of none of its objects could clear them away.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"
#include "sdk/host/catalog.hpp"

namespace skep::cli {

class ObjectBook {
 public:
  // Takes note of an operation that succeeded.
  void saw(const host::Operation& operation, std::string_view request, std::string_view reply);

  // Lines of JSON, and back. Errors: invalid, for what is none of these.
  std::string to_text() const;
  static Result<ObjectBook> from_text(std::string_view text);

  // The requests of skep.base/1 restore, one for each object, in the order of their ids.
  std::vector<std::string> restore_requests() const;
  // The one of restore_done.
  std::string restore_done_request() const;

 private:
  struct Object {
    std::string handle;                               // JSON
    std::optional<std::vector<std::string>> holders;  // of a volume
  };
  std::map<std::string, Object> objects_;
};

}  // namespace skep::cli
