// Makes the walkthrough's images out of Debian's busybox-static, without any container tool.
//
// An image is bytes only: a configuration, a manifest, and layers that are gzipped tar archives.
// The same input gives the same bytes (no times, sorted entries), so pushing twice pushes nothing.
// The web server is busybox's; it is in no way Apache, only its place and its answer are the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/model/result.hpp"

namespace skep::cli::playground {

struct Blob {
  std::string digest;  // "sha256:..." of bytes
  std::string bytes;
};

struct Image {
  std::string repository;         // "library/httpd"
  std::vector<std::string> tags;  // at least one
  std::string manifest;           // JSON, Docker's schema 2
  std::string manifest_type;      // its media type
  std::vector<Blob> blobs;        // configuration and layers
};

// busybox 1.28.3, httpd 2.4.34 and 2.4.35 (2.4.35 being latest), from that busybox program.
Result<std::vector<Image>> build_images(const std::filesystem::path& busybox);

}  // namespace skep::cli::playground
