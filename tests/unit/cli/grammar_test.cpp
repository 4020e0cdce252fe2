// How arguments are read, and what is said about wrong ones.
// SPDX-License-Identifier: Apache-2.0
#include "cli/grammar.hpp"

#include <catch2/catch.hpp>

using namespace skep::cli;

namespace {

struct Seen {
  Words positionals;
  Words env;
  std::optional<uint64_t> replicas;
  std::optional<std::string> format;
  bool all = false;
  bool quiet = false;
  bool ran = false;
  int exit_code = -1;
};

Seen parse(Words arguments) {
  Seen seen;
  Grammar grammar("skep", "test", "skep version 0");
  const Command run = grammar.root().command(
      "run", "",
      {.usage = "IMAGE", .min = 1, .max = Positionals::kAnyNumber, .options_end_at_first = true});
  run.list("-e,--env", seen.env, "list", "");
  run.number("--replicas", seen.replicas, "");
  const auto note = [&](const Words& words) -> skep::Result<int> {
    seen.positionals = words;
    seen.ran = true;
    return 0;
  };
  run.run(note);
  const Command list = grammar.root()
                           .group("service", "")
                           .command("ls", "", {.usage = "[A [B]]", .min = 0, .max = 2});
  list.alias("list");
  list.flag("-a,--all", seen.all, "");
  list.flag("-q,--quiet", seen.quiet, "");
  list.text("-f,--format", seen.format, "string", "");
  list.run(note);

  arguments.insert(arguments.begin(), "skep");
  std::vector<char*> raw;
  for (std::string& word : arguments) raw.push_back(word.data());
  seen.exit_code = grammar.parse_and_run(static_cast<int>(raw.size()), raw.data());
  return seen;
}

}  // namespace

TEST_CASE("options end at the image: the rest is the program's") {
  const Seen seen = parse({"run", "-e", "A=1", "--env", "B=[2]", "image", "sh", "-c", "--env"});
  CHECK(seen.env == Words{"A=1", "B=[2]"});
  CHECK(seen.positionals == Words{"image", "sh", "-c", "--env"});
}

TEST_CASE("elsewhere options and arguments mix, and short flags combine") {
  const Seen seen = parse({"service", "ls", "x", "-aq", "--format", "{{.A}}", "ls"});
  CHECK(seen.positionals == Words{"x", "ls"});
  CHECK((seen.all && seen.quiet));
  CHECK(seen.format == "{{.A}}");
}

TEST_CASE("an argument may be called like a command") {
  CHECK(parse({"service", "list", "run", "service"}).positionals == Words{"run", "service"});
}

TEST_CASE("the last mention of an option counts") {
  CHECK(parse({"run", "--replicas=2", "--replicas", "3", "i"}).replicas == 3U);
}

TEST_CASE("wrong options exit with 125, wrong arguments with 1, and nothing runs") {
  for (const Words& words : {Words{"run", "--bogus", "i"}, Words{"run", "--replicas", "x", "i"},
                             Words{"run", "--replicas", "-1", "i"}, Words{"service", "ls", "-Z"},
                             Words{"service", "ls", "--format"}}) {
    const Seen seen = parse(words);
    CHECK(seen.exit_code == 125);
    CHECK_FALSE(seen.ran);
  }
  for (const Words& words : {Words{"run"}, Words{"service", "ls", "a", "b", "c"}, Words{"rnu"},
                             Words{"service", "lss"}}) {
    const Seen seen = parse(words);
    CHECK(seen.exit_code == 1);
    CHECK_FALSE(seen.ran);
  }
}

TEST_CASE("the nearest word is offered only when it is near") {
  const Words words = {"create", "inspect", "ls", "rm"};
  CHECK(nearest_word("creat", words) == "create");
  CHECK(nearest_word("inpsect", words) == "inspect");
  CHECK_FALSE(nearest_word("frobnicate", words));
}
