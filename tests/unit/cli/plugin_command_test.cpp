// What `skep plugin` refuses before it asks a daemon.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/commands/commands.hpp"

using namespace skep;
using namespace skep::cli;

namespace {

// What a command whose daemon is not there says to standard error.
std::string said_without_daemon(Words words) {
  Session session;
  session.host = "unix:///no/daemon/here.sock";
  Grammar grammar("skep", "test", "skep version 0");
  add_plugin_commands(grammar.root(), session);
  words.insert(words.begin(), "skep");
  std::vector<char*> raw;
  for (std::string& word : words) raw.push_back(word.data());

  std::FILE* const said = std::tmpfile();
  REQUIRE(said != nullptr);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(::fileno(said), STDERR_FILENO);
  const int exit_code = grammar.parse_and_run(static_cast<int>(raw.size()), raw.data());
  std::fflush(stderr);
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  CHECK(exit_code == 1);
  std::string text(1000, '\0');
  std::rewind(said);
  text.resize(std::fread(text.data(), 1, text.size(), said));
  std::fclose(said);
  return text;
}

}  // namespace

TEST_CASE("a log level that is none is refused before a daemon is asked") {
  CHECK(said_without_daemon({"plugin", "log-level", "my-disk", "loud"}) ==
        "a log level is debug, info, warning or error, not 'loud'\n");
  CHECK(said_without_daemon({"plugin", "log-level", "my-disk", ""}) ==
        "a log level is debug, info, warning or error, not ''\n");
  CHECK(said_without_daemon({"plugin", "log-level", "my-disk", "debug"}).find("Is skepd running") !=
        std::string::npos);
}
