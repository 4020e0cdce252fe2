// Which objects a `filters` parameter lets through.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/filters.hpp"

#include <catch2/catch.hpp>

namespace {

using skep::api::Filters;
using skep::api::Request;

Filters labels(const char* json) {
  Request request;
  request.query.emplace_back("filters", json);
  return Filters::parse(request, {"label"}).value();
}

}  // namespace

TEST_CASE(
    "several label filters must all hold, so that a prune with two takes less than with one") {
  const skep::model::Labels one{{"a", "1"}};
  const skep::model::Labels both{{"a", "1"}, {"b", ""}};
  const Filters wanted = labels(R"({"label":{"a=1":true,"b":true}})");
  CHECK_FALSE(wanted.allows_label("label", {}));
  CHECK_FALSE(wanted.allows_label("label", one));
  CHECK(wanted.allows_label("label", both));
  CHECK_FALSE(labels(R"({"label":["a=2"]})").allows_label("label", both));
  CHECK(labels("{}").allows_label("label", {}));
}
