// The translations. Signals are a table, because names must not depend on the C library's; runc's
// errors are cut at the known prefixes, since the wrapping (containerd, shim, runc create, init,
// exec) only repeats itself.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/text.hpp"

#include <google/protobuf/timestamp.pb.h>
#include <openssl/evp.h>

#include <array>
#include <cctype>
#include <charconv>
#include <csignal>
#include <ctime>
#include <utility>

#include "skep/cpp/driver.hpp"

namespace skep::containerd {

namespace {

constexpr std::array<std::pair<std::string_view, int>, 31> signal_names{{
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},     {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},       {"FPE", SIGFPE},
    {"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},     {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM},     {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},     {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},     {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},   {"IO", SIGIO},
    {"PWR", SIGPWR},       {"SYS", SIGSYS},   {"STKFLT", SIGSTKFLT},
}};
constexpr uint32_t signal_max = 64;
// The first realtime signal as containers know it; the C library's SIGRTMIN leaves out two.
constexpr uint32_t first_realtime_signal = 34;

bool parse_number(std::string_view text, uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// "RTMIN", "RTMIN+3", "RTMAX-1".
bool parse_realtime(std::string_view name, uint32_t& number) {
  const bool from_min = name.starts_with("RTMIN");
  if (!from_min && !name.starts_with("RTMAX")) return false;
  uint32_t offset = 0;
  if (name.size() > 5) {
    if (name[5] != (from_min ? '+' : '-') || !parse_number(name.substr(6), offset)) return false;
  }
  if (offset > signal_max - first_realtime_signal) return false;
  number = from_min ? first_realtime_signal + offset : signal_max - offset;
  return true;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

std::string rfc3339(int64_t seconds, int32_t nanos) {
  const time_t when = static_cast<time_t>(seconds);
  tm utc{};
  gmtime_r(&when, &utc);
  std::array<char, 64> text{};
  const size_t length = strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::string fraction = std::to_string(nanos);
  fraction.insert(0, fraction.size() < 9 ? 9 - fraction.size() : 0, '0');
  return std::string(text.data(), length) + "." + fraction + "Z";
}

std::string rfc3339(const google::protobuf::Timestamp& time) {
  return rfc3339(time.seconds(), time.nanos());
}

std::string now_rfc3339() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return rfc3339(now.tv_sec, static_cast<int32_t>(now.tv_nsec));
}

bool is_set(const google::protobuf::Timestamp& time) {
  return time.seconds() > 0;
}

uint32_t parse_signal(std::string_view text) {
  uint32_t number = 0;
  if (parse_number(text, number) && number >= 1 && number <= signal_max) return number;
  std::string upper;
  for (const char c : text) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string_view name = upper;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (const auto& [known, value] : signal_names) {
    if (known == name) return static_cast<uint32_t>(value);
  }
  if (parse_realtime(name, number)) return number;
  throw sdk::Failure(SKEP_E_INVALID, "Invalid signal: " + std::string(text));
}

std::string normalise_reference(std::string_view reference) {
  if (reference.starts_with("sha256:")) return std::string(reference);
  std::string name(reference);
  std::string digest;
  if (const size_t at = name.find('@'); at != std::string::npos) {
    digest = name.substr(at);
    name.resize(at);
  }
  const size_t first_slash = name.find('/');
  const std::string first = name.substr(0, first_slash);
  const bool has_registry =
      first_slash != std::string::npos &&
      (first.find_first_of(".:") != std::string::npos || first == "localhost");
  if (!has_registry) {
    const bool official = first_slash == std::string::npos;
    name.insert(0, official ? "docker.io/library/" : "docker.io/");
  }
  const size_t colon = name.find(':', name.rfind('/'));
  if (!digest.empty()) return name.substr(0, colon) + digest;
  return colon == std::string::npos ? name + ":latest" : name;
}

std::string registry_of(std::string_view reference) {
  return std::string(reference.substr(0, reference.find('/')));
}

std::string repository_of(std::string_view reference) {
  reference = reference.substr(0, reference.find('@'));
  const size_t slash = reference.rfind('/');
  const size_t colon = reference.find(':', slash == std::string_view::npos ? 0 : slash);
  return std::string(reference.substr(0, colon));
}

std::string useful_part(std::string_view text) {
  static constexpr std::string_view prefixes[] = {
      "failed to create shim task: ",
      "failed to start shim: ",
      "OCI runtime create failed: ",
      "OCI runtime start failed: ",
      "OCI runtime exec failed: ",
      "exec failed: ",
      "runc create failed: ",
      "unable to start container process: ",
      "starting container process caused: ",
      "cannot start a stopped process: ",
  };
  for (const std::string_view prefix : prefixes) {
    if (const size_t at = text.find(prefix); at != std::string_view::npos) {
      text.remove_prefix(at + prefix.size());
    }
  }
  if (const size_t tail = text.rfind(": unknown"); tail != std::string_view::npos) {
    if (tail + std::string_view(": unknown").size() == text.size()) text = text.substr(0, tail);
  }
  return std::string(text);
}

bool says_missing_program(std::string_view text) {
  return contains(text, "executable file not found") ||
         (contains(text, "exec: \"") && contains(text, "no such file or directory"));
}

bool says_not_executable(std::string_view text) {
  return contains(text, "permission denied") || contains(text, "exec format error") ||
         contains(text, "is a directory") || contains(text, "exec: \"") ||
         contains(text, "chdir to cwd");
}

bool says_remains(std::string_view text) {
  return (contains(text, "mkdir ") && text.ends_with("file exists")) ||
         contains(text, "container with given ID already exists");
}

std::string url_encoded(std::string_view text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || contains("-_.~/", std::string_view(&c, 1))) {
      out += c;
    } else {
      out += {'%', hex[byte >> 4], hex[byte & 15]};
    }
  }
  return out;
}

std::string filter_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string sha256_digest(std::string_view bytes) {
  static constexpr char hex[] = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) {
    throw sdk::Failure(SKEP_E_INTERNAL, "SHA-256 is not available");
  }
  std::string text = "sha256:";
  for (unsigned int i = 0; i < length; ++i) text += {hex[digest[i] >> 4], hex[digest[i] & 15]};
  return text;
}

}  // namespace skep::containerd
