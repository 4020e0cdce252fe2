// When a node asks for a new certificate.
//
// Once in the life of each certificate, at a moment between 50 and 80 % of it, so that the nodes of
// a cluster that was set up in one go don't all ask at once and a manager may be away for days. The
// moment is drawn from the certificate itself: a restart doesn't draw anew. The life counts from
// the hour of issue; that a certificate is dated back for clocks that are behind doesn't age it.
//
// At once when something else is wanted of it (another role, another root). After a failure again
// and again, with pauses that double from two seconds to five minutes: an hour is the shortest
// life, and a fifth of it holds several tries.
//
// Pure: now is handed in. Not thread-safe.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/model/time.hpp"

namespace skep::identity {

// Certificates are dated back by this much, for clocks that are behind.
inline constexpr std::chrono::hours kBackdate{1};
inline constexpr std::chrono::seconds kRenewalPauseMin{2};
inline constexpr std::chrono::seconds kRenewalPauseMax{300};

// What a certificate says of its time.
struct CertificateLife {
  model::WallTime not_before;
  model::WallTime not_after;
  bool operator==(const CertificateLife&) const = default;
};

// The moment of its renewal; `draw` is any number, evenly spread.
model::WallTime renewal_time(const CertificateLife& life, uint64_t draw);

class Renewal {
 public:
  Renewal(const CertificateLife& life, uint64_t draw);

  // Something else is wanted of the certificate: it is due at `when`, unless it is due before. The
  // same `why` again changes nothing, so that it may be said as often as it is seen.
  void want(const std::string& why, model::WallTime when);
  // The try that was due has failed.
  void failed(model::WallTime now);

  model::WallTime due() const { return due_; }
  // One clause for the log: "the node is to be a manager", "its time has come".
  const std::string& why() const { return why_; }

 private:
  uint64_t draw_;
  model::WallTime due_;
  std::string why_ = "its time has come";
  int failures_ = 0;
};

}  // namespace skep::identity
