// Further processes in a container of the plain runtime: each has a folder in the container's, with
// the request, and a keeper like the container's own process.
//
// The host's FIFOs are the process's own files, so that nothing passes through the driver, and the
// end of its input is the host's to make.
// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/fakes/wrong/containers.hpp"

namespace wrong_driver {
namespace {

namespace fs = std::filesystem;

constexpr const char* prefix = "exec-";
const std::initializer_list<const char*> exec_members = {
    "id",         "exec_id", "argv",   "env",    "user", "working_dir", "tty",
    "privileged", "stdin",   "stdout", "stderr", "rows", "cols"};

}  // namespace

std::vector<std::string> Containers::execs_of(const std::string& id) const {
  std::vector<std::string> all;
  for (const auto& entry : fs::directory_iterator(folder(id))) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix)) all.push_back(id + "/" + name);
  }
  return all;
}

std::string Containers::exec_named(const json& request) const {
  const Members members(request);
  const std::string id = members.id("id");
  const std::string exec_id = members.id("exec_id");
  needed(id);
  const std::string key = id + "/" + prefix + exec_id;
  if (exec_id.find('/') == std::string::npos && fs::exists(folder(key))) return key;
  throw Failure(SKEP_E_NOTFOUND, "there is no process " + exec_id + " in container " + id);
}

json Containers::exec_create(const json& request) {
  begin();
  const Members members(request);
  const std::string id = members.id("id");
  const std::string exec_id = members.id("exec_id");
  if (exec_id.find('/') != std::string::npos) {
    throw Failure(SKEP_E_INVALID, "\"exec_id\" must be a name of letters and digits");
  }
  static_cast<void>(members.texts("argv"));
  needed(id);
  const std::string place = folder(id + "/" + prefix + exec_id);
  const json asked = known_of(request, exec_members);
  if (fs::exists(place)) {
    const bool same = json::parse(text_of_file(place + "/request")) == asked;
    if (same && !wrong("exec-create-is-not-idempotent")) return json::object();
    throw Failure(SKEP_E_EXISTS, "there is a process " + exec_id + " with other arguments");
  }
  if (!runs(id) && !wrong("executes-in-what-has-ended")) {
    throw Failure(SKEP_E_PRECONDITION, "container " + id + " does not run");
  }
  const std::string fresh = folder(id) + "/.new-" + exec_id;
  fs::remove_all(fresh);
  fs::create_directories(fresh);
  const bool late = wrong("exec-create-is-finished-by-the-next-call");
  if (!late) std::ofstream(fresh + "/request") << asked.dump();
  fs::rename(fresh, place);
  if (late) put_off_.put([place, asked] { std::ofstream(place + "/request") << asked.dump(); });
  return json::object();
}

Launch Containers::exec_launch_of(const std::string& id, const json& asked) const {
  const Launch first = launch_of(id);
  Launch all;
  all.cgroups = first.cgroups;
  all.argv = asked.at("argv").get<std::vector<std::string>>();
  const bool invalid = wrong("exec-of-a-missing-program-is-invalid");
  all.program = program_of(all.argv, invalid ? SKEP_E_INVALID : SKEP_E_NOTFOUND);
  all.env = first.env;
  for (const json& one : asked.value("env", json::array())) all.env.push_back(one);
  all.working_dir = asked.value("working_dir", first.working_dir);
  all.input = asked.value("stdin", "");
  all.output = asked.value("stdout", "");
  const bool mixed = wrong("exec-errors-go-with-the-output");
  all.errors = mixed ? all.output : asked.value("stderr", "");
  all.beside = started_of(folder(id))->pid;
  return all;
}

json Containers::exec_start(const json& request) {
  begin();
  const std::string key = exec_named(request);
  const std::string id = request.at("id");
  if (wrong("exec-starts-a-second-after-a-crash")) {
    const std::scoped_lock lock(lock_);
    if (started_here_.insert(key).second) fs::remove(folder(key) + "/started");
  }
  if (!started_of(folder(key))) {
    if (!runs(id)) throw Failure(SKEP_E_PRECONDITION, "container " + id + " does not run");
    Launch how = exec_launch_of(id, json::parse(text_of_file(folder(key) + "/request")));
    how.folder = folder(key);
    launch(how);
  }
  const std::optional<Started> started = started_of(folder(key));
  if (!started) throw Failure(SKEP_E_INTERNAL, "the process could not be started");
  watch(key);
  return {{"pid", started->pid}};
}

json Containers::exec_resize(const json& request) {
  begin();
  static_cast<void>(exec_named(request));
  throw Failure(SKEP_E_UNIMPLEMENTED, "this driver has no terminals");
}

void Containers::exec_wait(Call call) {
  begin();
  const std::scoped_lock lock(lock_);
  const std::string key = exec_named(call.request);
  waits_.emplace(key, std::move(call));
  if (const std::optional<Exit> exit = exit_of(folder(key))) return answer_waits(key, *exit);
  wake();
}

json Containers::exec_close_stdin(const json& request) {
  begin();
  static_cast<void>(exec_named(request));
  return json::object();
}

json Containers::exec_signal(const json& request) {
  begin();
  const std::string key = exec_named(request);
  const int number = signal_number(Members(request).text("signal"));
  if (!runs(key)) throw Failure(SKEP_E_PRECONDITION, "the process does not run");
  kill(started_of(folder(key))->pid, number);
  return json::object();
}

}  // namespace wrong_driver
