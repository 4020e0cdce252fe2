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
  const Result<model::Issuer> issuer = issuer_info(world.root.certificate_pem);
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

TEST_CASE("a sealed key is on disk in its sealed forms alone, and back again plain") {
  World world;
  Folder folder;
  const NodeCredentials manager = world.node(5, model::NodeRole::manager);
  const std::string bytes("\0sealed\n-----", 14);
  REQUIRE(save_credentials(folder.path, manager, {bytes, "the other"}));
  std::ifstream file(folder.path / "node.pem");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text.find("BEGIN PRIVATE KEY") == std::string::npos);
  CHECK(text.find(manager.key_pem.substr(40, 40)) == std::string::npos);
  CHECK(load_credentials(folder.path).error().kind == ErrorKind::precondition);
  const auto sealed = load_sealed_credentials(folder.path);
  REQUIRE(sealed);
  REQUIRE(*sealed);
  CHECK((*sealed)->sealed_keys == std::vector<std::string>{bytes, "the other"});
  CHECK((*sealed)->identity == manager.identity);
  CHECK(check_credentials((*sealed)->root_pem, (*sealed)->certificate_pem, manager.key_pem));
  REQUIRE(save_credentials(folder.path, manager));
  CHECK_FALSE(load_sealed_credentials(folder.path)->has_value());
  CHECK((*load_credentials(folder.path))->key_pem == manager.key_pem);
  std::ofstream(folder.path / "node.pem")
      << "-----BEGIN SKEP SEALED PRIVATE KEY-----\nnonsense\n" + manager.certificate_pem;
  CHECK(load_sealed_credentials(folder.path).error().message.find("node.pem") != std::string::npos);
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

namespace {

// Root A, root B, and B as A signed it across.
struct TwoRoots {
  World a;
  World b;
  std::string crossed = *cross_sign(a.root, b.root.certificate_pem, wall_now());

  // A certificate of B with what A says of B behind it.
  NodeCredentials of_b(uint64_t id, model::NodeRole role) const {
    NodeCredentials made = b.node(id, role);
    made.certificate_pem += crossed;
    return made;
  }
  std::string both() const { return a.root.certificate_pem + b.root.certificate_pem; }
};

}  // namespace

TEST_CASE("what the new root signed is accepted by who knows either root, or both") {
  TwoRoots two;
  const NodeCredentials made = two.of_b(5, model::NodeRole::worker);
  const std::string& chain = made.certificate_pem;
  const auto by_old = check_credentials(two.a.root.certificate_pem, chain, made.key_pem);
  const auto by_new = check_credentials(two.b.root.certificate_pem, chain, made.key_pem);
  const auto by_both = check_credentials(two.both(), chain, made.key_pem);
  REQUIRE(by_old);
  REQUIRE(by_new);
  REQUIRE(by_both);
  // However it was reached, its issuer is B.
  const model::Issuer b = *issuer_info(two.b.root.certificate_pem);
  CHECK(by_old->issuer == b);
  CHECK(by_new->issuer == b);
  CHECK(by_both->issuer == b);
  CHECK(by_both->issuer != *issuer_info(two.a.root.certificate_pem));
}

TEST_CASE("the old root's certificates are good while both are trusted, and not after") {
  TwoRoots two;
  const NodeCredentials made = two.a.node(5, model::NodeRole::worker);
  CHECK(check_credentials(two.both(), made.certificate_pem, made.key_pem));
  CHECK_FALSE(check_credentials(two.b.root.certificate_pem, made.certificate_pem, made.key_pem));
  // Nor does the certificate that A signed for B turn things round.
  CHECK_FALSE(check_credentials(two.b.root.certificate_pem, made.certificate_pem + two.crossed,
                                made.key_pem));
}

TEST_CASE("without the cross-signed certificate the old root doesn't vouch for the new one's") {
  TwoRoots two;
  const NodeCredentials made = two.b.node(5, model::NodeRole::worker);
  CHECK_FALSE(check_credentials(two.a.root.certificate_pem, made.certificate_pem, made.key_pem));
}

TEST_CASE("a certificate says when it began, when it ends, and has a number of its own") {
  World world;
  const NodeCredentials one = world.node(5, model::NodeRole::worker);
  const NodeCredentials two = world.node(5, model::NodeRole::worker);
  CHECK(one.life.not_after == one.identity.expires_at);
  const auto behind = wall_now() - one.life.not_before;
  CHECK(behind >= std::chrono::hours(1));
  CHECK(behind < std::chrono::hours(1) + std::chrono::minutes(1));
  CHECK(one.draw != two.draw);
}

TEST_CASE("roots and certificate that change together are never apart on disk") {
  TwoRoots two;
  Folder folder;
  REQUIRE(save_credentials(folder.path, two.a.node(5, model::NodeRole::worker)));
  const NodeCredentials fresh = two.b.node(5, model::NodeRole::worker);
  // node.pem can't be replaced: what is there before the last step must still be good.
  fs::create_directory(folder.path / "node.pem.new");
  std::ofstream(folder.path / "node.pem.new" / "in the way") << "x";
  REQUIRE_FALSE(save_credentials(folder.path, fresh));
  const auto between = load_credentials(folder.path);
  REQUIRE(between);
  CHECK((*between)->identity.node == fresh.identity.node);
  fs::remove_all(folder.path / "node.pem.new");
  REQUIRE(save_credentials(folder.path, fresh));
  const auto after = load_credentials(folder.path);
  REQUIRE(after);
  CHECK((*after)->root_pem == two.b.root.certificate_pem);
  CHECK((*after)->certificate_pem == fresh.certificate_pem);
}

TEST_CASE("a root that an administrator brings is taken if it is one") {
  World world;
  const auto given = check_given_root(world.root.certificate_pem, world.root.key_pem, wall_now());
  REQUIRE(given);
  CHECK(given->certificate_pem == world.root.certificate_pem);
  // Lines before the text, as openssl prints them, are no difference.
  const auto chatty = check_given_root("subject=CN = x\n" + world.root.certificate_pem,
                                       world.root.key_pem, wall_now());
  REQUIRE(chatty);
  CHECK(*&chatty->certificate_pem == given->certificate_pem);
}

TEST_CASE("a given root is refused with what is wrong with it") {
  TwoRoots two;
  const KeyAndCertificate& root = two.a.root;
  const auto why = [](const Result<KeyAndCertificate>& given) {
    return given ? std::string("accepted") : given.error().message;
  };
  CHECK(why(check_given_root(root.certificate_pem, two.b.root.key_pem, wall_now())) ==
        "SigningCAKey: it doesn't belong to SigningCACert");
  CHECK(why(check_given_root(root.certificate_pem, "", wall_now())) ==
        "SigningCAKey: it is no private key in PEM");
  CHECK(why(check_given_root(two.both(), root.key_pem, wall_now())) ==
        "SigningCACert: more than one certificate");
  CHECK(why(check_given_root(root.certificate_pem, root.key_pem,
                             wall_now() + std::chrono::hours(24 * 365 * 19 + 24 * 100))) ==
        "SigningCACert: it must hold for another year at least");
  CHECK(why(check_given_root(root.certificate_pem, root.key_pem,
                             wall_now() + (-std::chrono::hours(2)))) ==
        "SigningCACert: its time has not begun yet");
  const NodeCredentials leaf = two.a.node(5, model::NodeRole::worker);
  CHECK(why(check_given_root(leaf.certificate_pem, leaf.key_pem, wall_now())) ==
        "SigningCACert: the certificate is not one of an authority");
  CHECK(why(check_given_root(two.crossed, two.b.root.key_pem, wall_now())) ==
        "SigningCACert: its path length is 0, so it could never vouch for its successor");
}
