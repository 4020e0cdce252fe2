// The loop between the lines that come in and the driver that answers, with a look at both.
//
// The driver is only heard while somebody waits on it, so every wait here is cut into ticks, and a
// tick listens to both sides.
// SPDX-License-Identifier: Apache-2.0
#include "cli/plugin/console.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cli/json.hpp"
#include "cli/plugin/console_line.hpp"
#include "cli/plugin/input_lines.hpp"
#include "cli/plugin/object_book.hpp"
#include "sdk/conformance/child.hpp"
#include "sdk/conformance/driver.hpp"

namespace skep::cli {
namespace {

namespace fs = std::filesystem;
using conformance::Driver;
using conformance::Outcome;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kTickMs = 50;
constexpr milliseconds kAfterDeadline{200};  // then the console cancels
constexpr milliseconds kAfterCancel{1'000};  // then it gives up
constexpr int64_t kForEverMs = int64_t{365} * 24 * 3600 * 1000;

constexpr const char* kHelp =
    "OPERATION {JSON}   call it: publish {\"volume\": \"a\", \"holder\": \"c1\", \"holders\": []}\n"
    "! OPERATION ...    the same, and it has to fail\n"
    "ops                the operations this driver has\n"
    "log LEVEL          debug, info, warning or error: what is heard from now on\n"
    "metrics            the driver's own figures\n"
    "kill               SIGKILL to the driver's process\n"
    "restart            start it again: configure, restore what was made here, restore_done\n"
    "quit               or the end of the input\n"
    "Enter or Ctrl-C ends a call that is under way.\n";

// A scratch folder that goes away, or one to keep.
class Folder {
 public:
  static Result<Folder> make(const std::string& keep) {
    Folder folder;
    if (!keep.empty()) {
      std::error_code error;
      folder.path_ = fs::absolute(keep, error);
      if (!error) fs::create_directories(folder.path_, error);
      if (error) return fail(ErrorKind::invalid, keep + ": " + error.message());
      return folder;
    }
    std::string pattern = (fs::temp_directory_path() / "skep-plugin-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      return fail(ErrorKind::internal, pattern + ": " + std::strerror(errno));
    }
    folder.path_ = pattern;
    folder.goes_ = true;
    return folder;
  }
  const std::string& path() const { return path_; }
  // Where the book of a folder that is kept lies; empty for a scratch one.
  std::string book_file() const { return goes_ ? "" : path_ + "/objects"; }
  // What is mounted there is somebody's data: then nothing is removed, and the sentence says so.
  Status leave() const {
    if (!goes_) return {};
    if (!conformance::mounts_below(path_).empty()) {
      return fail(ErrorKind::busy,
                  "the driver left mounts below " + path_ + "; unmount them and remove the folder");
    }
    std::error_code error;
    fs::remove_all(path_, error);
    if (error) return fail(ErrorKind::internal, path_ + ": " + error.message());
    return {};
  }

 private:
  std::string path_;
  bool goes_ = false;
};

// What tells one state of the plugin's file from another.
struct FileState {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = -1;
  int64_t changed_ns = 0;
  bool operator==(const FileState&) const = default;
};

FileState state_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .changed_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

std::string code_word(skep_status status) {
  constexpr std::string_view kPrefix = "SKEP_E_";
  const std::string name = conformance::status_name(status);
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

std::string pretty(const std::string& document) {
  const Json parsed = Json::parse(document, nullptr, false);
  return parsed.is_discarded() ? document : indented(parsed);
}

std::optional<int32_t> level_number(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warning", "error"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<int32_t>(i);
  }
  return std::nullopt;
}

const char* level_name(int32_t level) {
  constexpr std::array<const char*, 4> kNames = {"debug", "info", "warning", "error"};
  return level >= 0 && level < 4 ? kNames[static_cast<size_t>(level)] : "log";
}

class Console {
 public:
  Console(const ConsoleOptions& options, conformance::Plugin plugin, Folder folder,
          InputLines input, std::FILE* out)
      : options_(options),
        plugin_(std::move(plugin)),
        folder_(std::move(folder)),
        input_(std::move(input)),
        out_(out),
        driver_(std::make_unique<Driver>(plugin_, plugin_.mode, folder_.path(), observations_)) {}

  // An error when the driver does not come up in the first place.
  Result<int> run() {
    SKEP_TRY(read_book());
    file_state_ = state_of(plugin_.path);
    const Status started = start();
    while (started && one_line()) {
    }
    if (driver_) finish();
    SKEP_TRY(started);
    return failures_ == 0 || options_.interactive ? 0 : 1;
  }

 private:
  // ---- what is printed
  void say(const std::string& text) {
    std::fprintf(out_, "%s\n", text.c_str());
    std::fflush(out_);
  }
  void say_dimmed(const std::string& text) {
    say(options_.color ? "\033[2m" + text + "\033[0m" : text);
  }
  void complain(const std::string& text) {
    ++failures_;
    say(text);
  }
  // Log lines and broken rules since the last time.
  void show_news() {
    const std::vector<conformance::LogLine> lines = driver_->log();
    if (lines.size() < lines_shown_) lines_shown_ = 0;  // another instance's
    for (; lines_shown_ < lines.size(); ++lines_shown_) {
      const conformance::LogLine& line = lines[lines_shown_];
      if (line.level < log_level_) continue;
      say_dimmed(std::string("  ") + level_name(line.level) + ": " + line.text);
    }
    for (; observations_shown_ < observations_.size(); ++observations_shown_) {
      const conformance::Observation& seen = observations_[observations_shown_];
      complain("  breaks rule " + std::to_string(seen.rule) + ": " + seen.text);
    }
    const std::string how = driver_->lost();
    if (!how.empty() && !loss_told_) {
      loss_told_ = true;
      complain("the driver's process is gone: " + how + "; \"restart\" starts it again");
    }
  }

  // ---- the life cycle
  Status start() {
    loss_told_ = false;
    lines_shown_ = 0;
    SKEP_TRY_ASSIGN(plugin_.identity, identity_now());
    SKEP_TRY(driver_->load({.debug = true}));
    driver_->set_log_level(log_level_);
    say(plugin_.identity.id + " " + plugin_.identity.version + " in " +
        (options_.in_process ? "this process" : "process " + std::to_string(driver_->pid())) +
        ", its folders below " + folder_.path());
    SKEP_TRY(as_status(driver_->configure()));
    for (const std::string& request : book_.restore_requests()) {
      say("> restore " + request);
      SKEP_TRY(as_status(driver_->call_text(conformance::base("restore"), request)));
    }
    const Outcome done =
        driver_->call_text(conformance::base("restore_done"), book_.restore_done_request());
    if (done.status != SKEP_E_UNIMPLEMENTED) SKEP_TRY(as_status(done));
    const Outcome probed = driver_->call_text(conformance::base("probe"), "{}");
    SKEP_TRY(as_status(probed));
    const std::string reason = probed.text("reason");
    say(probed.text("state") + (reason.empty() ? "" : ": " + reason));
    show_news();
    return {};
  }
  Result<host::PluginIdentity> identity_now() const {
    SKEP_TRY_ASSIGN(const host::CheckedFile file,
                    host::CheckedFile::open(plugin_.path, std::nullopt));
    return host::read_note(file);
  }
  Status as_status(const Outcome& outcome) {
    show_news();
    if (outcome.ok()) return {};
    return fail(error_kind_from_abi(outcome.status), std::string(outcome.operation->name) + ": " +
                                                         code_word(outcome.status) + ": " +
                                                         outcome.error);
  }
  void restart() {
    end_instance();
    if (const Status started = start(); !started) complain("error: " + started.error().message);
  }
  void kill() {
    if (options_.in_process) return complain("error: the driver is in this process");
    if (!is_up()) return complain("error: there is no process to kill");
    loss_told_ = true;  // it was asked for
    driver_->kill();
    say("killed");
  }
  void end_instance() {
    driver_->listen(0);
    show_news();
    loss_told_ = true;  // what comes now is asked for
    // It would not end in good order while it holds a call.
    if (holds_a_call_ && is_up() && !options_.in_process) driver_->kill();
    holds_a_call_ = false;
    driver_->drop();
    show_news();
  }
  void finish() {
    end_instance();
    driver_.reset();
    for (; observations_shown_ < observations_.size(); ++observations_shown_) {
      const conformance::Observation& seen = observations_[observations_shown_];
      complain("breaks rule " + std::to_string(seen.rule) + ": " + seen.text);
    }
    if (const Status left = folder_.leave(); !left) complain("error: " + left.error().message);
  }
  bool is_up() const { return driver_->loaded() && driver_->lost().empty(); }

  // ---- lines
  // Waits for a line and obeys it; false when no more will come.
  bool one_line() {
    if (options_.interactive) {
      std::fprintf(out_, "%s> ", plugin_.identity.id.c_str());
      std::fflush(out_);
    }
    for (;;) {
      const Result<Heard> heard = input_.next(kTickMs);
      if (!heard) {
        complain("error: " + heard.error().message);
        return false;
      }
      driver_->listen(0);
      show_news();
      if (options_.watch) look_at_file();
      if (*heard == Heard::line) return obey(input_.text());
      if (*heard != Heard::nothing) {
        if (options_.interactive) say("");  // the shell's prompt begins a line
        return false;
      }
    }
  }
  // A build writes its file for a while: it counts as changed once it has stayed the same for a
  // tick.
  void look_at_file() {
    const FileState now = state_of(plugin_.path);
    const bool settled = now == file_seen_;
    file_seen_ = now;
    if (!settled || now == file_state_ || now.size < 0) return;
    file_state_ = now;
    say("the file has changed");
    restart();
  }
  bool obey(const std::string& text) {
    const Result<ConsoleLine> line = parse_console_line(text, plugin_.identity.interfaces);
    const bool empty = line && std::holds_alternative<Nothing>(*line);
    if (!options_.interactive && !empty) say("> " + text);
    if (!line) {
      complain("error: " + line.error().message);
    } else if (const auto* word = std::get_if<ConsoleWord>(&*line)) {
      return obey_word(*word);
    } else if (const auto* called = std::get_if<ConsoleCall>(&*line)) {
      call(*called);
    }
    return true;
  }
  bool obey_word(const ConsoleWord& line) {
    if (line.word == "quit") return false;
    if (line.word == "help") std::fputs(kHelp, out_);
    if (line.word == "kill") kill();
    if (line.word == "restart") restart();
    if (line.word == "ops") list_operations();
    if (line.word == "metrics") say(indented(Json(driver_->metrics())));
    if (line.word == "log") set_log_level(line.argument);
    return true;
  }
  void set_log_level(const std::string& name) {
    const std::optional<int32_t> level = level_number(name);
    if (!level) return complain("error: log wants debug, info, warning or error");
    if (!is_up()) return complain("error: the driver's process is gone");
    log_level_ = *level;
    driver_->set_log_level(*level);
  }
  void list_operations() {
    if (!is_up()) return complain("error: the driver's process is gone");
    for (const host::Operation* operation : operations_of(plugin_.identity.interfaces)) {
      if (driver_->has(*operation)) say(full_name(*operation));
    }
  }

  // ---- one call
  void call(const ConsoleCall& called) {
    if (!is_up()) {
      return complain("error: the driver's process is gone; \"restart\" starts it again");
    }
    const uint64_t number =
        driver_->begin_text(*called.operation, called.request,
                            {.deadline_ms = options_.deadline_ms, .patience_ms = kForEverMs});
    const bool was_cancelled = follow(number, *called.operation);
    const Outcome outcome = driver_->wait(number, 0);
    show_news();
    if (!outcome.answered) {
      holds_a_call_ = true;
      return complain("error: no answer, not even to the cancel; \"restart\" starts it anew");
    }
    show(outcome);
    if (outcome.ok()) note(*called.operation, called.request, outcome.reply_text);
    const bool ended_as_asked = was_cancelled && outcome.status == SKEP_E_CANCELLED;
    if (called.has_to_fail == outcome.ok() && !ended_as_asked) {
      ++failures_;
      if (called.has_to_fail) say("error: it should have failed");
    }
  }
  void note(const host::Operation& operation, const std::string& request,
            const std::string& reply) {
    book_.saw(operation, request, reply);
    if (folder_.book_file().empty()) return;
    std::ofstream file(folder_.book_file(), std::ios::trunc);
    file << book_.to_text() << std::flush;
    if (!file) complain("error: " + folder_.book_file() + " can't be written");
  }
  Status read_book() {
    const std::string path = folder_.book_file();
    if (path.empty() || !fs::exists(path)) return {};
    std::ifstream file(path);
    Result<ObjectBook> book =
        ObjectBook::from_text(std::string(std::istreambuf_iterator<char>(file), {}));
    if (!book) return fail(book.error().within(path));
    book_ = std::move(*book);
    return {};
  }
  void show(const Outcome& outcome) {
    if (outcome.ok()) return say(pretty(outcome.reply_text));
    say("error " + code_word(outcome.status) + ": " + outcome.error);
    if (!outcome.reply_text.empty()) say(pretty(outcome.reply_text));
  }
  // Prints items until the call ends, is cancelled in vain, or its process is lost; whether it was
  // cancelled.
  bool follow(uint64_t number, const host::Operation& operation) {
    std::optional<Clock::time_point> cancelled;
    const Clock::time_point begun = Clock::now();
    for (;;) {
      // Asked before the items are looked at: what ended has no further ones.
      const bool ended = driver_->ended(number);
      const auto item = driver_->item(number, ended ? 0 : kTickMs);
      if (item) say(item->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      show_news();
      if (!item && (ended || !driver_->lost().empty())) return cancelled.has_value();
      const Clock::time_point now = Clock::now();
      if (cancelled && now - *cancelled > kAfterCancel) return true;
      if (!cancelled && !ended && wants_end(operation, now - begun)) {
        driver_->cancel(number);
        cancelled = now;
      }
    }
  }
  bool wants_end(const host::Operation& operation, Clock::duration running) {
    if (input_.interrupted()) return true;
    if (options_.interactive) {
      const Result<Heard> heard = input_.next(0);
      if (!heard || *heard != Heard::nothing) return true;
    } else if (operation.effect == host::Effect::streams &&
               running > milliseconds(options_.stream_for_ms)) {
      return true;
    }
    const int64_t deadline_ms = options_.deadline_ms.value_or(operation.deadline_ms);
    return deadline_ms >= 0 && running > milliseconds(deadline_ms) + kAfterDeadline;
  }

  const ConsoleOptions& options_;
  conformance::Plugin plugin_;
  const Folder folder_;
  InputLines input_;
  std::FILE* out_;
  std::vector<conformance::Observation> observations_;
  std::unique_ptr<Driver> driver_;
  ObjectBook book_;
  FileState file_state_;  // what runs
  FileState file_seen_;   // at the last look
  int32_t log_level_ = options_.log_level;
  size_t lines_shown_ = 0;
  size_t observations_shown_ = 0;
  int failures_ = 0;
  bool loss_told_ = false;
  bool holds_a_call_ = false;  // that was given up
};

}  // namespace

Result<int> run_console(const ConsoleOptions& options, int input, std::FILE* out) {
  const conformance::KitOptions wanted{
      .file = options.file,
      .mode = options.in_process ? conformance::Mode::in_process : conformance::Mode::process,
      .config = options.config,
      .host_program = options.host_program};
  if (options.watch && options.in_process) {
    return fail(ErrorKind::invalid,
                "--watch and --in-process exclude each other: a library that is in a process stays "
                "there");
  }
  SKEP_TRY_ASSIGN(conformance::Plugin plugin, conformance::plugin_of(wanted));
  SKEP_TRY_ASSIGN(Folder folder, Folder::make(options.keep));
  SKEP_TRY_ASSIGN(InputLines lines, InputLines::on(input));
  Console console(options, std::move(plugin), std::move(folder), std::move(lines), out);
  return console.run();
}

}  // namespace skep::cli
