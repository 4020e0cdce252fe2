// Which case finds which mistake: the table of wrong_drivers_test.cpp.
//
// `must` are the cases that fail with the fake, `may` globs over those that meet the mistake too,
// all of them or some, depending on time. Only the cases that `look` selects are run: those of the
// part of the contract that the mistake is about and its neighbours (but for life.silent-end, which
// listens for a while, where nothing is said late).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sdk/conformance/kit.hpp"

namespace skep::conformance::test {

struct Row {
  std::string fake;
  std::vector<std::string> must;
  std::vector<std::string> may;
  Mode mode = Mode::in_process;  // quicker, and a crash is as plain
  int64_t patience_ms = 4'000;   // short where an answer never comes
  std::string look = {};         // in place of the group's
};

struct Group {
  std::string look;
  std::vector<Row> rows;
};

// A patience that makes a row quick in which an answer never comes. It may be too short for a right
// driver on a busy machine, so such a row looks at what must fail and at nothing else.
inline constexpr int64_t short_ms = 1'000;
inline Row alone(std::string fake, std::vector<std::string> must, std::vector<std::string> may = {},
                 Mode mode = Mode::in_process, int64_t patience_ms = short_ms) {
  Row row{std::move(fake), std::move(must), std::move(may), mode, patience_ms, {}};
  for (const std::string& name : row.must) row.look += (row.look.empty() ? "" : ",") + name;
  return row;
}

inline Group loading_group() {
  return {
      "generic.file.*,generic.load.*,generic.tables.*,generic.config.good",
      {
          {"volumes-second-symbol", {"generic.file.one-symbol"}, {}},
          {"volumes-unique-symbol", {"generic.file.one-symbol", "generic.file.unique-symbols"}, {}},
          {"volumes-text-relocation", {"generic.file.writable-code"}, {}},
          {"volumes-another-id-in-the-note", {"generic.file.loads"}, {"*"}},
          {"volumes-thread-at-load", {"generic.load.unchanged"}, {}},
          {"volumes-signal-at-load", {"generic.load.unchanged"}, {}},
          {"volumes-environment-at-load", {"generic.load.unchanged"}, {}},
          {"volumes-file-at-load", {"generic.load.unchanged"}, {}},
          {"volumes-umask-at-load", {"generic.load.unchanged"}, {}},
          {"volumes-folder-at-load", {"generic.load.unchanged"}, {}},
          {"volumes-locale-at-load", {"generic.load.unchanged"}, {}},
          {"volumes-file-per-instance",
           {"generic.load.thousand-instances"},
           {"generic.load.configured-instances"}},
          {"volumes-memory-per-instance", {"generic.load.thousand-instances"}, {}},
          {"volumes-file-per-configure", {"generic.load.configured-instances"}, {}},
      }};
}

inline Group base_group() {
  return {"generic.[bcpt]*,volume.life.[!s]*,volume.usage",
          {
              {"volumes-lacks-a-function", {"generic.tables.required"}, {}},
              {"volumes-needs-its-own-host", {"generic.tables.newer-host"}, {}},
              {"volumes-schema-is-no-schema", {"generic.config.schema"}, {}},
              {"volumes-takes-any-configuration", {"generic.config.wrong-type"}, {}},
              {"volumes-slow-probe", {"generic.probe.cheap"}, {}},
              {"volumes-probe-changes-its-mind", {"generic.probe.cheap"}, {}},
              {"volumes-probe-crashes-unconfigured",
               {"generic.probe.before-configure"},
               {"generic.base.no-exception"}},
              {"volumes-exceptions-cross",
               {"generic.base.no-exception", "generic.seen.rule-21"},
               {"generic.config.*", "volume.life.*"}},
              {"volumes-throws-in-one-operation",
               {"generic.base.no-exception", "generic.seen.rule-21", "volume.usage"},
               {"volume.life.*"}},
              {"volumes-works-while-drained", {"volume.life.drained"}, {}},
              {"volumes-bad-metric-name", {"generic.watch.metrics"}, {}},
          }};
}

inline Group configuration_group() {
  return {"generic.tables.*,generic.config.[gmur]*,generic.probe.d*",
          {
              {"volumes-needs-a-newer-host-than-it-says",
               {"generic.tables.older-host"},
               {"generic.config.*", "generic.probe.dependency"}},
              {"volumes-refuses-a-good-configuration",
               {"generic.config.good"},
               {"generic.tables.*", "generic.config.*", "generic.probe.dependency"}},
              {"volumes-takes-an-incomplete-configuration", {"generic.config.missing"}, {}},
              {"volumes-too-much-is-not-named", {"generic.config.unknown-member"}, {}},
              {"volumes-reconfigure-takes-anything", {"generic.config.reconfigure"}, {}},
              {"volumes-dependency-is-not-named", {"generic.probe.dependency"}, {}},
          }};
}

inline Group capabilities_group() {
  return {"generic.base.[co]*,generic.probe.*",
          {
              {"volumes-capabilities-change", {"generic.base.capabilities"}, {}},
              {"volumes-does-not-start-after-shutdown", {"generic.base.orderly-end"}, {}},
              {"volumes-logs-for-an-operation-that-never-was", {"generic.watch.log"}, {}},
          }};
}

inline Group request_group() {
  return {
      "*.fuzz.*,volume.life.long-id,volume.life.repeated,generic.base.*,volume.remove.held",
      {
          {"volumes-crashes-on-bad-utf8",
           {"generic.fuzz.bad-utf8", "volume.fuzz.bad-utf8"},
           {"generic.base.no-exception"}},
          {"volumes-crashes-on-deep-requests",
           {"generic.fuzz.deep", "volume.fuzz.deep"},
           {},
           Mode::process},
          {"volumes-crashes-on-large-requests", {"generic.fuzz.large", "volume.fuzz.large"}, {}},
          {"volumes-error-without-the-member",
           {"generic.fuzz.wrong-member", "volume.fuzz.wrong-member"},
           {}},
          {"volumes-error-without-a-sentence",
           {"generic.watch.errors"},
           {"*.fuzz.wrong-member", "volume.remove.held"}},
          {"volumes-refuses-unknown-members",
           {"generic.fuzz.unknown-member", "volume.fuzz.unknown-member"},
           {}},
          {"volumes-takes-long-ids", {"volume.life.long-id"}, {}},
      }};
}

inline Group completion_group() {
  return {
      "volume.life.*,volume.modes.*,volume.usage,volume.get.*,generic.base.*",
      {
          {"volumes-completes-twice", {"generic.watch.completion", "volume.life.silent-end"}, {}},
          {"volumes-completes-late", {"generic.watch.completion"}, {"volume.life.silent-end"}},
          {"volumes-completes-in-its-end",
           {"generic.watch.completion", "volume.life.silent-end"},
           {}},
          {"volumes-reply-of-another-shape", {"generic.watch.replies"}, {}},
          {"volumes-another-reply-each-time",
           {"volume.life.repeated", "volume.get.agrees"},
           {"volume.modes.same"}},
          {"volumes-differs-in-process", {"volume.modes.same"}, {}},
      }};
}

// Each call that is never answered is waited for, so these are few.
inline Group silence_group() {
  return {"*.fuzz.not-json,generic.base.no-exception,volume.usage",
          {
              {"volumes-hangs-on-empty-requests",
               {"generic.fuzz.not-json", "volume.fuzz.not-json", "generic.base.no-exception"},
               {"generic.seen.rule-24"},
               Mode::process,
               700},
              {"volumes-forgets-to-complete",
               {"volume.usage", "generic.base.no-exception"},
               {"volume.fuzz.not-json", "generic.seen.rule-24"},
               Mode::in_process,
               700},
          }};
}

inline Group life_group() {
  return {"volume.life.[!s]*,volume.overlap.*,volume.modes.*,volume.remove.*",
          {
              {"volumes-create-is-not-idempotent",
               {"volume.life.repeated", "volume.overlap.one-object"},
               {"volume.life.other-arguments"}},
              {"volumes-takes-other-arguments", {"volume.life.other-arguments"}, {}},
              {"volumes-remove-of-unknown-fails",
               {"volume.life.repeated", "volume.remove.unknown"},
               {"volume.overlap.one-object"}},
              {"volumes-loses-objects-when-many-come",
               {"volume.overlap.objects"},
               {"volume.overlap.*"}},
              {"volumes-objects-in-a-static", {"volume.modes.two-instances"}, {}},
              {"volumes-host-in-a-static", {"volume.modes.two-instances"}, {"generic.*"}},
          }};
}

// Each waits for the moment at which it can be wrong, so nothing else is looked at.
inline Group overlap_group() {
  return {"volume.overlap.reads",
          {{"volumes-reads-fail-during-changes", {"volume.overlap.reads"}, {}}}};
}

inline Group cancelled_group() {
  return {"volume.cancel.operations",
          {{"volumes-cancel-is-a-failure", {"volume.cancel.operations"}, {}}}};
}

inline Group restart_group() {
  return {
      "volume.restart.*,volume.crash.*,volume.life.whole",
      {
          {"volumes-remembers-nothing",
           {"volume.restart.orderly", "volume.restart.data"},
           {"volume.restart.*", "volume.crash.*"}},
          {"volumes-half-made-after-a-crash", {"volume.crash.during"}, {}, Mode::process},
          {"volumes-deletes-before-restore-done", {"volume.restart.before-restore-done"}, {}},
          {"volumes-deletes-what-was-named",
           {"volume.restart.orderly"},
           {"volume.restart.*", "volume.crash.*"}},
          {"volumes-restore-makes", {"volume.restart.never-made", "volume.restart.unknown"}, {}},
          {"volumes-forgets-restored-holders", {"volume.restart.holders"}, {"volume.restart.*"}},
          {"volumes-remembers-holders-itself",
           {"volume.restart.no-holders"},
           {"volume.restart.holders"}},
          {"volumes-mounts-again", {"volume.restart.data"}, {"volume.restart.*", "volume.life.*"}},
          {"volumes-refuses-what-was-forgotten", {"volume.restart.forgotten"}, {}},
      }};
}

// These are caught when the driver's process is killed, and by nothing less.
inline Group kill_group() {
  return {"volume.crash.[ab]*,volume.restart.data*,volume.restart.orderly",
          {
              {"volumes-saves-only-in-good-order",
               {"volume.crash.before", "volume.crash.after", "volume.restart.data-killed"},
               {},
               Mode::process},
              {"volumes-writes-at-the-next-call", {"volume.crash.after"}, {}, Mode::process},
          }};
}

inline Group volume_group() {
  return {"volume.[gpru]*,volume.lis*,volume.life.[!s]*",
          {
              {"volumes-removes-what-is-held", {"volume.remove.held"}, {"volume.restart.holders"}},
              {"volumes-busy-without-a-name", {"volume.remove.held"}, {"volume.restart.holders"}},
              {"volumes-publish-makes", {"volume.publish.unknown"}, {}},
              {"volumes-publish-wants-a-handle",
               {"volume.publish.no-handle"},
               {"volume.publish.unknown"}},
              {"volumes-one-holder-alone", {"volume.publish.second-holder"}, {"volume.publish.*"}},
              {"volumes-path-is-not-there", {"volume.publish.folder"}, {"volume.*"}},
              {"volumes-counts-holders-itself",
               {"volume.publish.hosts-count"},
               {"volume.restart.data"}},
              {"volumes-unmounts-under-the-others",
               {"volume.publish.short-holder"},
               {"volume.unpublish.*"}},
              {"volumes-never-unmounts",
               {"volume.unpublish.last"},
               {"volume.publish.*", "volume.restart.data"}},
              {"volumes-mounts-tells-nothing", {"volume.unpublish.last"}, {}},
              {"volumes-usage-is-made-up", {"volume.usage"}, {}},
              {"volumes-data-outlives-remove",
               {"volume.life.whole", "volume.restart.data-kept"},
               {"volume.life.*", "volume.restart.*"}},
          }};
}

inline Group sharing_group() {
  return {"volume.publish.*,volume.unpublish.*,volume.sharing.*,volume.detach.*",
          {
              {"volumes-publish-stacks-mounts",
               {"volume.publish.same-again"},
               {"volume.publish.short-holder"}},
              {"volumes-reader-makes-it-read-only", {"volume.publish.read-only"}, {}},
              {"volumes-unknown-holder-fails",
               {"volume.unpublish.unknown-holder"},
               {"volume.unpublish.last"}},
              {"volumes-none-is-shared", {"volume.sharing.none"}, {}},
              {"volumes-onewriter-has-two", {"volume.sharing.onewriter"}, {}},
              {"volumes-readonly-is-written", {"volume.sharing.readonly"}, {}},
              {"volumes-sharing-is-not-told",
               {"volume.sharing.none", "volume.sharing.onewriter", "volume.sharing.readonly"},
               {}},
              {"volumes-detaches-unfenced", {"volume.detach.fencing"}, {}},
          }};
}

inline Group create_group() {
  return {
      "volume.create.*,volume.lis*,volume.life.[!s]*,volume.validate.*,volume.secrets,volume.get.*",
      {
          {"volumes-lists-twice", {"volume.list.pages"}, {"volume.*"}},
          {"volumes-pages-by-position", {"volume.list.pages"}, {}},
          {"volumes-ignores-max", {"volume.list.pages"}, {}},
          {"volumes-validate-makes",
           {"volume.validate.nothing"},
           {"volume.life.*", "volume.create.*"}},
          {"volumes-takes-unknown-options",
           {"volume.create.unknown-option"},
           {"volume.create.bad-option"}},
          {"volumes-takes-bad-values", {"volume.create.bad-option"}, {}},
          {"volumes-leaves-half-made", {"volume.create.unknown-option"}, {"volume.create.*"}},
          {"volumes-names-lead-out", {"volume.create.names"}, {"volume.create.unknown-option"}},
          {"volumes-full-disk-is-internal", {"volume.create.full-disk"}, {}},
          {"volumes-logs-secrets", {"volume.secrets"}, {}},
          {"volumes-keeps-secrets", {"volume.secrets"}, {}},
      }};
}

inline Group balancer_group() {
  return {"lb.life.[!s]*,lb.scope.*,lb.apply.[!t]*,lb.overlap.*",
          {
              {"balancer-attaches-otherwise", {"lb.life.other-arguments"}, {}},
              {"balancer-detach-of-unknown-fails",
               {"lb.scope.unknown"},
               {"lb.life.repeated", "lb.overlap.one-object"}},
              {"balancer-always-drifts", {"lb.scope.check"}, {}},
              {"balancer-release-keeps", {"lb.scope.release", "lb.life.whole"}, {"lb.*"}},
              {"balancer-one-scope-for-all", {"lb.scope.independent"}, {"lb.overlap.*"}},
              {"balancer-applies-older", {"lb.apply.not-newer"}, {}},
              {"balancer-takes-any-base", {"lb.apply.other-base"}, {"lb.scope.release"}},
              {"balancer-full-state-adds", {"lb.apply.full"}, {"lb.apply.other-base"}},
              {"balancer-removes-first", {"lb.apply.no-hole"}, {}},
              {"balancer-one-bad-entry-stops-all", {"lb.apply.partial"}, {}},
              {"balancer-partial-takes-the-generation", {"lb.apply.partial"}, {}},
              {"balancer-ignores-weights", {"lb.apply.members"}, {}},
              {"balancer-ignores-draining", {"lb.apply.members"}, {}},
              {"balancer-removal-of-unknown-fails", {"lb.apply.changes"}, {}},
          }};
}

// A thousand services take a second even where nothing is slow.
inline Group many_services_group() {
  return {"lb.apply.thousand", {{"balancer-slow-with-many", {"lb.apply.thousand"}, {}}}};
}

inline Group balancer_restart_group() {
  return {"lb.scope.adopted*,lb.restart.*",
          {{"balancer-remembers-the-generation-alone",
            {"lb.scope.adopted", "lb.scope.adopted-killed"},
            {"lb.restart.*"},
            Mode::process}}};
}

// Those that wait for a restart of the driver are run with it in a process of its own.
inline Group network_group() {
  constexpr const char* all = "network.*";
  return {"network.check.*,network.[ejnu]*,network.leave.*,network.life.[!s]*,network.remove.*",
          {
              {"networks-endpoint-create-is-not-idempotent",
               {"network.life.repeated"},
               {"network.endpoint.other-arguments"}},
              {"networks-endpoint-takes-other-arguments", {"network.endpoint.other-arguments"}, {}},
              {"networks-gives-an-address-twice", {"network.endpoint.exhausted"}, {}},
              {"networks-exhausted-names-nothing", {"network.endpoint.exhausted"}, {}},
              {"networks-exhausted-is-internal", {"network.endpoint.exhausted"}, {}},
              {"networks-removes-with-endpoints", {"network.remove.endpoints"}, {}},
              {"networks-remove-of-unknown-fails",
               {"network.unknown", "network.life.repeated"},
               {"network.remove.endpoints"}},
              {"networks-remove-keeps-the-bridge", {"network.life.whole"}, {all}},
              {"networks-join-is-not-idempotent", {"network.life.repeated"}, {}},
              {"networks-joins-the-wrong-namespace", {"network.join.fresh"}, {all}},
              {"networks-join-leaves-it-down", {"network.join.fresh"}, {all}},
              {"networks-join-without-a-route", {"network.join.fresh"}, {all}},
              {"networks-join-without-the-address", {"network.join.fresh"}, {all}},
              {"networks-leave-wants-the-namespace", {"network.leave.gone"}, {}},
              {"networks-check-knows-everybody", {"network.unknown"}, {}},
              {"networks-check-sees-nothing", {"network.check.drift"}, {}},
              {"networks-check-always-drifts", {"network.check.drift"}, {"network.life.*"}},
              {"networks-null-is-a-value", {"network.null-members"}, {}},
          }};
}

inline Group traffic_group() {
  return {"network.traffic.node,network.join.*",
          {{"networks-ports-are-isolated", {"network.traffic.node"}, {}}}};
}

inline Group network_restart_group() {
  constexpr const char* all = "network.restart.*";
  return {"network.restart.*",
          {
              {"networks-restored-addresses-are-free",
               {"network.restart.addresses"},
               {},
               Mode::process},
              {"networks-sweeps-before-restore-done",
               {"network.restart.traffic"},
               {all},
               Mode::process},
              {"networks-sweeps-what-was-named", {"network.restart.traffic"}, {all}, Mode::process},
              {"networks-never-sweeps",
               {"network.restart.forgotten-endpoint", "network.restart.forgotten-network"},
               {all},
               Mode::process},
              {"networks-removes-only-what-it-remembers",
               {"network.restart.unrestored"},
               {all},
               Mode::process},
          }};
}

inline Group stream_group() {
  constexpr const char* order = "runtime.events.order";
  const std::vector<std::string> ends_late{"generic.seen.rule-24"};
  return {"runtime.events.e*,runtime.fingerprint.*,runtime.cancel.streams,runtime.run.exit-code",
          {
              {"containers-emits-after-the-end", {"generic.seen.rule-15"}, {}},
              {"containers-exit-event-without-the-code", {"runtime.events.exit-code"}, {}},
              {"containers-an-end-before-the-wait-is-lost", {"runtime.run.exit-code"}, {}},
              alone("containers-fingerprint-tells-nothing-at-first",
                    {"runtime.fingerprint.first", "runtime.cancel.streams"}),
              alone("containers-events-begin-without-a-gap", {order, "runtime.events.exit-code"}),
              alone("containers-start-event-after-the-exit", {order}),
              alone("containers-no-event-of-a-delete", {order}),
              alone("containers-seq-stands-still", {order}),
              alone("containers-streams-ignore-cancel", {"runtime.cancel.streams"}, ends_late),
              alone("containers-wait-holds-its-thread", {"runtime.wait.many"}, ends_late),
              alone("containers-waits-ignore-cancel", {"runtime.wait.many"}, ends_late),
          }};
}

inline Group made_group() {
  return {
      "runtime.create.*,runtime.life.*",
      {
          {"containers-takes-any-image", {"runtime.create.missing-image"}, {}},
          {"containers-takes-other-arguments", {"runtime.life.other-arguments"}, {}},
          {"containers-create-is-not-idempotent", {"runtime.life.repeated"}, {"runtime.life.*"}},
      }};
}

inline Group container_group() {
  return {"runtime.start.*,runtime.stop.*,runtime.remove.*,runtime.stats.*,runtime.run.exit-code",
          {
              alone("containers-create-runs-it",
                    {"runtime.run.exit-code", "runtime.create.missing-program"}),
              {"containers-starts-again-after-the-end", {"runtime.start.after-the-end"}, {}},
              {"containers-stop-ignores-the-grace",
               {"runtime.stop.grace", "runtime.stop.kill"},
               {"runtime.stop.*"}},
              {"containers-stop-sends-its-own-signal", {"runtime.stop.signal"}, {}},
              {"containers-removes-what-runs", {"runtime.remove.running"}, {}},
              {"containers-stats-of-absent-ones-fail", {"runtime.stats.absent"}, {}},
              alone("containers-remove-leaves-its-processes", {"runtime.remove.running"}),
          }};
}

inline Group call_group() {
  return {
      "runtime.create.*,runtime.run.[ep]*,runtime.unknown",
      {
          {"containers-null-is-a-value", {"runtime.create.null-members"}, {}},
          {"containers-what-is-unknown-is-invalid",
           {"runtime.unknown", "runtime.run.exit-code"},
           {}},
          alone("containers-one-call-at-a-time", {"runtime.run.parallel", "runtime.overlap.reads"}),
          alone("containers-a-cancelled-call-is-an-internal-error", {"runtime.cancel.operations"}),
      }};
}

inline Group end_group() {
  return {"runtime.stop.ended,runtime.signal.*,runtime.run.[eo]*",
          {
              {"containers-stop-of-an-ended-one-fails", {"runtime.stop.ended"}, {}},
              // The stop is still under way when the case ends.
              alone("containers-a-stop-keeps-signals-out", {"runtime.signal.beside-stop"},
                    {"generic.seen.rule-24"}),
              {"containers-a-signal-to-an-ended-one-is-done", {"runtime.signal.delivery"}, {}},
              {"containers-out-of-memory-is-a-plain-end", {"runtime.run.out-of-memory"}, {}},
          }};
}

inline Group exec_group() {
  return {
      "runtime.exec.[emno]*,runtime.exec.repeated",
      {
          {"containers-exec-killed-by-a-signal-tells-its-number", {"runtime.exec.exit-code"}, {}},
          {"containers-exec-errors-go-with-the-output", {"runtime.exec.output"}, {}},
          {"containers-exec-of-a-missing-program-is-invalid", {"runtime.exec.missing-program"}, {}},
          {"containers-executes-in-what-has-ended", {"runtime.exec.not-running"}, {}},
          {"containers-exec-create-is-not-idempotent", {"runtime.exec.repeated"}, {}},
      }};
}

inline Group image_group() {
  return {
      "runtime.image.*",
      {
          {"containers-pull-tells-another-image", {"runtime.image.pull"}, {}},
          {"containers-pull-of-a-missing-image-is-internal", {"runtime.image.pull-missing"}, {}},
          {"containers-removes-an-image-in-use", {"runtime.image.remove-used"}, {}},
          {"containers-lists-images-without-their-size", {"runtime.image.listed"}, {}},
      }};
}

inline Group container_restart_group() {
  constexpr const char* more = "runtime.restart.*";
  return {"runtime.restart.*,runtime.crash.start",
          {
              {"containers-restore-restarts",
               {"runtime.restart.never-restarts"},
               {more},
               Mode::process},
              {"containers-starts-a-second-after-a-crash",
               {"runtime.crash.start"},
               {more},
               Mode::process},
              {"containers-list-forgets-what-the-host-forgot",
               {"runtime.restart.older-host"},
               {more, "runtime.crash.*"},
               Mode::process},
              {"containers-restore-done-deletes-what-was-named",
               {"runtime.restart.wait", "runtime.restart.stats"},
               {more, "runtime.crash.*"},
               Mode::process},
          }};
}

// What a crash after an answer shows whatever the moment; one that comes earlier may show it too.
inline Group container_crash_group() {
  const auto by_a_crash = [](const std::string& mistake, std::vector<std::string> must) {
    return alone("containers-" + mistake, std::move(must), {}, Mode::process);
  };
  return {
      "",
      {
          by_a_crash("restore-of-an-unknown-one-is-done", {"runtime.restart.newer-host"}),
          by_a_crash("what-the-host-forgot-cannot-be-made-again", {"runtime.restart.forgotten"}),
          by_a_crash("nobody-reads-the-output", {"runtime.restart.writes-on"}),
          by_a_crash("create-is-finished-by-the-next-call", {"runtime.crash.create"}),
          by_a_crash("remove-is-finished-by-the-next-call", {"runtime.crash.remove"}),
          by_a_crash("knows-the-ends-of-its-own-children-alone", {"runtime.crash.stop"}),
          by_a_crash("exec-create-is-finished-by-the-next-call", {"runtime.crash.exec-create"}),
          by_a_crash("exec-starts-a-second-after-a-crash",
                     {"runtime.crash.exec-start", "runtime.exec.repeated-after-restart"}),
          by_a_crash("pull-stumbles-over-what-a-crash-left", {"runtime.crash.pull"}),
          by_a_crash("image-remove-is-finished-by-the-next-call", {"runtime.crash.image-remove"}),
      }};
}

inline std::vector<Group> all_groups() {
  return {
      loading_group(),
      base_group(),
      configuration_group(),
      capabilities_group(),
      request_group(),
      completion_group(),
      silence_group(),
      life_group(),
      overlap_group(),
      cancelled_group(),
      restart_group(),
      kill_group(),
      volume_group(),
      sharing_group(),
      create_group(),
      balancer_group(),
      many_services_group(),
      balancer_restart_group(),
      network_group(),
      traffic_group(),
      network_restart_group(),
      stream_group(),
      made_group(),
      container_group(),
      call_group(),
      end_group(),
      exec_group(),
      image_group(),
      container_restart_group(),
      container_crash_group(),
  };
}

// Cases that no fake fails, with the reason; none at present.
struct Exception {
  std::string cases;  // glob
  std::string reason;
};

inline std::vector<Exception> exceptions() {
  return {};
}

}  // namespace skep::conformance::test
