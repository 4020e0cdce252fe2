// The driver under test as a case sees it: the same face whether it lives in a helper process or in
// this one.
//
// Whatever the driver says is kept in its Ledger: ends of operations, items, log lines, metrics. A
// second end of an operation, an item after it, a reply that does not fit its schema and the like
// are not errors of the call under way; they become Observations, which the kit reports under their
// own rule. All calls on one thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"
#include "sdk/conformance/kit.hpp"
#include "sdk/conformance/outcome.hpp"
#include "sdk/host/helper.hpp"
#include "sdk/host/instance.hpp"
#include "sdk/host/note.hpp"

namespace skep::conformance {

class Crumb;
class Engine;
class Ledger;

// A rule that was seen broken while a case was about something else.
struct Observation {
  int rule = 0;
  std::string text;
};

// What is known about the file under test before any code of it ran, and how to run it.
struct Plugin {
  std::string path;
  host::PluginIdentity identity;
  Mode mode = Mode::process;
  std::string host_program;
  int64_t patience_ms = 0;
  json config;                   // what configure gets; null: made from the schema
  json facts;                    // the profile; an object
  std::shared_ptr<Crumb> crumb;  // may be null
};

// Of the file, mode, configuration, profile and helper program that the options name. Nothing is
// run.
Result<Plugin> plugin_of(const KitOptions& options);

// As long as asked, and not longer than the user of the kit is patient.
std::chrono::milliseconds at_most(const Plugin& plugin, int64_t patience_ms);

// An object that the host asked for: what it would keep in its own store.
struct Object {
  std::string id;
  json handle;                          // as its make-operation answered; null before
  std::map<std::string, json> replies;  // of the operations done, by name
  json memory = json::object();         // whatever a kind wants to remember of it
};

struct LogLine {
  uint64_t number = 0;  // of the operation; 0: none
  int32_t level = 0;
  std::string text;
};

// How to call: the deadline the driver is told, and how long the kit waits.
struct CallOptions {
  std::optional<int64_t> deadline_ms;  // from now; absent: the operation's own
  std::optional<int64_t> patience_ms;  // absent: the deadline and a little
};

// What a fresh instance is given besides its configuration.
struct LoadOptions {
  host::HostShape shape;
  int64_t address_space_bytes = int64_t{512} << 20;
  // Map the path itself instead of a sealed copy, so that a debugger finds symbols.
  bool debug = false;
};

class Driver {
 public:
  // `folder` (run and data below it) is made; a second Driver on the same folder is the same driver
  // started again.
  Driver(const Plugin& plugin, Mode mode, std::string folder,
         std::vector<Observation>& observations);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // ---- life. Errors are the host's sentences.
  // Maps the library and makes an instance; nothing is configured.
  Status load(const LoadOptions& options = {});
  // configure with `config` (absent: the plugin's), this driver's folders and a node name.
  Outcome configure(const std::optional<json>& config = std::nullopt);
  Outcome restore(const json& request);  // {"id", "handle", ..}
  Outcome restore_done(const std::vector<std::string>& ids);
  // Probes until it is ready; an error when it says broken, or after 10 s.
  Status until_ready();
  // All of it for a driver that knows nothing: load, configure, restore_done([]), ready.
  Status start(const LoadOptions& options = {});
  // Ends the instance in good order, and the helper with it; what would never end (streams, waits)
  // is cancelled before. Nothing when there is none.
  void drop();
  // SIGKILL and wait for the end. Requires process mode.
  void kill();

  bool loaded() const { return engine_ != nullptr; }
  Mode mode() const { return mode_; }
  // How the helper ended by itself; empty while it lives, and in-process.
  std::string lost() const;

  // ---- what the library told. Requires loaded().
  bool has(const host::Operation& operation) const;
  const std::string& config_schema() const;
  const std::string& options_schema() const;
  uint32_t flags() const;
  pid_t pid() const;  // of the process the driver lives in
  // What configure gets by default: the plugin's, or what the schema has as defaults.
  json default_config() const;

  // ---- operations
  Outcome call(const host::Operation& operation, const json& request, const CallOptions& = {});
  Outcome call_text(const host::Operation& operation, std::string_view request,
                    const CallOptions& = {});
  // The same in two halves; the number is for wait(), item() and cancel().
  uint64_t begin(const host::Operation& operation, const json& request, const CallOptions& = {});
  uint64_t begin_text(const host::Operation& operation, std::string_view request,
                      const CallOptions& = {});
  // Waits for the end; absent: as long as was told to begin().
  Outcome wait(uint64_t number, std::optional<int64_t> patience_ms = std::nullopt);
  bool ended(uint64_t number);  // without waiting
  // The next item of a stream, or nothing when its time is over or the stream ended.
  std::optional<json> item(uint64_t number, int64_t patience_ms = 5'000);
  void cancel(uint64_t number);
  // Lets the driver's words in for a while, for what must not come.
  void listen(int64_t for_ms);

  // ---- what it said
  // What it said that no host may hear, so far; the watches are told of it too.
  std::vector<Observation> misdeeds() const;
  std::vector<LogLine> log() const;  // and standard error, as lines of level info
  std::map<std::string, int64_t> metrics() const;
  void set_log_level(int32_t level);

  // ---- its folders: absolute, there
  const std::string& folder() const { return folder_; }
  std::string run_dir() const { return folder_ + "/run"; }
  std::string data_dir() const { return folder_ + "/data"; }

 private:
  Outcome outcome_of(uint64_t number);
  void watch(const Outcome& outcome);

  const Plugin& plugin_;
  const Mode mode_;
  const std::string folder_;
  std::vector<Observation>& observations_;
  std::unique_ptr<Engine> engine_;
  Ledger* ledger_ = nullptr;
  // In-process they live as long as the process: a driver's threads may still call them.
  std::vector<std::unique_ptr<Ledger>> ledgers_;
};

// SKEP_OPERATION for the base table, by name: base("probe").
const host::Operation& base(std::string_view name);

}  // namespace skep::conformance
