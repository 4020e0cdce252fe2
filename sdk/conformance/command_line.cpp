// The words of `skep plugin test` and `skep-plugin-test`.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <map>
#include <ostream>

#include "sdk/conformance/kit.hpp"

namespace skep::conformance {
namespace {

struct Asked {
  KitOptions options;
  bool list = false;
  bool help = false;
};

Result<Asked> parse(const std::vector<std::string>& words) {
  Asked asked;
  KitOptions& options = asked.options;
  const std::map<std::string, std::string*, std::less<>> with_value{
      {"--kind", &options.kind},       {"--filter", &options.filter},
      {"--junit", &options.junit},     {"--config", &options.config},
      {"--profile", &options.profile}, {"--host", &options.host_program},
      {"--scratch", &options.scratch}};
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const auto option = with_value.find(word.substr(0, equals));
    if (option != with_value.end()) {
      if (equals == std::string::npos && i + 1 == words.size()) {
        return fail(ErrorKind::invalid, fmt::format("{} wants a value", word));
      }
      *option->second = equals == std::string::npos ? words[++i] : word.substr(equals + 1);
    } else if (word.starts_with("--patience-ms=")) {
      const std::string_view number = std::string_view(word).substr(equals + 1);
      const auto [end, error] = std::from_chars(number.begin(), number.end(), options.patience_ms);
      if (error != std::errc() || end != number.end() || options.patience_ms <= 0) {
        return fail(ErrorKind::invalid, fmt::format("{} is no number of milliseconds", word));
      }
    } else if (word == "--in-process") {
      options.mode = Mode::in_process;
    } else if (word == "--list") {
      asked.list = true;
    } else if (word == "--help" || word == "-h") {
      asked.help = true;
    } else if (word.starts_with("-")) {
      return fail(ErrorKind::invalid, fmt::format("there is no option {}", word));
    } else if (!options.file.empty()) {
      return fail(ErrorKind::invalid,
                  fmt::format("one file at a time, and \"{}\" is a second", word));
    } else {
      options.file = word;
    }
  }
  if (options.file.empty() && !asked.help) {
    return fail(ErrorKind::invalid, "the driver's file is missing");
  }
  return asked;
}

}  // namespace

std::string kit_usage(const std::string& program) {
  return fmt::format(
      "Usage: {} FILE [OPTIONS]\n\n"
      "Runs a driver through the conformance cases of its kind.\n\n"
      "  --kind KIND      only the cases of this kind (and the generic ones)\n"
      "  --in-process     load the driver into the test's process instead of a helper\n"
      "  --filter GLOBS   only cases whose name matches one of them (\"volume.life.*,*.fuzz.*\");\n"
      "                   one case in-process is not forked\n"
      "  --list           print the cases instead of running them\n"
      "  --config JSON    the driver's configuration\n"
      "  --profile FILE   facts about the driver: options to create with, cases to skip\n"
      "  --junit FILE     write a JUnit report\n"
      "  --host PROGRAM   the skep-plugin-host to use\n"
      "  --scratch DIR    folder for scratch files\n"
      "  --patience-ms=N  wait for no answer longer than this, whatever its deadline\n\n"
      "Exit code: 0 all passed or skipped, 1 a case failed, 2 the cases can't run.\n",
      program);
}

int kit_main(const std::vector<std::string>& words, std::ostream& out, std::ostream& err) {
  const Result<Asked> asked = parse(words);
  if (!asked) {
    err << asked.error().message << "; see --help\n";
    return exit_cannot_run;
  }
  if (asked->help) {
    out << kit_usage("skep-plugin-test");
    return 0;
  }
  if (asked->list) {
    const Result<std::vector<std::string>> lines = list_cases(asked->options);
    if (!lines) {
      err << lines.error().message << "\n";
      return exit_cannot_run;
    }
    for (const std::string& line : *lines) out << line << "\n";
    return 0;
  }
  const Result<KitReport> report = run_kit(asked->options, out);
  if (!report) {
    err << report.error().message << "\n";
    return exit_cannot_run;
  }
  return report->exit_code();
}

}  // namespace skep::conformance
