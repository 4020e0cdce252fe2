// Every operation's documents against the published schemas.
//
// For whoever stands between host and driver and wants to know that both keep to what is published:
// the conformance kit, and the tests of the daemon and of the shipped drivers. Compiles all schemas
// once; constant afterwards, checking is [any-thread].
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace skep::schema {

enum class Part : uint8_t {
  request,
  reply,   // of an operation that ended with SKEP_OK
  item,    // of a stream
  detail,  // of an error, where one is told
};
std::string_view name_of(Part part);

class Documents {
 public:
  // ErrorKind::internal when a published schema is broken.
  static Result<Documents> load();
  Documents(Documents&&) noexcept;
  Documents& operator=(Documents&&) noexcept;
  ~Documents();

  // Whether `text` is what the operation's part may be. ErrorKind::invalid: it is not, and the
  // sentence names operation, part and member: "skep.volume/1 publish reply: /path: ...".
  // ErrorKind::not_found: there is no such operation, or it has no such part.
  Status check(std::string_view interface, std::string_view operation, Part part,
               std::string_view text) const;

  // The reply of skep.base/1 capabilities against what the kind's interface ("skep.volume/1") says
  // of it. Success for a kind that says nothing.
  Status check_capabilities(std::string_view interface, std::string_view text) const;

  // In the order of the file; empty when there is no such interface.
  std::vector<std::string> operations(std::string_view interface) const;
  bool has(std::string_view interface, std::string_view operation, Part part) const;

 private:
  struct Parts;
  explicit Documents(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace skep::schema
