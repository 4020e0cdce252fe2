// The words of the command line: which commands there are, what they take, what they run.
//
// A Command is declared by the file that carries it out: options write into variables the command
// owns, and `run` gets the positional arguments. CLI11 does the parsing and stays behind this
// header, in grammar.cpp, so that no command file pays for it. What people see (usage, help, the
// sentences about wrong arguments) follows the docker command, which they know.
//
// An option that was not given leaves its variable alone: std::optional tells "not given" from "0".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"

namespace CLI {
class App;
}

namespace skep::cli {

using Words = std::vector<std::string>;

// How many positional arguments a command takes, and how its usage line names them.
struct Positionals {
  std::string usage;  // "SERVICE [SERVICE...]"
  size_t min = 0;
  size_t max = 0;
  // The options end at the first positional: the rest belongs to the program that will be run.
  bool options_end_at_first = false;

  static constexpr size_t kAnyNumber = std::numeric_limits<size_t>::max();
};

// What a command does; the value is the exit code of the program.
using Action = std::function<Result<int>(const Words& positionals)>;

class Grammar;
struct CommandRecord;

// A handle to one command of a Grammar; copying it copies nothing. `names` are as docker writes
// them, "-f,--filter" or "--force"; `kind` is the word for the value in the help text. The variable
// behind `into` must live as long as the Grammar: see own().
class Command {
 public:
  Command group(std::string_view name, std::string_view about) const;
  Command command(std::string_view name, std::string_view about, Positionals positionals) const;

  // Another name for this command: "list" for "ls".
  const Command& alias(std::string_view name) const;

  void flag(std::string_view names, bool& into, std::string_view about) const;
  void flag(std::string_view names, std::optional<bool>& into, std::string_view about) const;
  void text(std::string_view names, std::optional<std::string>& into, std::string_view kind,
            std::string_view about) const;
  void list(std::string_view names, Words& into, std::string_view kind,
            std::string_view about) const;
  // The option every list has: -f, --filter NAME=VALUE, any number of times.
  void filters(Words& into) const;
  void number(std::string_view names, std::optional<uint64_t>& into, std::string_view about) const;
  void integer(std::string_view names, std::optional<int64_t>& into, std::string_view about) const;
  void ratio(std::string_view names, std::optional<double>& into, std::string_view about) const;
  // Nanoseconds, from "1m30s".
  void duration(std::string_view names, std::optional<int64_t>& into, std::string_view about) const;
  // Bytes, from "512m".
  void bytes(std::string_view names, std::optional<int64_t>& into, std::string_view about) const;
  // Billionths of a CPU, from "0.5".
  void cpus(std::string_view names, std::optional<int64_t>& into, std::string_view about) const;

  void run(Action action) const;

  // Makes a T that lives as long as the Grammar, for options to write into.
  template <class T>
  T& own() const {
    auto made = std::make_shared<T>();
    keep(made);
    return *made;
  }

 private:
  friend class Grammar;
  explicit Command(CommandRecord& record) : record_(&record) {}
  void keep(std::shared_ptr<void> object) const;

  CommandRecord* record_;
};

class Grammar {
 public:
  Grammar(std::string_view program, std::string_view about, std::string_view version_line);
  ~Grammar();
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  Command root();

  // For families that register on CLI11 themselves and run as its callbacks.
  CLI::App& library_app();

  // Reads the arguments and runs the command they name. Prints help, usage errors (exit 125 for
  // wrong options, 1 for wrong arguments) and the command's own error (exit 1); returns the exit
  // code of the process.
  int parse_and_run(int argc, char** argv);

 private:
  std::unique_ptr<CommandRecord> root_;
};

// The candidate nearest to `word`, if one is near enough to be a slip of the finger.
std::optional<std::string> nearest_word(std::string_view word, const Words& candidates);

}  // namespace skep::cli
