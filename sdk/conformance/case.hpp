// A case, the kind of driver it may need, and what a case's code works with.
//
// A case is a function over a Run. It starts drivers, calls them, and returns the first check that
// did not hold; a check is a method of Run, which remembers everything a person wants to see:
//
//     Status remove_of_a_held_volume(Run& run) {
//       SKEP_TRY_ASSIGN(Driver* const driver, run.started());
//       SKEP_TRY(run.ok(driver->call(create, {{"volume", "v"}})));
//       ...
//       return run.fails(driver->call(remove, {{"volume", "v"}}), {SKEP_E_BUSY});
//     }
//
// A Kind tells the generic cases how to make objects of a kind and take them away again, so that
// repetition, crashes and concurrency are tested once for all kinds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/result.hpp"
#include "sdk/conformance/driver.hpp"
#include "sdk/conformance/rule.hpp"

namespace skep::conformance {

class Kind;
class Run;

struct Case {
  std::string name;   // "volume.remove.held": kind, subject, circumstance; for --filter
  std::string about;  // one sentence: what holds
  std::vector<Rule> rules;
  std::function<Status(Run&)>
      run;                     // empty: a watch, which fails when its first rule was seen broken
  bool process_only = false;   // it kills helpers
  int limit_s = 60;            // then its process is killed, and it failed
  const Kind* kind = nullptr;  // set by the kit for cases of a kind and generic ones over it
};

// One operation in the life of an object.
struct Step {
  // Where it stands: ups make the object and put it to use, reads look at it while it is in use,
  // downs undo the ups in reverse. Ups and downs change something.
  enum class Place : uint8_t { up, read, down };
  Place place = Place::up;
  const host::Operation* operation = nullptr;
  std::function<json(const Object&)> request;
  // Further members of the reply that differ from one call to the next ("time"); for comparisons.
  std::vector<std::string> volatile_members;
  // Of a down: the up that it undoes; empty: the last one that is not undone yet.
  std::string undoes;
};

// What the kit knows of a kind of driver. One constant object for each kind; [any thread].
class Kind {
 public:
  virtual ~Kind() = default;
  virtual std::string_view name() const = 0;  // as host::Interface::kind

  // Whether objects can be made here at all: run.skip(reason) when the machine lacks something.
  virtual Status prepare(Run& run) const = 0;
  // The object number `number` (from 0) of this run: its id, and what must be there outside before
  // its first operation (a namespace, ..), which this makes below run.scratch() or takes away in
  // clean_up.
  virtual Result<Object> object(Run& run, int number) const = 0;
  virtual void clean_up(Run& run, const Object& object) const;
  // All steps of an object's life in order: ups, reads, downs; only operations that `driver` has.
  virtual std::vector<Step> life(const Driver& driver) const = 0;
  // {"id", "handle", ...} for an object at this moment; `done` are the ups done so far.
  virtual json restore_request(const Object& object, const std::vector<std::string>& done) const;
  // All that the host restores of the object, in order, and names at the end; for a kind whose
  // objects hold further ones with handles of their own. Usually restore_request() alone.
  virtual std::vector<json> restore_requests(const Object& object,
                                             const std::vector<std::string>& done) const;
  // Another request for the first step: the same id with other arguments, which must be refused
  // with EXISTS; null when the kind has no such thing.
  virtual json altered(const Object& object) const = 0;
  // The ids of the objects that the driver says exist, each as often as it says so.
  virtual Result<std::vector<std::string>> existing(Run& run, Driver& driver) const = 0;
  // Whether an object of which these ups are done is one of existing().
  virtual bool exists_after(const std::vector<std::string>& done) const { return !done.empty(); }
  // What is still there outside (mounts, interfaces, processes) after all objects were taken away;
  // a line each.
  virtual std::vector<std::string> left_over(Run& run, Driver& driver) const;
  // Takes away what a case that failed half-way, or died, has left: objects whose requests named
  // something below run.scratch(). With a driver of its own, in a process of its own; for kinds
  // whose leavings would be in the way of the next cases.
  virtual Status take_leavings_away(Run& run) const;
  // What is missing of an object at this point of its life: "the mount of c1 is there twice"; the
  // crash matrix asks after each restart.
  virtual std::vector<std::string> wrong_with(Run& run, Driver& driver, const Object& object,
                                              const std::vector<std::string>& done) const;
  // After a restart the host of this kind says everything again (its ups, in order), and restore
  // does not tell whether the driver has it.
  virtual bool told_again() const { return false; }
  // Whether two instances on folders of their own have nothing in common; not so when what they
  // make lives in the kernel or in a service of the node.
  virtual bool separate(Run& run, Driver& driver) const;
  virtual std::vector<Case> cases() const = 0;
};

// What a check found, in the words of a report.
struct Finding {
  std::string operation;
  std::string request;
  std::string expected;
  std::string came;
};

class Run {
 public:
  Run(const Plugin& plugin, const Case& about, std::string scratch);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const Plugin& plugin() const { return plugin_; }
  // The profile's member, e.g. fact("image", "alpine"); `otherwise` when it says nothing of it.
  json fact(std::string_view name, const json& otherwise = nullptr) const;
  const Kind& kind() const;  // requires a case of a kind
  const std::string& scratch() const {
    return scratch_;
  }                                                      // absolute, empty at first, the case's own
  const std::string& unique() const { return unique_; }  // [a-z0-9]{8}, differs for every case run

  // A driver on its folder of that name; made at first use, not loaded. Drivers end before the Run.
  Driver& driver(const std::string& folder = "driver");
  Driver& driver(const std::string& folder, Mode mode);
  // The same, loaded, configured and ready, unless it already is.
  Result<Driver*> started(const std::string& folder = "driver");

  // ---- checks. Each returns success, or keeps a Finding and returns an error to hand on.
  Status ok(const Outcome& outcome);
  Status fails(const Outcome& outcome, std::initializer_list<skep_status> with);
  // fails, and the sentence has the word.
  Status fails_naming(const Outcome& outcome, std::initializer_list<skep_status> with,
                      std::string_view word);
  // The same success and the same reply (but for `but`, members of it).
  Status same(const Outcome& first, const Outcome& again, const std::vector<std::string>& but = {});
  Status that(bool holds, std::string_view expected, std::string_view came);
  // The same about an operation that was called.
  Status that(bool holds, std::string_view expected, std::string_view came, const Outcome& about);
  // What is going on, for the finding: "killed during publish". Holds until the next.
  void when(std::string circumstance) { when_ = std::move(circumstance); }
  // Ends the case as skipped.
  Status skip(std::string reason);

  // Something of another rule than the case's own.
  void observe(int rule, std::string text);

  // ---- for the kit
  const std::optional<Finding>& finding() const { return finding_; }
  const std::string& circumstance() const { return when_; }
  const std::optional<std::string>& skipped() const { return skipped_; }
  std::vector<Observation> take_observations();

 private:
  const Plugin& plugin_;
  const Case& case_;
  const std::string scratch_;
  const std::string unique_;
  std::vector<Observation> observations_;
  std::map<std::string, std::unique_ptr<Driver>> drivers_;
  std::optional<Finding> finding_;
  std::string when_;
  std::optional<std::string> skipped_;
};

}  // namespace skep::conformance
