// The CLI11 side of Grammar: declares options, reads arguments, and words what was wrong with them.
//
// CLI11's own callbacks and messages are not used for our commands: it parses, then the deepest
// command that was named is run here, outside the library, so that no exception has to carry an
// exit code. Positional arguments are counted here too, because docker words that per command. The
// surprise is prefix_command: a command whose options end at the first positional hands over
// everything from there on, unread, but unknown options in front of it land in the same list.
// SPDX-License-Identifier: Apache-2.0
#include "cli/grammar.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <numeric>

#include "cli/command_record.hpp"
#include "cli/values.hpp"

namespace skep::cli {
namespace {

constexpr int kExitUsage = 125;  // as docker answers an unknown or unreadable option
constexpr int kExitFailure = 1;

OptionRecord option_record(std::string_view names, std::string_view kind, std::string_view about) {
  OptionRecord record{.kind = std::string(kind), .about = std::string(about)};
  const size_t comma = names.find(',');
  if (comma != std::string_view::npos) record.short_name = names.substr(0, comma);
  record.long_name = comma == std::string_view::npos ? names : names.substr(comma + 1);
  return record;
}

std::string display_name(const OptionRecord& option) {
  return option.short_name.empty() ? option.long_name : option.short_name + ", " + option.long_name;
}

// An option whose text goes through `parse`; what it refuses is reported in docker's words.
template <class T>
void add_parsed(CommandRecord& command, OptionRecord record, std::string_view names,
                std::optional<T>& into, std::function<Result<T>(std::string_view)> parse) {
  const std::string shown = display_name(record);
  command.options.push_back(std::move(record));
  command.app
      ->add_option_function<std::string>(
          std::string(names),
          [&into, shown, parse = std::move(parse)](const std::string& text) {
            Result<T> value = parse(text);
            if (!value) {
              throw CLI::ValidationError("invalid argument \"" + text + "\" for \"" + shown +
                                         "\" flag: " + value.error().message);
            }
            into = std::move(*value);
          })
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

template <class T>
Result<T> parse_number(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || stop != end || text.empty()) {
    return fail(ErrorKind::invalid, "not a number that fits here");
  }
  return value;
}

std::unique_ptr<CommandRecord> child_record(CommandRecord& parent, std::string_view name,
                                            std::string_view about) {
  auto child = std::make_unique<CommandRecord>();
  child->parent = &parent;
  child->name = name;
  child->path = parent.path + " " + child->name;
  child->about = about;
  child->app = parent.app->add_subcommand(child->name, child->about);
  child->app->set_help_flag("-h,--help", "");
  return child;
}

// The innermost of our commands that the arguments named.
CommandRecord& deepest_named(CommandRecord& command) {
  for (const auto& child : command.children) {
    if (child->app->parsed()) return deepest_named(*child);
  }
  return command;
}

int report(const CommandRecord& command, const std::string& sentence, int exit_code) {
  std::fprintf(stderr, "%s\n\n%s\n\nSee '%s --help'.\n", sentence.c_str(),
               usage_line(command).c_str(), command.path.c_str());
  return exit_code;
}

int report_unknown_option(const CommandRecord& command, const std::string& word) {
  const bool is_long = word.starts_with("--");
  const std::string name = word.substr(0, word.find('='));
  std::string sentence = is_long ? "unknown flag: " + name
                                 : std::string("unknown shorthand flag: '") +
                                       (name.size() > 1 ? name[1] : '-') + "' in " + name;
  Words known;
  for (const OptionRecord& option : command.options) known.push_back(option.long_name);
  if (const auto near = nearest_word(name, known); is_long && near) {
    sentence += "\nDid you mean " + *near + "?";
  }
  return report(command, sentence, kExitUsage);
}

int report_unknown_command(const CommandRecord& group, const std::string& word) {
  std::string sentence = "skep: unknown command: " + group.path + " " + word;
  Words known;
  for (const auto& child : group.children) {
    known.push_back(child->name);
    known.insert(known.end(), child->aliases.begin(), child->aliases.end());
  }
  if (const auto near = nearest_word(word, known)) {
    sentence += "\nDid you mean '" + group.path + " " + *near + "'?";
  }
  return report(group, sentence, kExitFailure);
}

// The sentence about a wrong number of positional arguments; empty when it is right.
std::string wrong_count(const CommandRecord& command) {
  const size_t given = command.given.size();
  const Positionals& takes = command.takes;
  if (given >= takes.min && given <= takes.max) return {};
  const auto counted = [](size_t count) {
    return std::to_string(count) + (count == 1 ? " argument" : " arguments");
  };
  const std::string what = "skep: '" + command.path + "' ";
  if (takes.max == 0) return what + "accepts no arguments";
  if (takes.min == takes.max) return what + "requires " + counted(takes.min);
  if (given < takes.min) return what + "requires at least " + counted(takes.min);
  return what + "requires at most " + counted(takes.max);
}

int run_command(CommandRecord& command) {
  if (command.is_group) {
    std::fputs(help_text(command).c_str(), stdout);
    return 0;
  }
  if (command.takes.options_end_at_first) {
    command.given = command.app->remaining();
    // "--" in front of the first positional has done its work.
    if (!command.given.empty() && command.given.front() == "--") {
      command.given.erase(command.given.begin());
    } else if (!command.given.empty() && command.given.front().starts_with('-')) {
      return report_unknown_option(command, command.given.front());
    }
  }
  if (const std::string wrong = wrong_count(command); !wrong.empty()) {
    return report(command, wrong, kExitFailure);
  }
  const Result<int> outcome = command.action(command.given);
  std::fflush(stdout);
  if (outcome) return *outcome;
  std::fprintf(stderr, "%s\n", outcome.error().message.c_str());
  return kExitFailure;
}

int report_parse_error(CommandRecord& command, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const Words extra = command.app->remaining();
    if (!extra.empty() && extra.front().starts_with('-')) {
      return report_unknown_option(command, extra.front());
    }
    if (!extra.empty() && command.is_group) return report_unknown_command(command, extra.front());
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string text = error.what();
    return report(command, "flag needs an argument: " + text.substr(0, text.find(':')), kExitUsage);
  }
  return report(command, error.what(), kExitUsage);
}

}  // namespace

Command Command::group(std::string_view name, std::string_view about) const {
  auto child = child_record(*record_, name, about);
  child->is_group = true;
  // At most one: words behind it are never taken for commands of an outer level.
  child->app->require_subcommand(0, 1);
  record_->children.push_back(std::move(child));
  return Command(*record_->children.back());
}

Command Command::command(std::string_view name, std::string_view about,
                         Positionals positionals) const {
  auto child = child_record(*record_, name, about);
  child->takes = std::move(positionals);
  if (child->takes.options_end_at_first) {
    child->app->prefix_command();
  } else {
    child->app->add_option("ARGUMENTS", child->given, "")
        ->expected(0, CLI::detail::expected_max_vector_size - 1);
  }
  record_->children.push_back(std::move(child));
  return Command(*record_->children.back());
}

const Command& Command::alias(std::string_view name) const {
  record_->aliases.emplace_back(name);
  record_->app->alias(std::string(name));
  return *this;
}

void Command::flag(std::string_view names, bool& into, std::string_view about) const {
  record_->options.push_back(option_record(names, "", about));
  record_->app->add_flag(std::string(names), into, std::string(about));
}

void Command::flag(std::string_view names, std::optional<bool>& into,
                   std::string_view about) const {
  record_->options.push_back(option_record(names, "", about));
  record_->app->add_flag_function(std::string(names), [&into](int64_t count) { into = count > 0; });
}

void Command::text(std::string_view names, std::optional<std::string>& into, std::string_view kind,
                   std::string_view about) const {
  add_parsed<std::string>(
      *record_, option_record(names, kind, about), names, into,
      [](std::string_view text) -> Result<std::string> { return std::string(text); });
}

void Command::list(std::string_view names, Words& into, std::string_view kind,
                   std::string_view about) const {
  record_->options.push_back(option_record(names, kind, about));
  // One value per mention: more would swallow the positional arguments behind it.
  record_->app->add_option(std::string(names), into, std::string(about))
      ->type_size(1)
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
}

void Command::filters(Words& into) const {
  constexpr const char* kNames = "-f,--filter";
  record_->options.push_back(
      option_record(kNames, "filter", "Filter output based on conditions provided"));
  record_->app
      ->add_option_function<Words>(
          kNames,
          [&into](const Words& given) {
            for (const std::string& filter : given) {
              if (filter.find('=') != std::string::npos && !filter.starts_with('=')) continue;
              throw CLI::ValidationError("invalid argument \"" + filter +
                                         "\" for \"-f, --filter\" flag: bad format of filter "
                                         "(expected name=value)");
            }
            into = given;
          })
      ->type_size(1)
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
}

void Command::number(std::string_view names, std::optional<uint64_t>& into,
                     std::string_view about) const {
  add_parsed<uint64_t>(*record_, option_record(names, "uint", about), names, into,
                       parse_number<uint64_t>);
}

void Command::integer(std::string_view names, std::optional<int64_t>& into,
                      std::string_view about) const {
  add_parsed<int64_t>(*record_, option_record(names, "int", about), names, into,
                      parse_number<int64_t>);
}

void Command::ratio(std::string_view names, std::optional<double>& into,
                    std::string_view about) const {
  add_parsed<double>(*record_, option_record(names, "float", about), names, into,
                     parse_number<double>);
}

void Command::duration(std::string_view names, std::optional<int64_t>& into,
                       std::string_view about) const {
  add_parsed<int64_t>(*record_, option_record(names, "duration", about), names, into,
                      parse_duration_ns);
}

void Command::bytes(std::string_view names, std::optional<int64_t>& into,
                    std::string_view about) const {
  add_parsed<int64_t>(*record_, option_record(names, "bytes", about), names, into, parse_bytes);
}

void Command::cpus(std::string_view names, std::optional<int64_t>& into,
                   std::string_view about) const {
  add_parsed<int64_t>(*record_, option_record(names, "decimal", about), names, into,
                      parse_nano_cpus);
}

void Command::run(Action action) const {
  record_->action = std::move(action);
}

void Command::keep(std::shared_ptr<void> object) const {
  record_->kept.push_back(std::move(object));
}

Grammar::Grammar(std::string_view program, std::string_view about, std::string_view version_line)
    : root_(std::make_unique<CommandRecord>()) {
  root_->owned_app = std::make_shared<CLI::App>(std::string(about), std::string(program));
  root_->app = root_->owned_app.get();
  root_->app->require_subcommand(0, 1);
  root_->app->set_help_flag("-h,--help", "");
  root_->app->set_version_flag("-v,--version", std::string(version_line));
  root_->options.push_back(option_record("-v,--version", "", "Print version information and quit"));
  root_->is_group = true;
  root_->name = root_->path = program;
  root_->about = about;
}

Grammar::~Grammar() = default;

Command Grammar::root() {
  return Command(*root_);
}

CLI::App& Grammar::library_app() {
  return *root_->app;
}

int Grammar::parse_and_run(int argc, char** argv) {
  try {
    root_->app->parse(argc, argv);
  } catch (const CLI::RuntimeError& end) {  // a command that runs as CLI11's callback has failed
    return end.get_exit_code();
  } catch (const CLI::CallForHelp& call) {
    CommandRecord& named = deepest_named(*root_);
    if (&named == root_.get() && !root_->app->get_subcommands().empty()) {
      return root_->app->exit(call);
    }
    std::fputs(help_text(named).c_str(), stdout);
    return 0;
  } catch (const CLI::CallForVersion& call) {
    std::printf("%s\n", call.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    CommandRecord& named = deepest_named(*root_);
    if (&named == root_.get() && !root_->app->get_subcommands().empty()) {
      return root_->app->exit(error);
    }
    return report_parse_error(named, error);
  }
  CommandRecord& named = deepest_named(*root_);
  // Somebody else's family, which has done its work as a callback.
  if (&named == root_.get() && !root_->app->get_subcommands().empty()) return 0;
  return run_command(named);
}

std::optional<std::string> nearest_word(std::string_view word, const Words& candidates) {
  constexpr size_t kSlipsMax = 2;
  std::optional<std::string> best;
  size_t best_distance = kSlipsMax + 1;
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t substituted = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    if (row.back() < best_distance && row.back() < candidate.size()) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace skep::cli
