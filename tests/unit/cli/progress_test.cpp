// The rules of convergence.
// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace skep::cli;

namespace {

using skep::model::WallTime;
using namespace std::chrono_literals;

constexpr int64_t kSecond = 1'000'000'000;

ProgressView view_of(uint64_t replicas, std::vector<std::string> states) {
  ProgressView view{.service_id = "svc", .replicas = replicas, .monitor = 5s};
  view.live_nodes = {"n"};
  for (size_t i = 0; i < states.size(); ++i) {
    view.tasks.push_back({.slot = i + 1, .node = "n", .desired = "running", .state = states[i]});
  }
  return view;
}

std::string line_of(const ProgressStep& step, const std::string& name) {
  const auto found =
      std::ranges::find(step.lines.rbegin(), step.lines.rend(), name, &ProgressLine::name);
  return found == step.lines.rend() ? "(none)" : found->text;
}

}  // namespace

TEST_CASE("a service has converged when it ran for the monitor time") {
  Progress progress;
  ProgressStep step = progress.step(view_of(2, {"preparing", "running"}), {0});
  CHECK(line_of(step, "overall progress") == "1 out of 2 tasks");
  CHECK(line_of(step, "1/2") == "preparing");
  CHECK_FALSE(progress.converged());

  step = progress.step(view_of(2, {"running", "running"}), {kSecond});
  CHECK(line_of(step, "overall progress") == "2 out of 2 tasks");
  CHECK(line_of(step, "verify") == "Waiting 5 seconds to verify that tasks are stable...");
  CHECK(step.end == ProgressEnd::waiting);

  step = progress.step(view_of(2, {"running", "running"}), {5 * kSecond});
  CHECK(step.end == ProgressEnd::waiting);
  step = progress.step(view_of(2, {"running", "running"}), {6 * kSecond});
  CHECK(step.end == ProgressEnd::succeeded);
  CHECK(line_of(step, "verify") == "Service svc converged");
}

TEST_CASE("a task that dies meanwhile starts the monitor time anew") {
  Progress progress;
  (void)progress.step(view_of(1, {"running"}), {0});
  REQUIRE(progress.converged());
  ProgressStep step = progress.step(view_of(1, {"failed"}), {kSecond});
  CHECK(line_of(step, "verify") == "Detected task failure");
  CHECK_FALSE(progress.converged());
  step = progress.step(view_of(1, {"running"}), {10 * kSecond});
  CHECK(step.end == ProgressEnd::waiting);
  CHECK(progress.step(view_of(1, {"running"}), {15 * kSecond}).end == ProgressEnd::succeeded);
}

TEST_CASE("a converged service whose tasks are all gone is not converged") {
  Progress progress;
  (void)progress.step(view_of(1, {"running"}), {0});
  CHECK(progress.step(view_of(1, {}), {6 * kSecond - 1 - kSecond * 3}).end == ProgressEnd::waiting);
  CHECK_FALSE(progress.converged());
}

TEST_CASE("tasks on dead nodes don't count") {
  ProgressView view = view_of(1, {"running"});
  view.live_nodes.clear();
  Progress progress;
  CHECK(line_of(progress.step(view, {0}), "overall progress") == "0 out of 1 tasks");
}

TEST_CASE("the replacement stands for its slot, not what it replaces") {
  ProgressView view = view_of(1, {"starting"});
  view.tasks.push_back({.slot = 1,
                        .node = "n",
                        .desired = "shutdown",
                        .state = "failed",
                        .error = "task: non-zero exit (1)"});
  Progress progress;
  CHECK(line_of(progress.step(view, {0}), "1/1") == "starting ");
}

TEST_CASE("why a task waits is shown in its line") {
  ProgressView view = view_of(1, {"pending"});
  view.tasks[0].node.clear();
  view.tasks[0].error = "no suitable node\n(insufficient resources on 3 nodes)";
  Progress progress;
  CHECK(line_of(progress.step(view, {0}), "1/1") ==
        "no suitable node (insufficient resources on 3 nodes)");
}

TEST_CASE("an update that paused ends the wait as a failure") {
  ProgressView view = view_of(1, {"running"});
  view.update_state = "paused";
  view.update_message = "because";
  const ProgressStep step = Progress().step(view, {0});
  CHECK(step.end == ProgressEnd::failed);
  CHECK(step.failure == "service update paused: because");
}

TEST_CASE("an update that is complete ends the wait, unless the monitor time runs") {
  ProgressView view = view_of(1, {"running"});
  view.update_state = "completed";
  CHECK(Progress().step(view, {0}).end == ProgressEnd::succeeded);

  Progress progress;
  (void)progress.step(view_of(1, {"running"}), {0});
  CHECK(progress.step(view, {kSecond}).end == ProgressEnd::waiting);
}

TEST_CASE("a service scaled to nothing converges without tasks") {
  Progress progress;
  (void)progress.step(view_of(0, {}), {0});
  CHECK(progress.converged());
}

TEST_CASE("more than twenty replicas show only the total") {
  const ProgressStep step = Progress().step(view_of(21, {"starting"}), {0});
  CHECK(std::ranges::all_of(
      step.lines, [](const ProgressLine& line) { return line.name == "overall progress"; }));
}
