// Members and their history.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "core/raft/types.hpp"

namespace skep::raft {

TEST_CASE("a configuration comes back from its bytes") {
  const Configuration configuration{{{1}, {7}, {9}}, {{2}}, {{2}, {7}}, {{{1}, {50}}, {{7}, {1}}}};
  const Result<Configuration> back = decode_configuration(encode(configuration));
  REQUIRE(back.has_value());
  CHECK(*back == configuration);
  CHECK(back->is_joint());
  CHECK(back->is_voter({2}));  // of the outgoing half
  CHECK(back->is_learner({2}));
  CHECK(back->disk_of({1}) == Incarnation{50});
  CHECK(back->disk_of({9}) == Incarnation{});
  CHECK(back->members() == std::vector<RaftId>{{1}, {2}, {7}, {9}});
}

TEST_CASE("bytes of the versions before, without disks and without outgoing voters, are read") {
  std::string bytes = encode(Configuration{{{4}}, {{5}}});
  for (const char version : {2, 1}) {
    bytes.resize(bytes.size() - 8);  // the count of the disks; then of the outgoing
    bytes[0] = version;
    const Result<Configuration> back = decode_configuration(bytes);
    REQUIRE(back.has_value());
    CHECK(*back == Configuration{{{4}}, {{5}}});
  }
  bytes[0] = 4;
  CHECK(decode_configuration(bytes).error().kind == ErrorKind::unimplemented);
}

TEST_CASE("nobody is a configuration at the beginning of a joiner's log only") {
  const std::string nobody = encode(Configuration{});
  CHECK_FALSE(decode_configuration(nobody).has_value());
  CHECK(decode_first_configuration(nobody) == Configuration{});
  CHECK_FALSE(decode_first_configuration(encode(Configuration{{}, {{3}}})).has_value());
}

TEST_CASE("bytes that are no configuration are refused") {
  const std::string good = encode(Configuration{{{1}, {2}}, {{3}}});
  for (size_t length = 0; length < good.size(); ++length) {
    CHECK_FALSE(decode_configuration(std::string_view(good).substr(0, length)).has_value());
  }
  CHECK_FALSE(decode_configuration(good + "x").has_value());
  CHECK_FALSE(decode_configuration(encode(Configuration{{}, {{3}}})).has_value());
  CHECK_FALSE(decode_configuration(encode(Configuration{{{2}, {1}}})).has_value());
  CHECK_FALSE(decode_configuration(encode(Configuration{{{1}}, {{1}}})).has_value());
  CHECK_FALSE(decode_configuration(encode(Configuration{{{0}}, {}})).has_value());
  // The disk of nobody's, twice one's, and none.
  const auto with = [](std::vector<MemberDisk> disks) {
    return encode(Configuration{{{1}, {2}}, {}, {}, std::move(disks)});
  };
  CHECK_FALSE(decode_configuration(with({{{3}, {9}}})).has_value());
  CHECK_FALSE(decode_configuration(with({{{1}, {9}}, {{1}, {9}}})).has_value());
  CHECK_FALSE(decode_configuration(with({{{1}, {0}}})).has_value());
}

TEST_CASE("truncating over two configurations gives the one below both back (trap 7)") {
  const Configuration one{{{1}}, {}};
  const Configuration two{{{1}, {2}}, {}};
  const Configuration three{{{1}, {2}, {3}}, {}};
  ConfigurationHistory history({10}, one);
  history.append({12}, two);
  history.append({14}, three);
  CHECK(history.effective() == three);
  CHECK(history.at({11}) == one);
  CHECK(history.at({13}) == two);
  history.truncate_from({12});
  CHECK(history.effective() == one);
}

TEST_CASE("a snapshot takes the configuration in force at its end as the base") {
  const Configuration one{{{1}}, {}};
  const Configuration two{{{2}}, {}};
  ConfigurationHistory history({0}, one);
  history.append({5}, two);
  history.rebase({4});
  CHECK(history.at({4}) == one);
  history.rebase({9});
  CHECK(history.at({9}) == two);
  CHECK(history.effective() == two);
}

// Guard: the walk through earlier ones. The simulator found a wiped voter that was elected between
// the entry that took it out and its commit: in the last configuration nobody had a disk for it.
TEST_CASE("a member on its way out is still known by its disk (trap 12)") {
  const MemberDisk leaving{{3}, {43}};
  ConfigurationHistory history({0}, {{{1}, {2}, {3}}, {}, {}, {leaving}});
  history.append({5}, {{{1}, {2}}, {}, {}, {}});
  CHECK(history.disk_of({3}) == Incarnation{43});
  CHECK(history.disk_of({1}) == Incarnation{});
  history.rebase({5});  // committed, and in a snapshot: forgotten with the member
  CHECK(history.disk_of({3}) == Incarnation{});
}

}  // namespace skep::raft
