// Files by hand, through file descriptors: std::ofstream can neither sync nor set a mode at birth.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/pki_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace skep::transport {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRootFile = "root.crt";
constexpr const char* kNodeFile = "node.pem";
constexpr size_t kFileBytesMax = 256 * 1024;
constexpr std::string_view kSealedName = "SKEP SEALED PRIVATE KEY";
constexpr std::string_view kCertificateBegin = "-----BEGIN CERTIFICATE-----";

// Closes at the end of its scope.
struct Descriptor {
  int fd = -1;
  explicit Descriptor(int opened) : fd(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

tl::unexpected<Error> system_error(std::string_view doing, const fs::path& path, int error) {
  const ErrorKind kind =
      error == ENOSPC || error == EDQUOT ? ErrorKind::exhausted : ErrorKind::internal;
  return fail(kind,
              "can't " + std::string(doing) + " " + path.string() + ": " + std::strerror(error));
}

Status sync_folder(const fs::path& folder) {
  Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.fd < 0) return system_error("open", folder, errno);
  if (::fsync(directory.fd) != 0) return system_error("sync", folder, errno);
  return {};
}

Status make_folder(const fs::path& folder) {
  std::error_code error;
  const bool made = fs::create_directories(folder, error);
  if (error) return system_error("make the folder", folder, error.value());
  if (::chmod(folder.c_str(), 0700) != 0) return system_error("protect", folder, errno);
  return made && folder.has_parent_path() ? sync_folder(folder.parent_path()) : Status{};
}

// When it returns well the file is there after a crash too.
Status write_file(const fs::path& path, std::string_view text) {
  const fs::path beside = path.string() + ".new";
  if (::unlink(beside.c_str()) != 0 && errno != ENOENT)
    return system_error("remove", beside, errno);
  {
    Descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.fd < 0) return system_error("create", beside, errno);
    while (!text.empty()) {
      const ssize_t written = ::write(file.fd, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return system_error("write", beside, errno);
      text.remove_prefix(static_cast<size_t>(written));
    }
    if (::fsync(file.fd) != 0) return system_error("sync", beside, errno);
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) return system_error("rename", beside, errno);
  return sync_folder(path.parent_path());
}

// nullopt: no such file.
Result<std::optional<std::string>> read_file(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd < 0 && errno == ENOENT) return std::optional<std::string>();
  if (file.fd < 0) return system_error("open", path, errno);
  std::string text;
  std::array<char, 4096> chunk;
  while (true) {
    const ssize_t got = ::read(file.fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read", path, errno);
    if (got == 0) break;
    text.append(chunk.data(), static_cast<size_t>(got));
    if (text.size() > kFileBytesMax) {
      return fail(ErrorKind::too_large, path.string() + " is over 256 KiB");
    }
  }
  return std::optional<std::string>(std::move(text));
}

// The two files. nullopt: the node has no credentials.
struct Files {
  std::string root;
  std::string key;  // what stands before the certificate
  std::string certificate;
};
Result<std::optional<Files>> read_files(const fs::path& folder) {
  SKEP_TRY_ASSIGN(std::optional<std::string> root, read_file(folder / kRootFile));
  SKEP_TRY_ASSIGN(std::optional<std::string> node, read_file(folder / kNodeFile));
  // The root alone is what a crash in the middle of the first save leaves: nothing yet.
  if (!node) return std::optional<Files>();
  if (!root) return fail(ErrorKind::internal, (folder / kRootFile).string() + " is missing");
  const size_t split = node->find(kCertificateBegin);
  if (split == std::string::npos) {
    return fail(ErrorKind::internal, (folder / kNodeFile).string() + " holds no certificate");
  }
  return std::optional<Files>(Files{std::move(*root), node->substr(0, split), node->substr(split)});
}

bool is_sealed(const Files& files) {
  return files.key.starts_with("-----BEGIN " + std::string(kSealedName) + "-----");
}

}  // namespace

Status save_credentials(const fs::path& folder, const NodeCredentials& credentials,
                        const std::vector<std::string>& sealed_keys) {
  std::string key = sealed_keys.empty() ? credentials.key_pem : std::string();
  for (const std::string& sealed : sealed_keys) {
    SKEP_TRY_ASSIGN(const std::string armoured, to_pem(kSealedName, sealed));
    key += armoured;
  }
  SKEP_TRY(make_folder(folder));
  const fs::path roots = folder / kRootFile;
  SKEP_TRY_ASSIGN(const std::optional<std::string> before, read_file(roots));
  const bool others = before && *before != credentials.root_pem;
  SKEP_TRY(write_file(roots, others ? *before + credentials.root_pem : credentials.root_pem));
  SKEP_TRY(write_file(folder / kNodeFile, key + credentials.certificate_pem));
  return others ? write_file(roots, credentials.root_pem) : Status{};
}

Result<std::optional<NodeCredentials>> load_credentials(const fs::path& folder) {
  SKEP_TRY_ASSIGN(std::optional<Files> files, read_files(folder));
  if (!files) return std::optional<NodeCredentials>();
  if (is_sealed(*files)) {
    return fail(ErrorKind::precondition, (folder / kNodeFile).string() + " holds a sealed key");
  }
  Result<NodeCredentials> credentials = check_credentials(
      std::move(files->root), std::move(files->certificate), std::move(files->key));
  if (!credentials) return fail(credentials.error().within(folder.string()));
  return std::optional<NodeCredentials>(std::move(*credentials));
}

Result<std::optional<SealedCredentials>> load_sealed_credentials(const fs::path& folder) {
  SKEP_TRY_ASSIGN(std::optional<Files> files, read_files(folder));
  if (!files || !is_sealed(*files)) return std::optional<SealedCredentials>();
  SealedCredentials sealed;
  Result<std::vector<std::string>> keys = from_pem(kSealedName, files->key);
  if (!keys) return fail(keys.error().within((folder / kNodeFile).string()));
  sealed.sealed_keys = std::move(*keys);
  const Result<PeerIdentity> identity = identity_of(files->certificate);
  if (!identity) return fail(identity.error().within((folder / kNodeFile).string()));
  sealed.identity = *identity;
  sealed.root_pem = std::move(files->root);
  sealed.certificate_pem = std::move(files->certificate);
  return std::optional<SealedCredentials>(std::move(sealed));
}

Status remove_credentials(const fs::path& folder) {
  for (const char* name : {kNodeFile, kRootFile}) {
    const fs::path path = folder / name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove", path, errno);
  }
  std::error_code missing;
  if (!fs::exists(folder, missing)) return {};
  return sync_folder(folder);
}

}  // namespace skep::transport
