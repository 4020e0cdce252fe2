// The images of one node: images, pull with its progress, rmi.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/clock.hpp"
#include "cli/commands/commands.hpp"
#include "cli/listing.hpp"
#include "cli/terminal.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

// "registry:5000/name:tag" into what stands before and behind the tag's colon.
struct Reference {
  std::string repository;
  std::string tag;  // or "sha256:..."; empty if none is given
};

Reference split_reference(const std::string& text) {
  const size_t at = text.find('@');
  if (at != std::string::npos) return {text.substr(0, at), text.substr(at + 1)};
  const size_t slash = text.rfind('/');
  const size_t colon = text.find(':', slash == std::string::npos ? 0 : slash);
  if (colon == std::string::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

// "busybox" is "docker.io/library/busybox"; only what looks like a host is a registry.
std::string full_repository(const std::string& repository) {
  const size_t slash = repository.find('/');
  if (slash == std::string::npos) return "docker.io/library/" + repository;
  const std::string first = repository.substr(0, slash);
  const bool is_host = first.find_first_of(".:") != std::string::npos || first == "localhost";
  return is_host ? repository : "docker.io/" + repository;
}

struct ListOptions {
  ListingOptions listing;
  bool all = false;
  bool no_trunc = false;
  Words filters;
};

Result<int> list(const ListOptions& options, const Words& words, const Session& session) {
  Words wanted = options.filters;
  if (!words.empty()) wanted.push_back("reference=" + words[0]);
  SKEP_TRY_ASSIGN(const std::string filters, filters_value(wanted));
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  SKEP_TRY_ASSIGN(const Json images, daemon.get(std::string("/images/json?all=") +
                                                (options.all ? "1" : "0") + "&filters=" + filters));
  std::vector<Json> rows;
  for (const Json& image : images) {
    const std::string id = text_at(image, "/Id");
    const model::WallTime created{integer_at(image, "/Created") * kSecondNs};
    Json tags = array_at(image, "/RepoTags");
    if (tags.empty()) tags.push_back("<none>:<none>");
    for (const Json& tag : tags) {
      const Reference name = split_reference(tag.is_string() ? tag.get<std::string>() : "");
      rows.push_back(
          {{"ID", options.no_trunc ? id : short_id(id)},
           {"Repository", name.repository},
           {"Tag", name.tag},
           {"CreatedAt", format_time(created)},
           {"CreatedSince", human_duration(now() - created) + " ago"},
           {"Size", format_decimal_bytes(static_cast<uint64_t>(integer_at(image, "/Size")))}});
    }
  }
  const std::vector<Column> columns = {{"REPOSITORY", "Repository"},
                                       {"TAG", "Tag"},
                                       {"IMAGE ID", "ID"},
                                       {"CREATED", "CreatedSince"},
                                       {"SIZE", "Size"}};
  SKEP_TRY(print_listing(columns, rows, options.listing));
  return 0;
}

// The lines of a pull: each layer keeps its row on a terminal; piped, only what isn't a bar.
class PullDisplay {
 public:
  explicit PullDisplay(bool quiet) : quiet_(quiet), terminal_(is_terminal(STDOUT_FILENO)) {}

  void show(const Json& event) {
    const std::string id = text_at(event, "/id");
    std::string text = text_at(event, "/status");
    const int64_t current = integer_at(event, "/progressDetail/current");
    const int64_t total = integer_at(event, "/progressDetail/total");
    if (quiet_ || (text.empty() && id.empty())) return;
    if (current > 0 && !terminal_) return;
    if (current > 0) {
      text += " " + format_decimal_bytes(static_cast<uint64_t>(current));
      if (total > 0) text += "/" + format_decimal_bytes(static_cast<uint64_t>(total));
    }
    if (!id.empty()) text.insert(0, id + ": ");
    if (!terminal_ || id.empty()) {
      std::printf("%s\n", text.c_str());
      rows_.clear();
    } else {
      redraw(id, text);
    }
    std::fflush(stdout);
  }

 private:
  void redraw(const std::string& id, const std::string& text) {
    auto row = std::ranges::find(rows_, id);
    if (row == rows_.end()) {
      rows_.push_back(id);
      row = rows_.end() - 1;
      std::printf("\n");
    }
    const int up = static_cast<int>(rows_.end() - row);
    std::printf("\x1b[%dA\x1b[2K\r%s\x1b[%dB\r", up, text.c_str(), up);
  }

  bool quiet_;
  bool terminal_;
  std::vector<std::string> rows_;
};

struct PullOptions {
  bool quiet = false;
  bool all_tags = false;
  std::optional<std::string> platform;
};

Result<int> pull(const PullOptions& options, const std::string& text, const Session& session) {
  Reference name = split_reference(text);
  if (name.tag.empty() && !options.all_tags) {
    name.tag = "latest";
    if (!options.quiet) std::printf("Using default tag: latest\n");
  }
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::string path =
      "/images/create?fromImage=" + url_escape(name.repository) + "&tag=" + url_escape(name.tag);
  if (options.platform) path += "&platform=" + url_escape(*options.platform);
  PullDisplay display(options.quiet);
  std::string failure;
  SKEP_TRY(daemon.stream_lines(Method::post, path, [&](std::string_view line) {
    const Json event = Json::parse(line, nullptr, false);
    if (event.is_discarded()) return true;
    failure = text_at(event, "/errorDetail/message");
    if (failure.empty()) failure = text_at(event, "/error");
    if (failure.empty()) display.show(event);
    return failure.empty();
  }));
  if (!failure.empty()) return fail(ErrorKind::unavailable, failure);
  const bool is_digest = name.tag.starts_with("sha256:");
  std::printf("%s%s%s\n", full_repository(name.repository).c_str(), is_digest ? "@" : ":",
              name.tag.c_str());
  return 0;
}

Result<int> remove(bool force, bool no_prune, const Words& names, const Session& session) {
  SKEP_TRY_ASSIGN(const Daemon daemon, session.daemon());
  std::string failures;
  for (const std::string& name : names) {
    const Result<Json> gone =
        daemon.del("/images/" + url_escape(name) + "?force=" + (force ? "1" : "0") +
                   "&noprune=" + (no_prune ? "1" : "0"));
    if (!gone) {
      failures += (failures.empty() ? "" : "\n") + gone.error().message;
      continue;
    }
    for (const Json& step : *gone) {
      const std::string deleted = text_at(step, "/Deleted");
      const std::string untagged = text_at(step, "/Untagged");
      std::printf("%s: %s\n", deleted.empty() ? "Untagged" : "Deleted",
                  (deleted.empty() ? untagged : deleted).c_str());
    }
  }
  if (!failures.empty()) return fail(ErrorKind::conflict, failures);
  return 0;
}

void add_list(const Command& parent, std::string_view name, const Session& session) {
  const Command command =
      parent.command(name, "List images", {.usage = "[REPOSITORY[:TAG]]", .min = 0, .max = 1});
  ListOptions& options = command.own<ListOptions>();
  command.flag("-a,--all", options.all, "Show all images (default hides intermediate images)");
  command.flag("-q,--quiet", options.listing.quiet, "Only show image IDs");
  command.flag("--no-trunc", options.no_trunc, "Don't truncate output");
  command.filters(options.filters);
  command.text("--format", options.listing.format, "string",
               "Format output: 'table', 'table TEMPLATE', 'json', or a Go template");
  command.run([&](const Words& words) { return list(options, words, session); });
}

void add_pull(const Command& parent, const Session& session) {
  const Command command = parent.command("pull", "Download an image from a registry",
                                         {.usage = "NAME[:TAG|@DIGEST]", .min = 1, .max = 1});
  PullOptions& options = command.own<PullOptions>();
  command.flag("-q,--quiet", options.quiet, "Suppress verbose output");
  command.flag("-a,--all-tags", options.all_tags, "Download all tagged images in the repository");
  command.text("--platform", options.platform, "string",
               "Set platform if server is multi-platform capable");
  command.run([&](const Words& words) { return pull(options, words[0], session); });
}

void add_remove(const Command& parent, std::string_view name, const Session& session) {
  struct Options {
    bool force = false;
    bool no_prune = false;
  };
  const Command command =
      parent.command(name, "Remove one or more images",
                     {.usage = "IMAGE [IMAGE...]", .min = 1, .max = Positionals::kAnyNumber});
  Options& options = command.own<Options>();
  command.flag("-f,--force", options.force, "Force removal of the image");
  command.flag("--no-prune", options.no_prune, "Do not delete untagged parents");
  command.run(
      [&](const Words& names) { return remove(options.force, options.no_prune, names, session); });
}

}  // namespace

void add_image_commands(Command root, const Session& session) {
  add_list(root, "images", session);
  add_pull(root, session);
  add_remove(root, "rmi", session);
  const Command group = root.group("image", "Manage images");
  add_list(group, "ls", session);
  add_pull(group, session);
  add_remove(group, "rm", session);
  add_inspect_of(group, "image", session);
}

}  // namespace skep::cli
