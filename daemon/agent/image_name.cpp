// The grammar of image references, read by hand from left to right.
//
// reference = [domain "/"] path [":" tag] ["@" algorithm ":" hex]. Path components are lower-case
// letters and digits, separated by one "." or "_", two "__" or any number of "-".
// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent/image_name.hpp"

#include <algorithm>
#include <optional>

namespace skep::agent {
namespace {

constexpr size_t kNameMax = 255;  // domain and path together, as registries have it
constexpr size_t kTagMax = 128;
constexpr size_t kIdDigits = 64;
constexpr size_t kIdPrefixMin = 4;
constexpr std::string_view kDefaultDomain = "docker.io";
constexpr std::string_view kOfficialPrefix = "library/";

struct Parts {
  std::string domain;
  std::string path;
  std::string tag;     // empty: none
  std::string digest;  // "sha256:...", empty: none
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_alnum(char c) {
  return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool all_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_hex);
}

bool valid_component(std::string_view text) {
  if (text.empty()) return false;
  const auto plain = [](char c) { return is_digit(c) || is_lower(c); };
  if (!plain(text.front()) || !plain(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (plain(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && text[end] == text[i]) ++end;
    const size_t run = end - i;
    const bool fits =
        text[i] == '-' || (text[i] == '.' && run == 1) || (text[i] == '_' && run <= 2);
    if (!fits || !plain(text[end])) return false;
    i = end;
  }
  return true;
}

bool valid_path(std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    if (!valid_component(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool valid_domain(std::string_view domain) {
  const size_t colon = domain.rfind(':');
  std::string_view host = domain;
  if (colon != std::string_view::npos && domain.back() != ']') {
    const std::string_view port = domain.substr(colon + 1);
    if (port.empty() || !std::all_of(port.begin(), port.end(), is_digit)) return false;
    host = domain.substr(0, colon);
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const std::string_view address = host.substr(1, host.size() - 2);
    return std::all_of(address.begin(), address.end(),
                       [](char c) { return is_alnum(c) || c == ':'; });
  }
  if (host.empty() || !is_alnum(host.front()) || !is_alnum(host.back())) return false;
  char before = 'a';
  for (const char c : host) {
    if (!is_alnum(c) && c != '-' && c != '.') return false;
    if (c == '.' && before == '.') return false;
    before = c;
  }
  return true;
}

bool valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > kTagMax) return false;
  if (!is_alnum(tag.front()) && tag.front() != '_') return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool valid_digest(std::string_view digest) {
  constexpr std::string_view algorithm = "sha256:";
  return digest.starts_with(algorithm) && digest.size() == algorithm.size() + kIdDigits &&
         all_hex(digest.substr(algorithm.size()));
}

tl::unexpected<Error> refused() {
  return fail(ErrorKind::invalid, "invalid reference format");
}

Result<Parts> parse(std::string_view text) {
  Parts parts;
  const size_t at = text.find('@');
  if (at != std::string_view::npos) {
    parts.digest = text.substr(at + 1);
    if (!valid_digest(parts.digest)) return refused();
    text = text.substr(0, at);
  }
  const size_t last_slash = text.rfind('/');
  const size_t tag_from = last_slash == std::string_view::npos ? 0 : last_slash;
  const size_t colon = text.find(':', tag_from);
  if (colon != std::string_view::npos) {
    parts.tag = text.substr(colon + 1);
    if (!valid_tag(parts.tag)) return refused();
    text = text.substr(0, colon);
  }
  if (text.size() == kIdDigits && all_hex(text)) {
    return fail(ErrorKind::invalid, "invalid repository name (" + std::string(text) +
                                        "), cannot specify 64-byte hexadecimal strings");
  }
  const size_t slash = text.find('/');
  const std::string_view first = text.substr(0, slash);
  const bool has_domain =
      slash != std::string_view::npos &&
      (first.find_first_of(".:") != std::string_view::npos || first == "localhost" ||
       std::any_of(first.begin(), first.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
  if (has_domain) {
    parts.domain = first == "index.docker.io" ? kDefaultDomain : first;
    parts.path = text.substr(slash + 1);
    if (!valid_domain(parts.domain)) return refused();
  } else {
    parts.domain = kDefaultDomain;
    parts.path = text;
  }
  if (std::any_of(parts.path.begin(), parts.path.end(),
                  [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return fail(ErrorKind::invalid, "invalid reference format: repository name must be lowercase");
  }
  if (!valid_path(parts.path)) return refused();
  if (parts.domain == kDefaultDomain && parts.path.find('/') == std::string::npos) {
    parts.path.insert(0, kOfficialPrefix);
  }
  if (parts.domain.size() + parts.path.size() + 1 > kNameMax) {
    return fail(ErrorKind::invalid, "repository name must not be more than 255 characters");
  }
  return parts;
}

}  // namespace

Result<std::string> normalize_image_name(std::string_view reference) {
  SKEP_TRY_ASSIGN(const Parts parts, parse(reference));
  std::string full = parts.domain + "/" + parts.path;
  if (!parts.tag.empty()) full += ":" + parts.tag;
  if (!parts.digest.empty()) full += "@" + parts.digest;
  if (parts.tag.empty() && parts.digest.empty()) full += ":latest";
  return full;
}

std::string familiar_image_name(std::string_view reference) {
  const Result<Parts> parts = parse(reference);
  if (!parts) return std::string(reference);
  std::string name = parts->path;
  if (parts->domain == kDefaultDomain) {
    const std::string_view inner = std::string_view(name).substr(
        name.starts_with(kOfficialPrefix) ? kOfficialPrefix.size() : 0);
    if (inner.find('/') == std::string_view::npos) name = std::string(inner);
  } else {
    name = parts->domain + "/" + name;
  }
  if (!parts->tag.empty()) name += ":" + parts->tag;
  if (!parts->digest.empty()) name += "@" + parts->digest;
  return name;
}

bool image_name_has_digest(std::string_view reference) {
  return reference.find('@') != std::string_view::npos;
}

bool looks_like_image_id(std::string_view text) {
  if (valid_digest(text)) return true;
  return text.size() >= kIdPrefixMin && text.size() <= kIdDigits && all_hex(text);
}

}  // namespace skep::agent
