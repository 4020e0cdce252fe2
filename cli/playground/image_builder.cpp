// Layers with libarchive, digests with OpenSSL, configuration and manifest as JSON.
//
// Process 1 of the web server is a shell that only waits: `wait` is what a trap may interrupt, so a
// SIGTERM ends the container in a millisecond or two. Were the server itself process 1 it would
// ignore SIGTERM, as every PID 1 without a handler does, and each stop would take its whole grace
// period.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/image_builder.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/playground/layout.hpp"
#include "cli/playground/process.hpp"

namespace skep::cli::playground {
namespace {

using nlohmann::json;

constexpr const char* kServerRoot = "/usr/local/apache2";
constexpr const char* kItWorks = "<html><body><h1>It works!</h1></body></html>\n";
constexpr const char* kForeground =
    "#!/bin/sh\n"
    "echo \"$VERSION $(hostname)\" > /run/who\n"
    "trap 'exit 0' TERM INT WINCH\n"
    "httpd -f -p 80 -h /usr/local/apache2/htdocs &\n"
    "wait $!\n";

struct Entry {
  enum class Kind { file, folder, link };
  Kind kind;
  std::string path;  // without a leading slash
  std::string data;  // a file's content or a link's target
  unsigned mode;
};

struct Layer {
  Blob blob;                // compressed, as it is sent
  std::string diff_digest;  // of the tar archive inside
};

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "sha256:";
  for (unsigned i = 0; i < length; ++i) text += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  return text;
}

Blob blob_of(std::string bytes) {
  std::string digest = sha256(bytes);
  return {.digest = std::move(digest), .bytes = std::move(bytes)};
}

la_ssize_t append_to(archive*, void* out, const void* data, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

using Writer = std::unique_ptr<archive, decltype(&archive_write_free)>;
using ArchiveEntry = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

Result<std::string> tar(std::vector<Entry> entries) {
  // By path, so that a folder stands before what is in it and the bytes depend on nothing else.
  std::ranges::sort(entries, {}, &Entry::path);
  std::string out;
  const Writer writer(archive_write_new(), &archive_write_free);
  archive_write_set_format_ustar(writer.get());
  int state = archive_write_open(writer.get(), &out, nullptr, append_to, nullptr);
  for (const Entry& entry : entries) {
    if (state != ARCHIVE_OK) break;
    const ArchiveEntry header(archive_entry_new(), &archive_entry_free);
    archive_entry_set_pathname(header.get(), entry.path.c_str());
    archive_entry_set_perm(header.get(), static_cast<mode_t>(entry.mode));
    archive_entry_set_mtime(header.get(), 0, 0);
    switch (entry.kind) {
      case Entry::Kind::file:
        archive_entry_set_filetype(header.get(), AE_IFREG);
        archive_entry_set_size(header.get(), static_cast<la_int64_t>(entry.data.size()));
        break;
      case Entry::Kind::folder:
        archive_entry_set_filetype(header.get(), AE_IFDIR);
        break;
      case Entry::Kind::link:
        archive_entry_set_filetype(header.get(), AE_IFLNK);
        archive_entry_set_symlink(header.get(), entry.data.c_str());
        break;
    }
    state = archive_write_header(writer.get(), header.get());
    if (state == ARCHIVE_OK && entry.kind == Entry::Kind::file && !entry.data.empty() &&
        archive_write_data(writer.get(), entry.data.data(), entry.data.size()) < 0) {
      state = ARCHIVE_FATAL;
    }
  }
  if (state == ARCHIVE_OK) state = archive_write_close(writer.get());
  if (state != ARCHIVE_OK) {
    return fail(ErrorKind::internal,
                std::string("making a layer: ") + archive_error_string(writer.get()));
  }
  return out;
}

// The "raw" format writes one entry's bytes as they are, through the gzip filter.
Result<std::string> gzip(const std::string& bytes) {
  std::string out;
  const Writer writer(archive_write_new(), &archive_write_free);
  archive_write_add_filter_gzip(writer.get());
  archive_write_set_filter_option(writer.get(), "gzip", "timestamp", nullptr);
  archive_write_set_format_raw(writer.get());
  archive_write_set_bytes_in_last_block(writer.get(), 1);
  const ArchiveEntry header(archive_entry_new(), &archive_entry_free);
  archive_entry_set_filetype(header.get(), AE_IFREG);
  if (archive_write_open(writer.get(), &out, nullptr, append_to, nullptr) != ARCHIVE_OK ||
      archive_write_header(writer.get(), header.get()) != ARCHIVE_OK ||
      archive_write_data(writer.get(), bytes.data(), bytes.size()) < 0 ||
      archive_write_close(writer.get()) != ARCHIVE_OK) {
    return fail(ErrorKind::internal,
                std::string("compressing a layer: ") + archive_error_string(writer.get()));
  }
  return out;
}

Result<Layer> make_layer(std::vector<Entry> entries) {
  SKEP_TRY_ASSIGN(const std::string archive, tar(std::move(entries)));
  SKEP_TRY_ASSIGN(std::string compressed, gzip(archive));
  return Layer{.blob = blob_of(std::move(compressed)), .diff_digest = sha256(archive)};
}

Result<std::vector<Entry>> base_entries(const std::filesystem::path& busybox) {
  using enum Entry::Kind;
  SKEP_TRY_ASSIGN(std::string program, read_file(busybox));
  SKEP_TRY_ASSIGN(const std::string applets, run({busybox, "--list"}, milliseconds(10'000)));
  std::vector<Entry> entries = {
      {file, "bin/busybox", std::move(program), 0755},
      {file, "etc/passwd",
       "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", 0644},
      {file, "etc/group", "root:x:0:\nnogroup:x:65534:\n", 0644},
      {file, "etc/hosts", "127.0.0.1 localhost\n", 0644},
      {file, "etc/hostname", "", 0644},
      {file, "etc/resolv.conf", "", 0644},
      {file, "etc/nsswitch.conf", "hosts: files dns\n", 0644},
      {folder, "tmp", "", 01777},
      {folder, "root", "", 0700}};
  for (const char* path : {"bin", "dev", "etc", "home", "proc", "run", "sbin", "sys", "usr",
                           "usr/bin", "usr/sbin", "var", "var/log", "var/spool"}) {
    entries.push_back({folder, path, "", 0755});
  }
  entries.push_back({link, "var/run", "../run", 0777});
  entries.push_back({folder, "var/tmp", "", 01777});
  std::istringstream names(applets);
  for (std::string name; names >> name;) {
    if (name != "busybox") entries.push_back({link, "bin/" + name, "busybox", 0777});
  }
  entries.push_back({link, "usr/bin/env", "../../bin/busybox", 0777});
  return entries;
}

std::vector<Entry> httpd_entries() {
  using enum Entry::Kind;
  return {{folder, "usr", "", 0755},
          {folder, "usr/local", "", 0755},
          {folder, "usr/local/apache2", "", 0755},
          {folder, "usr/local/apache2/htdocs", "", 0755},
          {file, "usr/local/apache2/htdocs/index.html", kItWorks, 0644},
          {link, "usr/local/apache2/htdocs/who", "/run/who", 0777},
          {folder, "usr/local/bin", "", 0755},
          {file, "usr/local/bin/httpd-foreground", kForeground, 0755}};
}

Image assemble(const std::string& name, std::vector<std::string> tags, json settings,
               const std::vector<Layer>& layers) {
  json diffs = json::array();
  json listed = json::array();
  Image image;
  image.repository = "library/" + name;
  image.tags = std::move(tags);
  image.manifest_type = "application/vnd.docker.distribution.manifest.v2+json";
  for (const Layer& layer : layers) {
    diffs.push_back(layer.diff_digest);
    listed.push_back({{"mediaType", "application/vnd.docker.image.rootfs.diff.tar.gzip"},
                      {"size", layer.blob.bytes.size()},
                      {"digest", layer.blob.digest}});
    image.blobs.push_back(layer.blob);
  }
  const json config = {{"architecture", "amd64"},
                       {"os", "linux"},
                       {"created", "1970-01-01T00:00:00Z"},
                       {"config", std::move(settings)},
                       {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(diffs)}}}};
  image.blobs.push_back(blob_of(config.dump()));
  const Blob& config_blob = image.blobs.back();
  const json manifest = {{"schemaVersion", 2},
                         {"mediaType", image.manifest_type},
                         {"config",
                          {{"mediaType", "application/vnd.docker.container.image.v1+json"},
                           {"size", config_blob.bytes.size()},
                           {"digest", config_blob.digest}}},
                         {"layers", std::move(listed)}};
  image.manifest = manifest.dump();
  return image;
}

Image httpd_image(const std::string& version, std::vector<std::string> tags,
                  const std::vector<Layer>& layers) {
  const json settings = {{"Env",
                          {std::string("PATH=") + kServerRoot +
                               "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                           std::string("HTTPD_PREFIX=") + kServerRoot, "HTTPD_VERSION=" + version,
                           "VERSION=" + version}},
                         {"Cmd", {"httpd-foreground"}},
                         {"ExposedPorts", {{"80/tcp", json::object()}}},
                         {"WorkingDir", kServerRoot}};
  return assemble("httpd", std::move(tags), settings, layers);
}

}  // namespace

Result<std::vector<Image>> build_images(const std::filesystem::path& busybox) {
  SKEP_TRY_ASSIGN(std::vector<Entry> base_files, base_entries(busybox));
  SKEP_TRY_ASSIGN(const Layer base, make_layer(std::move(base_files)));
  SKEP_TRY_ASSIGN(const Layer server, make_layer(httpd_entries()));
  const json busybox_settings = {
      {"Env",
       {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "VERSION=1.28.3"}},
      {"Cmd", {"sh"}},
      {"WorkingDir", "/"}};
  std::vector<Image> images;
  images.push_back(assemble("busybox", {"1.28.3", "latest"}, busybox_settings, {base}));
  images.push_back(httpd_image("2.4.34", {"2.4.34"}, {base, server}));
  images.push_back(httpd_image("2.4.35", {"2.4.35", "latest"}, {base, server}));
  return images;
}

}  // namespace skep::cli::playground
