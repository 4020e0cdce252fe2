// The table of error kinds against the contract with drivers: core may not include the SDK, so this
// does.
// SPDX-License-Identifier: Apache-2.0
#include <skep/abi.h>

#include <catch2/catch.hpp>
#include <set>

#include "core/model/result.hpp"

using namespace skep;

TEST_CASE("each error kind has the ABI code of the contract") {
  CHECK(info(ErrorKind::invalid).abi_code == SKEP_E_INVALID);
  CHECK(info(ErrorKind::denied).abi_code == SKEP_E_DENIED);
  CHECK(info(ErrorKind::not_found).abi_code == SKEP_E_NOTFOUND);
  CHECK(info(ErrorKind::conflict).abi_code == SKEP_E_EXISTS);
  CHECK(info(ErrorKind::busy).abi_code == SKEP_E_BUSY);
  CHECK(info(ErrorKind::precondition).abi_code == SKEP_E_PRECONDITION);
  CHECK(info(ErrorKind::exhausted).abi_code == SKEP_E_EXHAUSTED);
  CHECK(info(ErrorKind::unimplemented).abi_code == SKEP_E_UNIMPLEMENTED);
  CHECK(info(ErrorKind::unavailable).abi_code == SKEP_E_UNAVAILABLE);
  CHECK(info(ErrorKind::deadline).abi_code == SKEP_E_DEADLINE);
  CHECK(info(ErrorKind::cancelled).abi_code == SKEP_E_CANCELLED);
  CHECK(info(ErrorKind::internal).abi_code == SKEP_E_INTERNAL);
  CHECK(info(ErrorKind::plugin_lost).abi_code == SKEP_E_PLUGIN_LOST);
}

TEST_CASE("each code of the contract reads as a kind, and an unknown one as internal") {
  CHECK(error_kind_from_abi(SKEP_E_BUSY) == ErrorKind::busy);
  CHECK(error_kind_from_abi(SKEP_E_EXISTS) == ErrorKind::conflict);
  CHECK(error_kind_from_abi(SKEP_E_DENIED) == ErrorKind::denied);
  CHECK(error_kind_from_abi(SKEP_E_INVALID) == ErrorKind::invalid);
  CHECK(error_kind_from_abi(SKEP_E_UNAVAILABLE) == ErrorKind::unavailable);
  CHECK(error_kind_from_abi(SKEP_E_PLUGIN_LOST) == ErrorKind::plugin_lost);
  CHECK(error_kind_from_abi(-99) == ErrorKind::internal);
}

TEST_CASE("what is in use is a conflict to an HTTP client, who can't tell the two apart") {
  CHECK(info(ErrorKind::busy).http_status == 409);
  CHECK(error_kind_from_http(409) == ErrorKind::conflict);
}

TEST_CASE("context is told from the outside in") {
  const Error error{ErrorKind::invalid, "unknown key"};
  CHECK(error.within("constraint 'x'").within("service web").message ==
        "service web: constraint 'x': unknown key");
}
