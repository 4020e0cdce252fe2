#!/usr/bin/env bash
# A driver's process may die as often as it likes: what runs goes on running, and is still looked after.
#
# Node 2 has its runtime driver in a process of its own. It is killed several times, then five times in a
# row, which is given up; a reload heals it.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in curl jq; do command -v $tool >/dev/null || skip "$tool is not installed"; done

socket() { echo "$SKEP_PLAYGROUND_DIR/${SKEP_PLAYGROUND_PREFIX}$1/skep.sock"; }
api() { curl -sS --max-time 5 --unix-socket "$(socket 1)" "http://skep/v1.41$1"; }
# The drivers of node 2.
plugins() { curl -sS --max-time 5 --unix-socket "$(socket 2)" "http://skep/skep/v1/plugins$1"; }
post() { curl -sS --max-time 60 -X POST --unix-socket "$(socket 2)" "http://skep/skep/v1/plugins$1" -d "${2:-}"; }
runtime() { plugins /runtime-containerd | jq -r "$1"; }
is() { [[ $(runtime "$1") == "$2" ]]; }
# Its process, as seen from here: one of the node's helpers, which are named after their plugins.
helper() {
  local pid
  for pid in $(playground pids 2 | sed -n 's/^process:skep-plugin-host //p'); do
    [[ $(cat "/proc/$pid/comm") != skep:runtime* ]] || echo "$pid"
  done
}
losses() { runtime .recent_losses; }
lost() { [[ $(losses) == "$1" ]]; }
# Only one that serves: what dies while it starts counts as well, but can't be told from here.
kill_helper() {
  wait_until 40 is .state serving
  local before
  before=$(losses)
  kill -KILL "$(helper)"
  wait_until 10 lost $((before + 1))
}
containers() { on 2 ctr -n k8s.io tasks ls | awk 'NR > 1 {print $1, $2, $3}' | sort; }
running() {
  [[ $(api /tasks | jq '[.[] | select(.DesiredState == "running" and .Status.State == "running")] | length') == "$1" ]]
}
tasks() { api /tasks | jq -r '.[] | [.ID, .NodeID, .DesiredState, .Status.State] | @tsv' | sort; }
failed() { [[ $(api /tasks | jq '[.[] | select(.Status.State == "failed")] | length') == "$1" ]]; }
node_says() { at 1 node inspect "${SKEP_PLAYGROUND_PREFIX}2" | grep -q "$1"; }

unmoved() {
  expect "$tasks_before" tasks
  expect "$containers_before" containers
  echo "$1: no task moved, no container restarted"
}

playground_up --nodes 2 >/dev/null
config=$SKEP_PLAYGROUND_DIR/${SKEP_PLAYGROUND_PREFIX}2/skepd.toml
sed -i 's|^\[plugins.runtime-containerd\]$|&\nisolation = "process"|' "$config"
kill -TERM "$(playground pids 2 | sed -n 's/^skepd //p')"
gone() { [[ -z $(playground pids 2 | sed -n 's/^skepd //p') ]]; }
wait_until 20 gone
playground start 2 >/dev/null
wait_until 10 is .isolation process
wait_until 10 is .state serving
# It says at its start that it is not connected yet, and is asked again long before the usual ten seconds.
wait_until 5 is .probe.state ready
expect in-process eval 'plugins /net-bridge | jq -r .isolation'
at 1 service create --detach --name web --replicas 4 --constraint "node.hostname==${SKEP_PLAYGROUND_PREFIX}2" \
  httpd:2.4.34 >/dev/null
wait_until 60 running 4
tasks_before=$(tasks)
containers_before=$(containers)
[[ $(wc -l <<<"$containers_before") == 4 ]] || fail "four containers wanted: $containers_before"

# Killed three times.
for _ in 1 2 3; do
  kill_helper
  wait_until 10 is .state serving
done
expect 3 runtime .restarts
unmoved "killed three times"

# What ends is noticed by the process that came after.
victim=$(head -n 1 <<<"$containers_before" | cut -d ' ' -f 2)
on 2 kill -KILL "$victim"
wait_until 20 failed 1
wait_until 60 running 4
tasks_before=$(tasks)
containers_before=$(containers)

# An operator's reload: the objects move to a new process. It forgets the losses.
before=$(helper)
expect serving eval 'post /runtime-containerd/reload | jq -r .state'
[[ $(helper) != "$before" ]] || fail "a reload kept the process"
expect 0 runtime .recent_losses
unmoved "reloaded"

# Five more in a row: given up, and said so; nothing new is placed there.
for _ in 1 2 3 4 5; do
  kill_helper
done
wait_until 5 is .state unhealthy
expect open runtime .breaker
expect_match "driver runtime-containerd is unhealthy: lost 5 times in 2 minutes" runtime .reason
wait_until 10 node_says "driver runtime-containerd is unhealthy"
unmoved "given up"
at 1 service create --detach --name late --constraint "node.hostname==${SKEP_PLAYGROUND_PREFIX}2" httpd:2.4.34 >/dev/null
late_waits() { at 1 service ps late --no-trunc | grep -q "1 node not available for new tasks"; }
wait_until 10 late_waits
at 1 service rm late >/dev/null

expect serving eval 'post /runtime-containerd/reload | jq -r .state'
healed() { ! node_says "is unhealthy"; }
wait_until 10 healed
unmoved "healed"
at 1 service scale --detach web=5 >/dev/null
wait_until 60 running 5

expect 409 eval 'curl -sS -o /dev/null -w "%{http_code}" -X POST --unix-socket "$(socket 1)" http://skep/skep/v1/plugins/runtime-containerd/reload'
expect_match "needs a restart of skepd" curl -sS -X POST --unix-socket "$(socket 1)" \
  http://skep/skep/v1/plugins/runtime-containerd/reload
expect debug eval 'post /runtime-containerd/log-level "{\"level\": \"debug\"}" | jq -r .log_level'
expect_match "No such plugin: nobody" plugins /nobody
expect_match "a log level is" post /runtime-containerd/log-level '{"level": "loud"}'

echo "plugin_faults: ok"
