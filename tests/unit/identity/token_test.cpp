// Join tokens: the text form and its one-to-one relation with the bytes, and which role they open.
// The expected digits were worked out by hand from the definition (35 is "z", 36 is "10").
// SPDX-License-Identifier: Apache-2.0
#include "core/identity/token.hpp"

#include <catch2/catch.hpp>

using namespace skep;
using namespace skep::identity;

namespace {

JoinToken token_of(uint8_t digest_end, uint8_t secret_end) {
  JoinToken token;
  token.root_digest.back() = digest_end;
  token.secret.back() = secret_end;
  return token;
}

std::string why(const std::string& text) {
  const Result<JoinToken> parsed = parse_join_token(text);
  return parsed ? "accepted" : parsed.error().message;
}

}  // namespace

TEST_CASE("a token is prefix, padded digest, padded secret") {
  CHECK(token_of(35, 36).str() ==
        "SWMTKN-1-" + std::string(49, '0') + "z-" + std::string(23, '0') + "10");
}

TEST_CASE("the largest digest and secret fit and come back") {
  JoinToken token;
  token.root_digest.fill(0xff);
  token.secret.fill(0xff);
  const std::string text = token.str();
  CHECK(text.size() == 9 + 50 + 1 + 25);
  // 2^128 - 1 in base 36.
  CHECK(text.substr(60) == "f5lxx1zz5pnorynqglhzmsp33");
  const Result<JoinToken> back = parse_join_token(text);
  REQUIRE(back);
  CHECK(same_token(*back, token));
}

TEST_CASE("a malformed token is told what is wrong with it") {
  const std::string good = token_of(1, 2).str();
  CHECK(why(good) == "accepted");
  CHECK(why("") == "invalid join token: it is empty");
  CHECK(why("hello") == "invalid join token: it doesn't begin with \"SWMTKN-1-\"");
  CHECK(why("SWMTKN-2-" + good.substr(9)) ==
        "invalid join token: it is of another version than \"SWMTKN-1-\"");
  CHECK(why(good.substr(0, 59)) == "invalid join token: the secret after the digest is missing");
  CHECK(why(good + "0") == "invalid join token: its secret has 26 characters instead of 25");
  CHECK(why("SWMTKN-1-0-" + good.substr(60)) ==
        "invalid join token: its digest has 1 characters instead of 50");
  std::string upper = good;
  upper[20] = 'A';
  CHECK(why(upper) == "invalid join token: its digest isn't a number in base 36 (0-9, a-z)");
}

TEST_CASE("a text whose number is too large for the bytes is refused") {
  const std::string good = token_of(1, 2).str();
  CHECK(why(good.substr(0, 60) + std::string(25, 'z')) ==
        "invalid join token: its secret isn't a number in base 36 (0-9, a-z)");
}

TEST_CASE("the token decides the role, and an old one opens nothing") {
  const std::string worker = token_of(9, 1).str();
  const std::string manager = token_of(9, 2).str();
  CHECK(role_of_token(worker, worker, manager) == model::NodeRole::worker);
  CHECK(role_of_token(manager, worker, manager) == model::NodeRole::manager);
  CHECK_FALSE(role_of_token(token_of(9, 3).str(), worker, manager));
  CHECK_FALSE(role_of_token(token_of(8, 1).str(), worker, manager));
  CHECK_FALSE(role_of_token("", worker, manager));
}
