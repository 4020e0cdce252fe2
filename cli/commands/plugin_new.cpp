// `skep plugin new`: a project that builds, passes the tests and says what to do next.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "cli/commands/commands.hpp"
#include "cli/plugin/project.hpp"

namespace skep::cli {
namespace {

struct Options {
  std::optional<std::string> language;
};

Result<int> make(const Options& options, const Words& words) {
  const NewPlugin wanted{
      .kind = words[0], .language = options.language.value_or("cpp"), .name = words[1]};
  SKEP_TRY(make_plugin_project(wanted, ".", plugin_template_files()));
  const char* const name = wanted.name.c_str();
  std::printf(
      "Made %s, a %s driver in %s. Build it, test it, try it:\n\n"
      "  cd %s\n"
      "  cmake --workflow --preset driver\n"
      "  skep plugin test build/%s.so\n",
      name, wanted.kind.c_str(), wanted.language == "c" ? "C" : "C++", name, name);
  return 0;
}

}  // namespace

void add_plugin_new(const Command& group) {
  const Command command =
      group.command("new", "Lay down the project of a new plugin, in a folder of its name",
                    {.usage = "KIND NAME", .min = 2, .max = 2});
  Options& options = command.own<Options>();
  command.text("--lang", options.language, "string", "Language: 'c' or 'cpp' (default \"cpp\")");
  command.run([&](const Words& words) { return make(options, words); });
}

}  // namespace skep::cli
