// File checks and the ELF note.
//
// The reader handles 64-bit little-endian ELF, which is what every machine we build for has, and
// walks the program headers (PT_NOTE), because section headers may be stripped. Every offset in the
// file is checked against its size: the file is somebody else's.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/host/note.hpp"

#include <elf.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "skep/abi.h"

namespace skep::host {
namespace {

constexpr uint16_t program_headers_max = 256;          // real libraries have about ten
constexpr uint64_t note_segment_max = 1u << 20;        // bytes; real ones are under 1 KiB
constexpr uint64_t file_size_max = uint64_t{1} << 30;  // bytes of a plugin file

#if defined(__x86_64__)
constexpr uint16_t own_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t own_machine = EM_AARCH64;
#else
#error "name this machine's ELF number here"
#endif

std::string errno_text(int number) {
  return std::strerror(number);
}

// Owner and mode of a file or folder; `sticky_ok` for folders.
Status check_rights(const struct stat& status, const std::string& path, bool folder) {
  if (status.st_uid != 0 && status.st_uid != geteuid()) {
    return fail(ErrorKind::denied, fmt::format("bad_owner: {} belongs to user {}; chown it to root",
                                               path, status.st_uid));
  }
  const bool writable_by_others = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  const bool root_sticky = folder && status.st_uid == 0 && (status.st_mode & S_ISVTX) != 0;
  if (writable_by_others && !root_sticky) {
    return fail(ErrorKind::denied,
                fmt::format("bad_mode: {} can be written by its group or by others (mode {:04o}); "
                            "run chmod go-w on it",
                            path, status.st_mode & 07777));
  }
  return {};
}

Result<Place> judged(const std::string& path, bool folder) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) {
    return fail(ErrorKind::denied,
                fmt::format("not_a_file: {} can't be examined ({}); make it readable", path,
                            errno_text(errno)));
  }
  return Place{.path = path,
               .owner = status.st_uid,
               .mode = status.st_mode & 07777,
               .verdict = check_rights(status, path, folder)};
}

// From the one that holds `path` up to the root, with symbolic links followed.
Result<std::vector<Place>> folders_of(const std::string& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) {
    return fail(ErrorKind::not_found,
                fmt::format("not_a_file: {} can't be resolved ({}); check the path of the plugin",
                            path, error.message()));
  }
  std::vector<Place> folders;
  for (std::filesystem::path folder = real.parent_path();; folder = folder.parent_path()) {
    SKEP_TRY_ASSIGN(Place place, judged(folder.string(), true));
    folders.push_back(std::move(place));
    if (folder == folder.root_path()) return folders;
  }
}

Status check_folders(const std::string& path) {
  SKEP_TRY_ASSIGN(const std::vector<Place> folders, folders_of(path));
  for (const Place& folder : folders) SKEP_TRY(folder.verdict);
  return {};
}

// All of `length` bytes at `offset`, or false.
bool read_at(int descriptor, void* buffer, size_t length, uint64_t offset) {
  auto* target = static_cast<char*>(buffer);
  while (length > 0) {
    const ssize_t count = pread(descriptor, target, length, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    target += count;
    offset += static_cast<uint64_t>(count);
    length -= static_cast<size_t>(count);
  }
  return true;
}

// Copies the file into memory that can never change again, so that the bytes hashed are the bytes
// run.
Result<int> sealed_copy(int source, const std::string& path) {
  const int copy = memfd_create("skep-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (copy < 0) {
    return fail(ErrorKind::internal, fmt::format("{}: memfd_create: {}", path, errno_text(errno)));
  }
  std::array<char, 65536> buffer{};
  uint64_t offset = 0;
  for (;;) {
    const ssize_t count = pread(source, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 || write(copy, buffer.data(), static_cast<size_t>(count)) != count) {
      const std::string reason = errno_text(errno);
      close(copy);
      return fail(ErrorKind::internal, fmt::format("{}: can't be copied: {}", path, reason));
    }
    offset += static_cast<uint64_t>(count);
  }
  // Not F_SEAL_WRITE, which also waits for whoever holds one of the pages at this moment (the
  // kernel itself does, on a busy machine) and fails after a while; nobody has mapped this file
  // yet.
  const int seals = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (fcntl(copy, F_ADD_SEALS, seals) != 0) {
    const std::string reason = errno_text(errno);
    close(copy);
    return fail(ErrorKind::internal, fmt::format("{}: can't be sealed: {}", path, reason));
  }
  return copy;
}

Result<std::vector<Elf64_Phdr>> program_headers(int descriptor, const std::string& path) {
  Elf64_Ehdr header{};
  if (!read_at(descriptor, &header, sizeof header, 0) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return fail(
        ErrorKind::invalid,
        fmt::format("not_elf: {} is not a shared object; give the path of a .so file", path));
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != own_machine) {
    return fail(ErrorKind::invalid,
                fmt::format("wrong_machine: {} is for ELF machine {}, this host is {}; install the "
                            "build for this machine",
                            path, header.e_machine, own_machine));
  }
  if (header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > program_headers_max) {
    return fail(ErrorKind::invalid,
                fmt::format("not_elf: {} is an ELF file but no shared object; give the path of a "
                            ".so file",
                            path));
  }
  std::vector<Elf64_Phdr> headers(header.e_phnum);
  if (!read_at(descriptor, headers.data(), headers.size() * sizeof(Elf64_Phdr), header.e_phoff)) {
    return fail(ErrorKind::invalid,
                fmt::format("not_elf: {} is cut short; install it again", path));
  }
  struct stat status {};
  if (fstat(descriptor, &status) != 0) {
    return fail(ErrorKind::internal, path + ": " + errno_text(errno));
  }
  const auto size = static_cast<uint64_t>(status.st_size);
  for (const Elf64_Phdr& segment : headers) {
    // The dynamic linker maps without looking; a missing page would end the daemon with SIGBUS.
    if (segment.p_type == PT_LOAD &&
        (segment.p_offset > size || segment.p_filesz > size - segment.p_offset)) {
      return fail(ErrorKind::invalid,
                  fmt::format("not_elf: {} is cut short; install it again", path));
    }
  }
  return headers;
}

// The text of skep's note in one PT_NOTE segment, if it is there.
std::optional<std::string> find_note(std::string_view segment) {
  size_t at = 0;
  while (segment.size() - at >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note{};
    std::memcpy(&note, segment.data() + at, sizeof note);
    at += sizeof note;
    const auto padded = [](uint32_t size) { return (uint64_t{size} + 3) / 4 * 4; };
    const uint64_t name_size = padded(note.n_namesz);
    const uint64_t desc_size = padded(note.n_descsz);
    if (name_size + desc_size > segment.size() - at) return std::nullopt;
    const std::string_view name = segment.substr(at, note.n_namesz);
    const std::string_view desc = segment.substr(at + name_size, note.n_descsz);
    if (note.n_type == SKEP_NOTE_TYPE && name == std::string_view("skep\0", 5)) {
      return std::string(desc.substr(0, desc.find('\0')));
    }
    at += name_size + desc_size;
  }
  return std::nullopt;
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What the ABI allows as the id of a driver: it becomes part of names and messages.
bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= SKEP_ID_MAX &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// A text of somebody else's for a message.
std::string shown(std::string_view text) {
  std::string line(text.substr(0, SKEP_NOTE_DESC_SIZE));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

Result<CheckedFile> CheckedFile::open(const std::string& path,
                                      const std::optional<std::string>& sha256, LoadBy by) {
  if (!path.starts_with('/')) {
    return fail(ErrorKind::invalid,
                fmt::format("not_a_file: {} is not an absolute path; write it in full", path));
  }
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    const int number = errno;
    if (number == ELOOP) {
      return fail(
          ErrorKind::denied,
          fmt::format("not_a_file: {} is a symbolic link; give the path it leads to", path));
    }
    return fail(number == ENOENT ? ErrorKind::not_found : ErrorKind::denied,
                fmt::format("not_a_file: {} can't be opened ({}); check the path of the plugin",
                            path, errno_text(number)));
  }
  CheckedFile file(path, descriptor);
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<uint64_t>(status.st_size) > file_size_max) {
    return fail(
        ErrorKind::invalid,
        fmt::format("not_a_file: {} is no regular file; give the path of a .so file", path));
  }
  SKEP_TRY(check_rights(status, path, false));
  SKEP_TRY(check_folders(path));
  SKEP_TRY_ASSIGN(const int copy, sealed_copy(descriptor, path));
  CheckedFile sealed(path, copy);
  sealed.by_descriptor_ = by == LoadBy::descriptor;
  if (!sha256) return sealed;
  SKEP_TRY_ASSIGN(const std::string found, sha256_of(copy));
  std::string wanted = *sha256;
  std::transform(wanted.begin(), wanted.end(), wanted.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (found != wanted) {
    return fail(ErrorKind::denied,
                fmt::format("bad_hash: {} has sha256 {}, the configuration wants {}; install the "
                            "right file or change the pin",
                            path, found, wanted));
  }
  return sealed;
}

Result<std::string> sha256_of(int descriptor) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
  if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) {
    return fail(ErrorKind::internal, "SHA-256 is not available in OpenSSL");
  }
  std::array<char, 65536> buffer{};
  uint64_t offset = 0;
  for (;;) {
    const ssize_t count =
        pread(descriptor, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(ErrorKind::internal, "a plugin can't be read: " + errno_text(errno));
    EVP_DigestUpdate(digest.get(), buffer.data(), static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned int length = 0;
  if (EVP_DigestFinal_ex(digest.get(), value.data(), &length) != 1) {
    return fail(ErrorKind::internal, "SHA-256 failed in OpenSSL");
  }
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", value[i]);
  return text;
}

Result<std::vector<Place>> places_of(const std::string& path) {
  SKEP_TRY_ASSIGN(Place file, judged(path, false));
  SKEP_TRY_ASSIGN(std::vector<Place> places, folders_of(path));
  places.insert(places.begin(), std::move(file));
  return places;
}

Result<PluginIdentity> read_note(const CheckedFile& file) {
  return read_note(file.descriptor(), file.path());
}

Result<PluginIdentity> read_note(int descriptor, const std::string& path) {
  SKEP_TRY_ASSIGN(const std::vector<Elf64_Phdr> headers, program_headers(descriptor, path));
  for (const Elf64_Phdr& header : headers) {
    if (header.p_type != PT_NOTE || header.p_filesz > note_segment_max) continue;
    std::string segment(header.p_filesz, '\0');
    if (!read_at(descriptor, segment.data(), segment.size(), header.p_offset)) {
      return fail(ErrorKind::invalid,
                  fmt::format("not_elf: {} is cut short; install it again", path));
    }
    if (const std::optional<std::string> text = find_note(segment)) return parse_note(*text, path);
  }
  return fail(ErrorKind::invalid,
              fmt::format("no_note: {} carries no skep note, so it is no plugin; its author adds "
                          "SKEP_DECLARE_NOTE",
                          path));
}

Result<PluginIdentity> parse_note(std::string_view text, std::string_view path) {
  std::map<std::string, std::string> fields;
  for (const std::string& field : split(text, ';')) {
    const size_t equals = field.find('=');
    if (equals != std::string::npos) fields[field.substr(0, equals)] = field.substr(equals + 1);
  }
  PluginIdentity identity;
  const std::string& abi = fields["abi"];
  const size_t dot = std::min(abi.find('.'), abi.size());
  const std::optional<uint32_t> major = number(std::string_view(abi).substr(0, dot));
  const std::optional<uint32_t> minor =
      number(std::string_view(abi).substr(std::min(dot + 1, abi.size())));
  const std::optional<uint32_t> host = number(fields["host"]);
  if (!is_printable(text) || !major || !minor || !host || fields["id"].empty() ||
      fields["ifs"].empty()) {
    return fail(ErrorKind::invalid,
                fmt::format("no_note: the skep note of {} can't be understood (\"{}\"); its author "
                            "uses SKEP_DECLARE_NOTE",
                            path, shown(text)));
  }
  if (!is_id(fields["id"])) {
    return fail(ErrorKind::invalid,
                fmt::format("no_note: the skep note of {} has the id \"{}\"; its author gives it 1 "
                            "to {} lower-case letters, digits and '-'",
                            path, shown(fields["id"]), SKEP_ID_MAX));
  }
  identity.abi_major = *major;
  identity.abi_minor = *minor;
  identity.host_minor_needed = *host;
  identity.id = fields["id"];
  identity.version = fields["ver"];
  identity.interfaces = split(fields["ifs"], ' ');
  if (identity.abi_major != SKEP_ABI_MAJOR) {
    return fail(
        ErrorKind::precondition,
        fmt::format("abi_major: {} speaks plugin ABI {}.{}, this host {}.{}; install a build "
                    "of {} for ABI {}",
                    path, identity.abi_major, identity.abi_minor, SKEP_ABI_MAJOR, SKEP_ABI_MINOR,
                    identity.id, SKEP_ABI_MAJOR));
  }
  // Minor 0 is all there is today, so the comparison is spelled to survive a bigger one.
  if (identity.host_minor_needed > uint32_t{SKEP_ABI_MINOR}) {
    return fail(ErrorKind::precondition,
                fmt::format("host_too_old: {} needs plugin ABI {}.{}, this host has {}.{}; update "
                            "skep",
                            path, SKEP_ABI_MAJOR, identity.host_minor_needed, SKEP_ABI_MAJOR,
                            SKEP_ABI_MINOR));
  }
  return identity;
}

}  // namespace skep::host
