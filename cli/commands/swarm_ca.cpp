// `skep swarm ca`: show the root of the cluster's trust, or change it and watch the nodes follow.
//
// The change is over when every node has a certificate of the new root and trusts it alone; a node
// that is down holds it up. Ending this program doesn't end the change.
// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/commands/commands.hpp"

namespace skep::cli {
namespace {

constexpr std::chrono::milliseconds kLookEvery{300};
constexpr std::streamsize kPemBytesMax = 256 * 1024;

struct CaOptions {
  bool rotate = false;
  bool detach = false;
  bool quiet = false;
  std::optional<std::string> certificate_file;
  std::optional<std::string> key_file;
  std::optional<std::string> external;
  std::optional<int64_t> cert_expiry;
};

Result<std::string> read_pem(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::invalid, "can't open " + path);
  std::string text(static_cast<size_t>(kPemBytesMax) + 1, '\0');
  file.read(text.data(), kPemBytesMax + 1);
  if (file.gcount() > kPemBytesMax) return fail(ErrorKind::too_large, path + " is over 256 KiB");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.empty()) return fail(ErrorKind::invalid, path + " is empty");
  return text;
}

// What needs --rotate, and what can't be.
Status check(const CaOptions& options) {
  const std::pair<bool, const char*> need_rotate[] = {
      {options.certificate_file.has_value(), "--ca-cert"},
      {options.key_file.has_value(), "--ca-key"},
      {options.cert_expiry.has_value(), "--cert-expiry"},
      {options.external.has_value(), "--external-ca"},
  };
  for (const auto& [given, flag] : need_rotate) {
    if (given && !options.rotate) {
      return fail(ErrorKind::invalid,
                  std::string("`") + flag + "` flag requires the `--rotate` flag to update the CA");
    }
  }
  if (options.external) return fail(ErrorKind::unimplemented, "external CAs are not built yet");
  if (options.certificate_file && !options.key_file) {
    return fail(ErrorKind::invalid, "--ca-cert needs --ca-key: the managers sign with it");
  }
  if (options.key_file && !options.certificate_file) {
    return fail(ErrorKind::invalid, "--ca-key needs --ca-cert");
  }
  return {};
}

struct Look {
  int64_t nodes = 0;
  int64_t certificates = 0;  // of the wanted root
  int64_t roots = 0;         // nodes that trust the new root alone
  bool over = false;
  bool operator==(const Look&) const = default;
};

Result<Look> look(const Daemon& daemon) {
  SKEP_TRY_ASSIGN(const Json swarm, daemon.get("/swarm"));
  SKEP_TRY_ASSIGN(const Json nodes, daemon.get("/nodes"));
  const bool going_on = flag_at(swarm, "/RootRotationInProgress");
  Look seen;
  for (const Json& node : nodes) {
    const Json& theirs = value_at(node, "/Description/TLSInfo");
    const auto same = [&](const char* field) {
      return text_at(theirs, field) == text_at(value_at(swarm, "/TLSInfo"), field);
    };
    ++seen.nodes;
    if (same("/CertIssuerSubject") && same("/CertIssuerPublicKey")) ++seen.certificates;
    if (!going_on && same("/TrustRoot")) ++seen.roots;
  }
  seen.over = !going_on && seen.certificates == seen.nodes && seen.roots == seen.nodes;
  return seen;
}

void show(const Look& seen) {
  const auto line = [&](const char* what, int64_t done) {
    std::printf("rotated %s: %lld/%lld nodes\n", what, static_cast<long long>(done),
                static_cast<long long>(seen.nodes));
  };
  line("TLS certificates", seen.certificates);
  line("CA certificates", seen.roots);
  std::fflush(stdout);
}

Status watch(const Daemon& daemon, const CaOptions& options) {
  Look last;
  for (;;) {
    SKEP_TRY_ASSIGN(const Look seen, look(daemon));
    if (!options.quiet && seen != last) show(seen);
    if (seen.over) return {};
    last = seen;
    std::this_thread::sleep_for(kLookEvery);
  }
}

Status rotate(const Daemon& daemon, const CaOptions& options) {
  SKEP_TRY_ASSIGN(const Json swarm, daemon.get("/swarm"));
  Json spec = value_at(swarm, "/Spec");
  Json& config = spec["CAConfig"];
  if (options.cert_expiry) config["NodeCertExpiry"] = *options.cert_expiry;
  if (options.certificate_file) {
    SKEP_TRY_ASSIGN(config["SigningCACert"], read_pem(*options.certificate_file));
    SKEP_TRY_ASSIGN(config["SigningCAKey"], read_pem(*options.key_file));
  } else {
    config["ForceRotate"] = integer_at(swarm, "/Spec/CAConfig/ForceRotate") + 1;
  }
  SKEP_TRY(
      daemon.post("/swarm/update?version=" + std::to_string(integer_at(swarm, "/Version/Index")) +
                      "&rotateWorkerToken=false&rotateManagerToken=false"
                      "&rotateManagerUnlockKey=false",
                  spec));
  return {};
}

Result<int> ca(const CaOptions& options, const Session& session) {
  SKEP_TRY(check(options));
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  if (options.rotate) {
    SKEP_TRY(rotate(daemon, options));
    if (options.detach) return 0;
    SKEP_TRY(watch(daemon, options));
  }
  SKEP_TRY_ASSIGN(const Json swarm, daemon.get("/swarm"));
  const std::string root = text_at(swarm, "/TLSInfo/TrustRoot");
  if (root.empty()) return fail(ErrorKind::internal, "No CA information available");
  std::printf("%s", root.c_str());
  if (!root.ends_with('\n')) std::printf("\n");
  return 0;
}

}  // namespace

void add_swarm_ca(const Command& group, const Session& session) {
  const Command command = group.command("ca", "Display and rotate the root CA", {});
  CaOptions& options = command.own<CaOptions>();
  command.text("--ca-cert", options.certificate_file, "pem-file",
               "Path to the PEM-formatted root CA certificate to use for the new cluster");
  command.text("--ca-key", options.key_file, "pem-file",
               "Path to the PEM-formatted root CA key to use for the new cluster");
  command.duration("--cert-expiry", options.cert_expiry,
                   "Validity period for node certificates (ns|us|ms|s|m|h) (default 2160h0m0s)");
  command.flag("-d,--detach", options.detach,
               "Exit immediately instead of waiting for the root rotation to converge");
  command.text("--external-ca", options.external, "external-ca",
               "Specifications of one or more certificate signing endpoints");
  command.flag("-q,--quiet", options.quiet, "Suppress progress output");
  command.flag("--rotate", options.rotate,
               "Rotate the swarm CA - if no certificate or key are provided, new ones will be "
               "generated");
  command.run([&](const Words&) { return ca(options, session); });
}

}  // namespace skep::cli
