// Plain text, written with one write each.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/container_files.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace skep::agent {
namespace {

constexpr const char* kNodeResolv = "/etc/resolv.conf";
constexpr const char* kBehindStubResolver = "/run/systemd/resolve/resolv.conf";

Status write_file(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) return fail(ErrorKind::internal, "can't write " + path);
  return {};
}

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool names_server(std::string_view line) {
  return line.starts_with("nameserver ") || line.starts_with("nameserver\t");
}

bool names_local_server(std::string_view line) {
  if (!names_server(line)) return false;
  std::string_view address = line.substr(11);
  while (!address.empty() && (address.front() == ' ' || address.front() == '\t')) {
    address.remove_prefix(1);
  }
  return address.starts_with("127.") || address == "::1";
}

template <class Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    visit(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

void put_list(std::string* out, std::string_view keyword, const std::vector<std::string>& words) {
  if (words.empty()) return;
  *out += keyword;
  for (const std::string& word : words) *out += " " + word;
  *out += "\n";
}

}  // namespace

std::string hosts_text(const model::ContainerSpec& spec, std::string_view hostname,
                       std::string_view address) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "ff00::0\tip6-mcastprefix\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  for (const std::string& entry : spec.hosts) text += entry + "\n";
  if (!address.empty()) {
    text.append(address).append("\t").append(hostname).append("\n");
  }
  return text;
}

std::string resolv_text(const model::ContainerSpec& spec, std::string_view node_text) {
  std::string text;
  const bool own_servers = spec.dns && !spec.dns->nameservers.empty();
  const bool own_search = spec.dns && !spec.dns->search.empty();
  const bool own_options = spec.dns && !spec.dns->options.empty();
  each_line(node_text, [&](std::string_view line) {
    if (names_server(line) && (own_servers || names_local_server(line))) return;
    if (own_search && (line.starts_with("search") || line.starts_with("domain"))) return;
    if (own_options && line.starts_with("options")) return;
    if (line.starts_with("#") || line.empty()) return;
    text.append(line).append("\n");
  });
  if (own_servers) {
    for (const std::string& server : spec.dns->nameservers) text += "nameserver " + server + "\n";
  }
  if (own_search) put_list(&text, "search", spec.dns->search);
  if (own_options) put_list(&text, "options", spec.dns->options);
  return text;
}

std::string node_resolv_text() {
  std::string text = read_file(kNodeResolv);
  bool reachable = false;
  each_line(text, [&](std::string_view line) {
    reachable = reachable || (names_server(line) && !names_local_server(line));
  });
  if (!reachable) {
    std::string behind = read_file(kBehindStubResolver);
    if (!behind.empty()) return behind;
  }
  return text;
}

Status rewrite_hosts(const ContainerFiles& files, const model::ContainerSpec& spec,
                     std::string_view hostname, std::string_view address) {
  return write_file(files.hosts(), hosts_text(spec, hostname, address));
}

Status write_container_files(const ContainerFiles& files, const model::ContainerSpec& spec,
                             std::string_view hostname, std::string_view address) {
  std::error_code error;
  std::filesystem::create_directories(files.folder, error);
  if (error)
    return fail(ErrorKind::internal, "can't make " + files.folder + ": " + error.message());
  SKEP_TRY(write_file(files.hostname(), std::string(hostname) + "\n"));
  SKEP_TRY(write_file(files.resolv(), resolv_text(spec, node_resolv_text())));
  return rewrite_hosts(files, spec, hostname, address);
}

Status remove_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return fail(ErrorKind::internal, "can't remove " + folder + ": " + error.message());
  return {};
}

}  // namespace skep::agent
