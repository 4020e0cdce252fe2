// The arithmetic of a certificate's life.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/renewal.hpp"

#include <algorithm>

namespace skep::identity {
namespace {

constexpr int64_t kEarliestPercent = 50;
constexpr int64_t kLatestPercent = 80;

}  // namespace

model::WallTime renewal_time(const CertificateLife& life, uint64_t draw) {
  model::WallTime issued = life.not_before + kBackdate;
  if (issued >= life.not_after) issued = life.not_before;  // of a root that is about to run out
  const int64_t length = std::max<int64_t>((life.not_after - issued).count(), 0);
  const int64_t window = length / 100 * (kLatestPercent - kEarliestPercent);
  const int64_t into = window > 0 ? static_cast<int64_t>(draw % static_cast<uint64_t>(window)) : 0;
  return issued + model::Nanoseconds(length / 100 * kEarliestPercent + into);
}

Renewal::Renewal(const CertificateLife& life, uint64_t draw)
    : draw_(draw), due_(renewal_time(life, draw)) {}

void Renewal::want(const std::string& why, model::WallTime when) {
  if (why == why_) return;
  why_ = why;
  failures_ = 0;
  due_ = std::min(due_, when);
}

void Renewal::failed(model::WallTime now) {
  model::Nanoseconds pause = kRenewalPauseMin;
  for (int i = 0; i < failures_ && pause < kRenewalPauseMax; ++i) pause *= 2;
  pause = std::min<model::Nanoseconds>(pause, kRenewalPauseMax);
  ++failures_;
  // Between half of it and all of it: who failed together doesn't come back together.
  draw_ = draw_ * 6364136223846793005U + 1442695040888963407U;
  const auto half = static_cast<uint64_t>(pause.count()) / 2;
  due_ = now + model::Nanoseconds(static_cast<int64_t>(half + (draw_ >> 11) % half));
}

}  // namespace skep::identity
