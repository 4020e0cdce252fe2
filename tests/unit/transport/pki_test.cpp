// Certificates: what the signer puts in, what it refuses, and what is on disk afterwards.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/pki.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "daemon/transport/pki_store.hpp"
#include "tests/unit/transport/world.hpp"

using namespace skep;
using namespace skep::transport;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("skep-pki-" + std::to_string(::getpid()));
  ~Folder() { fs::remove_all(path); }
};

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

}  // namespace

TEST_CASE("a node certificate says who its holder is") {
  World world;
  const NodeCredentials made = world.node(5, model::NodeRole::worker);
  const Result<PeerIdentity> who = identity_of(made.certificate_pem);
  REQUIRE(who);
  CHECK(who->node == model::NodeId{{1, 5}});
  CHECK(who->cluster == world.cluster);
  CHECK(who->role == model::NodeRole::worker);
  const auto left = who->expires_at - wall_now();
  CHECK(left > std::chrono::hours(24 * 90 - 1));
  CHECK(left <= std::chrono::hours(24 * 90));
}

TEST_CASE("credentials of another root or with another key are refused") {
  World world;
  World other;
  const NodeCredentials a = world.node(5, model::NodeRole::worker);
  const NodeCredentials b = world.node(6, model::NodeRole::worker);
  CHECK(check_credentials(a.root_pem, a.certificate_pem, a.key_pem));
  CHECK_FALSE(check_credentials(a.root_pem, a.certificate_pem, b.key_pem));
  CHECK_FALSE(check_credentials(other.root.certificate_pem, a.certificate_pem, a.key_pem));
}

TEST_CASE("what isn't a certificate request is not signed") {
  World world;
  CertificateOrder order;
  order.node = model::NodeId{{1, 5}};
  order.cluster = world.cluster;
  const Result<std::string> garbage = sign_request(world.root, "garbage", order, wall_now());
  REQUIRE_FALSE(garbage);
  CHECK(garbage.error().kind == ErrorKind::invalid);
  // A request whose bytes were changed after it was signed.
  std::string csr = make_request()->csr_pem;
  const size_t middle = csr.size() / 2;
  csr[middle] = csr[middle] == 'A' ? 'B' : 'A';
  CHECK_FALSE(sign_request(world.root, csr, order, wall_now()));
}

TEST_CASE("the issuer's subject and key are DER sequences") {
  World world;
  const Result<IssuerInfo> issuer = issuer_info(world.root.certificate_pem);
  REQUIRE(issuer);
  CHECK(issuer->subject_der.substr(0, 1) == "\x30");
  CHECK(issuer->public_key_der.size() == 91);  // SubjectPublicKeyInfo of a P-256 key
}

TEST_CASE("credentials survive on disk, for their owner's eyes only") {
  World world;
  Folder folder;
  const Result<std::optional<NodeCredentials>> none = load_credentials(folder.path);
  REQUIRE(none);
  CHECK_FALSE(*none);
  const NodeCredentials first = world.node(5, model::NodeRole::worker);
  const NodeCredentials second = world.node(5, model::NodeRole::manager);
  REQUIRE(save_credentials(folder.path, first));
  REQUIRE(save_credentials(folder.path, second));
  const Result<std::optional<NodeCredentials>> loaded = load_credentials(folder.path);
  REQUIRE(loaded);
  REQUIRE(*loaded);
  CHECK((*loaded)->identity == second.identity);
  CHECK((*loaded)->key_pem == second.key_pem);
  CHECK(mode_of(folder.path) == 0700);
  CHECK(mode_of(folder.path / "node.pem") == 0600);
  REQUIRE(remove_credentials(folder.path));
  CHECK_FALSE(load_credentials(folder.path)->has_value());
}

TEST_CASE("a damaged credentials file is an error that names the folder") {
  World world;
  Folder folder;
  REQUIRE(save_credentials(folder.path, world.node(5, model::NodeRole::worker)));
  std::ofstream(folder.path / "root.crt") << "nonsense";
  const Result<std::optional<NodeCredentials>> loaded = load_credentials(folder.path);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().message.find(folder.path.string()) != std::string::npos);
}
