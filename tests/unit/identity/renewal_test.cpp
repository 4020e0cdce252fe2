// When certificates are renewed, on numbers.
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/renewal.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace skep;
using namespace skep::identity;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

constexpr model::WallTime kIssued{1'800'000'000'000'000'000};

CertificateLife lasting(model::Nanoseconds life) {
  return {kIssued + (-kBackdate), kIssued + life};
}

}  // namespace

TEST_CASE("a certificate is renewed between 50 and 80 % of its life, all over that time") {
  std::mt19937_64 random(1);
  model::Nanoseconds earliest = hours(24 * 90);
  model::Nanoseconds latest{0};
  for (int i = 0; i < 10'000; ++i) {
    const model::Nanoseconds after = renewal_time(lasting(hours(24 * 90)), random()) - kIssued;
    earliest = std::min(earliest, after);
    latest = std::max(latest, after);
  }
  CHECK(earliest >= hours(24 * 45));
  CHECK(earliest < hours(24 * 45 + 2));
  CHECK(latest <= hours(24 * 72));
  CHECK(latest > hours(24 * 72 - 2));
}

TEST_CASE("the hour that a certificate is dated back doesn't age the shortest one") {
  const model::Nanoseconds after = renewal_time(lasting(hours(1)), 0) - kIssued;
  CHECK(after == minutes(30));
}

TEST_CASE("the moment is the certificate's own: the same draw, the same moment") {
  CHECK(renewal_time(lasting(hours(2160)), 77) == renewal_time(lasting(hours(2160)), 77));
  CHECK(renewal_time(lasting(hours(2160)), 77) != renewal_time(lasting(hours(2160)), 78'000'000));
}

TEST_CASE("a certificate whose life is over or turned round is due in its past, not never") {
  const CertificateLife turned{kIssued, kIssued + (-hours(5))};
  CHECK(renewal_time(turned, ~uint64_t{0}) <= kIssued);
  CHECK(renewal_time({kIssued, kIssued}, 5) == kIssued);
}

TEST_CASE("what is wanted otherwise is due when it is said, once") {
  Renewal renewal(lasting(hours(2160)), 3);
  const model::WallTime now = kIssued + hours(1);
  renewal.want("the node is to be a manager", now);
  CHECK(renewal.due() == now);
  CHECK(renewal.why() == "the node is to be a manager");
  renewal.failed(now);
  const model::WallTime again = renewal.due();
  renewal.want("the node is to be a manager", now);  // said with each row of the session
  CHECK(renewal.due() == again);
}

TEST_CASE("failures are tried again with pauses that double to five minutes") {
  Renewal renewal(lasting(hours(1)), 3);
  model::WallTime now = renewal.due();
  model::Nanoseconds expected = kRenewalPauseMin;
  for (int i = 0; i < 12; ++i) {
    renewal.failed(now);
    const model::Nanoseconds pause = renewal.due() - now;
    CHECK(pause >= expected / 2);
    CHECK(pause < expected);
    expected = std::min<model::Nanoseconds>(expected * 2, kRenewalPauseMax);
    now = renewal.due();
  }
}
