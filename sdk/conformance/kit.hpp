// The conformance kit as one function: runs a driver's file through the cases of its kind and tells
// which rules it keeps.
//
// Every case runs in a child process of its own, which loads the driver in a helper process or,
// with Mode::in_process, into itself; so a crash or a hang costs one case. The one exception is for
// a debugger: in-process with exactly one case selected, nothing is forked. What a case leaves
// behind in its scratch folder (files, mounts) is taken away after it.
//
// Three kinds of outcome of a case: passed, failed (with the rule, the operation and its request,
// what was expected and what came), skipped (with the reason). Some cases are watches: they pass
// unless any other case saw their rule broken on the way.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/model/result.hpp"

namespace skep::conformance {

enum class Mode : uint8_t { process, in_process };

struct KitOptions {
  std::string file;  // the driver's .so; made absolute
  std::string kind;  // "volume"; empty: every kind the driver's note names
  Mode mode = Mode::process;
  std::string filter;        // globs over case names, "volume.life.*,*.fuzz.deep"; empty: all
  std::string config;        // JSON object, the driver's configuration; empty: made from its schema
  std::string profile;       // path of a JSON file with facts about the driver
                             // (docs/drivers/conformance.md); empty: none
  std::string host_program;  // skep-plugin-host; empty: beside this program, or in PATH
  std::string scratch;       // folder to work under; empty: the system's for temporary files
  std::string junit;         // where to write the JUnit file; empty: nowhere
  // No answer is waited for longer than this; 0: as long as the operation's own deadline.
  int64_t patience_ms = 0;
};

enum class Verdict : uint8_t { passed, failed, skipped };

struct CaseResult {
  std::string name;
  std::vector<std::string> rules;  // ids of those it upholds, as in rule.hpp
  std::string sentence;            // "rule 11: an operation completes exactly once; rule .."
  Verdict verdict = Verdict::passed;
  // failed: the whole finding in several lines; skipped: the reason.
  std::string text;
  int64_t took_ms = 0;
};

struct KitReport {
  std::vector<CaseResult> cases;
  int64_t took_ms = 0;
  int failed() const;
  int skipped() const;
  // 0 all passed or skipped, 1 a case failed.
  int exit_code() const { return failed() == 0 ? 0 : 1; }
};

// Exit code for a run that could not take place at all.
inline constexpr int exit_cannot_run = 2;

// Runs the selected cases and writes one line a case to `progress` as it ends, and the findings.
// Requires that the process has one thread (it forks). Blocks until all is done. An error: it can't
// run (no such file, a bad profile, no case matches); then the exit code is exit_cannot_run.
Result<KitReport> run_kit(const KitOptions& options, std::ostream& progress);

// The cases that run_kit would run, a line each: name, rules, what it is about.
Result<std::vector<std::string>> list_cases(const KitOptions& options);

// Both from a command line's words, for `skep plugin test` and `skep-plugin-test`: parses, runs,
// prints to the two streams, and returns the exit code.
int kit_main(const std::vector<std::string>& words, std::ostream& out, std::ostream& err);
// The text of --help.
std::string kit_usage(const std::string& program);

}  // namespace skep::conformance
