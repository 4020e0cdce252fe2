// Reads transcripts, runs them, shows differences or rewrites.
// SPDX-License-Identifier: Apache-2.0
#include "tests/script/transcript.hpp"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string_view>

namespace skep::script {
namespace {

struct Outcome {
  std::string rewritten;
  int differences = 0;
};

Outcome run(std::istream& in, const Runner& runner, const std::string& name) {
  Outcome outcome;
  std::string line;
  int number = 0;
  while (std::getline(in, line)) {
    ++number;
    outcome.rewritten += line + "\n";
    if (line.empty() || line[0] == '#') continue;
    const std::string command = line;
    const int at = number;
    if (!std::getline(in, line) || line != "----") {
      std::printf("%s:%d: \"----\" is missing after the command\n", name.c_str(), at + 1);
      ++outcome.differences;
      return outcome;
    }
    ++number;
    std::string expected;
    bool closed = false;
    while (!closed && std::getline(in, line)) {
      ++number;
      closed = line.empty();
      if (!closed) expected += line + "\n";
    }
    std::string actual = runner(command);
    if (actual.empty()) actual = "ok\n";
    outcome.rewritten += "----\n" + actual + (closed ? "\n" : "");
    if (actual == expected) continue;
    ++outcome.differences;
    std::printf("%s:%d: %s\n--- expected\n%s--- said\n%s", name.c_str(), at, command.c_str(),
                expected.c_str(), actual.c_str());
  }
  return outcome;
}

}  // namespace

int run_transcripts(int argc, char** argv, const std::function<Runner()>& fresh) {
  bool rewrite = false;
  int files = 0;
  int differences = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--rewrite") {
      rewrite = true;
      continue;
    }
    ++files;
    std::ifstream in(name);
    if (!in) {
      std::fprintf(stderr, "%s: can't be read\n", name.c_str());
      return 2;
    }
    const Outcome outcome = run(in, fresh(), name);
    in.close();
    differences += outcome.differences;
    if (rewrite && outcome.differences > 0) {
      std::ofstream(name) << outcome.rewritten;
      std::printf("%s: rewritten\n", name.c_str());
    }
  }
  if (files == 0) {
    std::fprintf(stderr, "usage: %s [--rewrite] FILE...\n", argv[0]);
    return 2;
  }
  return differences == 0 || rewrite ? 0 : 1;
}

}  // namespace skep::script
