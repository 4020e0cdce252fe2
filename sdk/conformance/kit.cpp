// Which cases, in which order, and what their outcomes add up to.
//
// Watches come last: a watch fails when its rule was seen broken by any case before it, and stands
// in the report even when the filter did not select it, because what was seen was seen.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/kit.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <set>
#include <utility>

#include "sdk/conformance/child.hpp"
#include "sdk/conformance/engine.hpp"
#include "sdk/conformance/kinds.hpp"
#include "sdk/conformance/report.hpp"

namespace skep::conformance {
namespace {

constexpr size_t observations_shown = 3;  // of one watch

struct Selection {
  Plugin plugin;
  std::vector<Case> cases;
  std::map<std::string, std::string> skips;  // glob over names -> reason, from the profile
};

Result<json> object_from(std::string_view text, std::string_view what) {
  json document = json::parse(text, nullptr, false);
  if (document.is_object()) return document;
  return fail(ErrorKind::invalid, fmt::format("{} is not a JSON object", what));
}

Result<std::string> host_program(const KitOptions& options) {
  if (!options.host_program.empty()) return options.host_program;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::vector<std::filesystem::path> places{self.parent_path(),
                                            self.parent_path().parent_path() / "libexec" / "skep"};
  const char* const path = getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) places.emplace_back(folder);
  for (const auto& place : places) {
    const auto program = place / "skep-plugin-host";
    if (access(program.c_str(), X_OK) == 0) return program.string();
  }
  return fail(ErrorKind::not_found,
              "skep-plugin-host is neither beside this program nor in PATH; name it with --host");
}

}  // namespace

Result<Plugin> plugin_of(const KitOptions& options) {
  Plugin plugin;
  std::error_code error;
  plugin.path = std::filesystem::absolute(options.file, error).lexically_normal().string();
  SKEP_TRY_ASSIGN(const host::CheckedFile file, host::CheckedFile::open(plugin.path, std::nullopt));
  SKEP_TRY_ASSIGN(plugin.identity, host::read_note(file));
  plugin.mode = options.mode;
  plugin.patience_ms = options.patience_ms;
  plugin.facts = json::object();
  SKEP_TRY_ASSIGN(plugin.host_program, host_program(options));
  if (!options.profile.empty()) {
    std::ifstream profile(options.profile);
    std::ostringstream text;
    text << profile.rdbuf();
    if (!profile) {
      return fail(ErrorKind::not_found,
                  fmt::format("the profile {} can't be read", options.profile));
    }
    SKEP_TRY_ASSIGN(plugin.facts, object_from(text.str(), "the profile " + options.profile));
    if (plugin.facts.contains("config")) plugin.config = plugin.facts["config"];
  }
  if (!options.config.empty()) {
    SKEP_TRY_ASSIGN(plugin.config, object_from(options.config, "the configuration"));
  }
  plugin.crumb = std::make_shared<Crumb>();
  return plugin;
}

namespace {

// Whether one of the filter's globs, separated by commas, is the name's.
bool chosen(const std::string& filter, const std::string& name) {
  if (filter.empty()) return true;
  std::istringstream globs(filter);
  for (std::string glob; std::getline(globs, glob, ',');) {
    if (fnmatch(glob.c_str(), name.c_str(), 0) == 0) return true;
  }
  return false;
}

// The kinds of the note's interfaces, or the one that was asked for.
Result<std::vector<const Kind*>> kinds_of(const Plugin& plugin, const std::string& wanted) {
  std::vector<const Kind*> found;
  std::set<std::string_view> named;
  for (const std::string& id : plugin.identity.interfaces) {
    if (const host::Interface* const known = host::find_interface(id)) named.insert(known->kind);
  }
  if (!wanted.empty() && !named.contains(wanted)) {
    return fail(ErrorKind::invalid, fmt::format("{} is no {} driver: its note has no interface of "
                                                "that kind",
                                                plugin.path, wanted));
  }
  for (const Kind* const kind : kinds()) {
    if (named.contains(kind->name()) && (wanted.empty() || kind->name() == wanted)) {
      found.push_back(kind);
    }
  }
  return found;
}

Result<Selection> select(const KitOptions& options) {
  Selection selection;
  SKEP_TRY_ASSIGN(selection.plugin, plugin_of(options));
  SKEP_TRY_ASSIGN(const std::vector<const Kind*> kinds, kinds_of(selection.plugin, options.kind));
  std::vector<Case> all = generic_cases();
  for (const Kind* const kind : kinds) {
    for (std::vector<Case> more : {life_cases(*kind), kind->cases()}) {
      for (Case& one : more) {
        one.kind = kind;
        all.push_back(std::move(one));
      }
    }
  }
  for (Case& one : all) {
    // Watches are kept whatever the filter says; they stay silent unless they see something.
    if (!one.run || chosen(options.filter, one.name)) selection.cases.push_back(std::move(one));
  }
  std::ranges::stable_partition(selection.cases,
                                [](const Case& one) { return one.run != nullptr; });
  if (std::ranges::none_of(selection.cases,
                           [&](const Case& one) { return chosen(options.filter, one.name); })) {
    return fail(ErrorKind::not_found, fmt::format("no case matches \"{}\"", options.filter));
  }
  const auto skips = selection.plugin.facts.find("skip");
  if (skips != selection.plugin.facts.end() && skips->is_object()) {
    for (const auto& [glob, reason] : skips->items()) {
      selection.skips[glob] =
          reason.is_string() ? reason.get<std::string>() : "the profile says so";
    }
  }
  return selection;
}

Result<std::string> scratch_root(const KitOptions& options) {
  std::error_code error;
  std::filesystem::path under = options.scratch.empty()
                                    ? std::filesystem::temp_directory_path(error)
                                    : std::filesystem::path(options.scratch);
  if (!error) under = std::filesystem::canonical(under, error);
  std::string pattern = (under / "skep-plugin-test-XXXXXX").string();
  if (error || mkdtemp(pattern.data()) == nullptr) {
    return fail(ErrorKind::denied,
                fmt::format("no folder for scratch files can be made in {}", under.string()));
  }
  return pattern;
}

std::optional<std::string> skip_reason(const Selection& selection, const Case& one) {
  for (const auto& [glob, reason] : selection.skips) {
    if (fnmatch(glob.c_str(), one.name.c_str(), 0) == 0) return reason;
  }
  if (one.process_only && selection.plugin.mode == Mode::in_process) {
    return "it kills the driver's process; run it without --in-process";
  }
  return std::nullopt;
}

// A result gets its case's name and rules; a number stands for a rule of the platform, anything
// else for a place of the contract.
void name_rules(CaseResult& result, const Case& one) {
  result.name = one.name;
  for (const Rule& rule : one.rules) {
    result.rules.emplace_back(rule.id);
    const bool numbered = rule.id.find_first_not_of("0123456789") == std::string_view::npos;
    result.sentence += fmt::format("{}{}{}: {}", result.sentence.empty() ? "" : "; ",
                                   numbered ? "rule " : "", rule.id, rule.sentence);
  }
}

// What the cases before have seen of a watch's rule, once each.
CaseResult watched(const Case& one, const std::vector<std::pair<std::string, Observation>>& seen) {
  CaseResult result;
  std::set<std::string> told;
  size_t count = 0;
  for (const auto& [name, observation] : seen) {
    const std::string id = std::to_string(observation.rule);
    if (one.rules.front().id != id) continue;
    ++count;
    if (told.size() < observations_shown && told.insert(observation.text).second) {
      result.text += fmt::format("{}came:      {} (during {})", result.text.empty() ? "" : "\n",
                                 observation.text, name);
    }
  }
  if (count == 0) return result;
  result.verdict = Verdict::failed;
  if (count > told.size()) result.text += fmt::format("\nand {} more", count - told.size());
  return result;
}

// Rules that were seen broken and that no watch of the selection looks at.
std::vector<CaseResult> unwatched(const std::vector<Case>& cases,
                                  const std::vector<std::pair<std::string, Observation>>& seen) {
  std::set<std::string> watched_rules;
  for (const Case& one : cases) {
    if (!one.run) watched_rules.emplace(one.rules.front().id);
  }
  std::vector<CaseResult> results;
  for (const auto& [name, observation] : seen) {
    const Rule& broken = rule(observation.rule);
    if (!watched_rules.insert(std::string(broken.id)).second) continue;
    const Case about{fmt::format("generic.seen.rule-{}", broken.id), "", {broken}, {}};
    CaseResult result = watched(about, seen);
    name_rules(result, about);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace

int KitReport::failed() const {
  return static_cast<int>(std::ranges::count(cases, Verdict::failed, &CaseResult::verdict));
}

int KitReport::skipped() const {
  return static_cast<int>(std::ranges::count(cases, Verdict::skipped, &CaseResult::verdict));
}

Result<KitReport> run_kit(const KitOptions& options, std::ostream& progress) {
  SKEP_TRY_ASSIGN(const Selection selection, select(options));
  SKEP_TRY_ASSIGN(const std::string root, scratch_root(options));
  const auto begun = Clock::now();
  const auto active =
      std::ranges::count_if(selection.cases, [](const Case& one) { return one.run != nullptr; });
  const bool apart = selection.plugin.mode == Mode::process || active != 1;

  KitReport report;
  std::vector<std::pair<std::string, Observation>> seen;
  const auto keep = [&](CaseResult result) {
    write_line(progress, result);
    report.cases.push_back(std::move(result));
  };
  for (const Case& one : selection.cases) {
    CaseResult result;
    if (const std::optional<std::string> reason = skip_reason(selection, one)) {
      result.verdict = Verdict::skipped;
      result.text = *reason;
    } else if (one.run) {
      const std::string scratch = root + "/" + one.name;
      progress.flush();
      Ended ended = apart ? run_apart(selection.plugin, one, scratch)
                          : run_here(selection.plugin, one, scratch);
      result.verdict = ended.verdict;
      result.text = std::move(ended.text);
      result.took_ms = ended.took_ms;
      for (Observation& observation : ended.observations) {
        seen.emplace_back(one.name, std::move(observation));
      }
    } else {
      result = watched(one, seen);
      if (result.verdict == Verdict::passed && !options.filter.empty()) continue;
    }
    name_rules(result, one);
    keep(std::move(result));
  }
  for (CaseResult& more : unwatched(selection.cases, seen)) keep(std::move(more));
  std::error_code ignored;  // a folder that is still mounted somewhere stays, in the scratch place
  std::filesystem::remove(root, ignored);
  report.took_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count();
  write_summary(progress, report);
  if (!options.junit.empty()) SKEP_TRY(write_junit(options.junit, selection.plugin.path, report));
  return report;
}

Result<std::vector<std::string>> list_cases(const KitOptions& options) {
  SKEP_TRY_ASSIGN(const Selection selection, select(options));
  std::vector<std::string> lines;
  for (const Case& one : selection.cases) {
    if (!one.run && !options.filter.empty()) continue;
    std::string ids;
    for (const Rule& rule : one.rules) {
      ids += (ids.empty() ? "" : ", ") + std::string(rule.id);
    }
    lines.push_back(fmt::format("{:<44} [{}] {}", one.name, ids, one.about));
  }
  return lines;
}

}  // namespace skep::conformance
