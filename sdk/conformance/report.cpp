// Plain lines and JUnit.
// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/report.hpp"

#include <fmt/format.h>

#include <fstream>
#include <ostream>
#include <sstream>

namespace skep::conformance {
namespace {

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        // XML has no other control characters, not even escaped.
        safe += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return safe;
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

// The line of a finding that says what came.
std::string_view essence(std::string_view text) {
  const size_t came = text.find("came: ");
  return first_line(came == std::string_view::npos ? text : text.substr(came));
}

}  // namespace

void write_line(std::ostream& out, const CaseResult& result) {
  switch (result.verdict) {
    case Verdict::passed:
      out << fmt::format("ok    {:<44} {} ms\n", result.name, result.took_ms);
      break;
    case Verdict::skipped:
      out << fmt::format("skip  {:<44} {}\n", result.name, result.text);
      break;
    case Verdict::failed:
      out << fmt::format("FAIL  {:<44} {} ms\n", result.name, result.took_ms);
      out << fmt::format("      {}\n", result.sentence);
      std::istringstream lines(result.text);
      for (std::string line; std::getline(lines, line);) out << "        " << line << "\n";
      break;
  }
  out.flush();
}

void write_summary(std::ostream& out, const KitReport& report) {
  const auto all = static_cast<int>(report.cases.size());
  out << fmt::format("{} passed, {} failed, {} skipped in {:.1f} s\n",
                     all - report.failed() - report.skipped(), report.failed(), report.skipped(),
                     static_cast<double>(report.took_ms) / 1000);
  out.flush();
}

Status write_junit(const std::string& path, const std::string& plugin, const KitReport& report) {
  std::ofstream file(path);
  const auto seconds = [](int64_t ms) {
    return fmt::format("{:.3f}", static_cast<double>(ms) / 1000);
  };
  file << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  file << fmt::format(
      "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" "
      "time=\"{}\">\n",
      escaped(plugin), report.cases.size(), report.failed(), report.skipped(),
      seconds(report.took_ms));
  for (const CaseResult& result : report.cases) {
    file << fmt::format("<testcase classname=\"{}\" name=\"{}\" time=\"{}\">",
                        escaped(result.name.substr(0, result.name.find('.'))), escaped(result.name),
                        seconds(result.took_ms));
    if (result.verdict == Verdict::failed) {
      file << fmt::format("<failure message=\"{}\">{}\n{}</failure>", escaped(essence(result.text)),
                          escaped(result.sentence), escaped(result.text));
    } else if (result.verdict == Verdict::skipped) {
      file << fmt::format("<skipped message=\"{}\"/>", escaped(result.text));
    }
    file << "</testcase>\n";
  }
  file << "</testsuite>\n</testsuites>\n";
  file.close();
  if (!file)
    return fail(ErrorKind::denied, fmt::format("the JUnit file {} can't be written", path));
  return {};
}

}  // namespace skep::conformance
