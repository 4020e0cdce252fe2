// The answer to --help: usage, what the command is for, its commands and its options in columns.
//
// Explanations are wrapped at 80 columns under their own column, as docker's are, so that the
// option names stay readable as a list.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/command_record.hpp"

namespace skep::cli {
namespace {

constexpr size_t kPageColumns = 80;
constexpr size_t kAboutColumnsMin = 30;

// `text` cut at spaces into lines of at most `columns`; a longer word gets a line of its own.
Words wrapped(std::string_view text, size_t columns) {
  Words lines;
  std::string line;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (!line.empty() && line.size() + 1 + word.size() > columns) {
      lines.push_back(std::move(line));
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  }
  lines.push_back(std::move(line));
  return lines;
}

struct Row {
  std::string name;
  std::string about;
};

std::string columns_of(const std::vector<Row>& rows) {
  size_t name_columns = 0;
  for (const Row& row : rows) name_columns = std::max(name_columns, row.name.size());
  const size_t indent = name_columns + 5;
  const size_t about_columns =
      indent + kAboutColumnsMin < kPageColumns ? kPageColumns - indent : kAboutColumnsMin;
  std::string out;
  for (const Row& row : rows) {
    std::string left = "  " + row.name;
    left.resize(indent, ' ');
    for (const std::string& line : wrapped(row.about, about_columns)) {
      out += left + line + "\n";
      left.assign(indent, ' ');
    }
  }
  return out;
}

std::string option_rows(const CommandRecord& command) {
  std::vector<OptionRecord> sorted = command.options;
  std::ranges::sort(sorted, {}, &OptionRecord::long_name);
  std::vector<Row> rows;
  for (const OptionRecord& option : sorted) {
    std::string name = option.short_name.empty() ? "    " : option.short_name + ", ";
    name += option.long_name;
    if (!option.kind.empty()) name += " " + option.kind;
    rows.push_back({std::move(name), option.about});
  }
  return columns_of(rows);
}

std::string child_rows(const CommandRecord& command, bool groups) {
  std::vector<Row> rows;
  for (const auto& child : command.children) {
    if (child->is_group == groups) rows.push_back({child->name, child->about});
  }
  std::ranges::sort(rows, {}, &Row::name);
  return columns_of(rows);
}

std::string alias_line(const CommandRecord& command) {
  std::string line = "  " + command.path;
  for (const std::string& alias : command.aliases) {
    line += ", " + (command.parent == nullptr ? "" : command.parent->path + " ") + alias;
  }
  return line + "\n";
}

}  // namespace

std::string usage_line(const CommandRecord& command) {
  std::string line = "Usage:  " + command.path;
  if (command.is_group) return line + (command.parent == nullptr ? " [OPTIONS]" : "") + " COMMAND";
  if (!command.options.empty()) line += " [OPTIONS]";
  if (!command.takes.usage.empty()) line += " " + command.takes.usage;
  return line;
}

std::string help_text(const CommandRecord& command) {
  std::string out = usage_line(command) + "\n\n" + command.about + "\n";
  if (!command.aliases.empty()) out += "\nAliases:\n" + alias_line(command);
  const std::string groups = child_rows(command, true);
  if (!groups.empty()) out += "\nManagement Commands:\n" + groups;
  const std::string commands = child_rows(command, false);
  if (!commands.empty()) out += "\nCommands:\n" + commands;
  if (!command.options.empty()) {
    out += command.parent == nullptr ? "\nGlobal Options:\n" : "\nOptions:\n";
    out += option_rows(command);
  }
  if (command.is_group) {
    out += "\nRun '" + command.path + " COMMAND --help' for more information on a command.\n";
  }
  return out;
}

}  // namespace skep::cli
