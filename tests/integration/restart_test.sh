#!/usr/bin/env bash
# The daemon is not the workload: killed, stopped or cut off, it comes back to containers that never noticed.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in curl jq; do command -v $tool >/dev/null || skip "$tool is not installed"; done

api() { curl -sS --max-time 5 --unix-socket "$SKEP_PLAYGROUND_DIR/${SKEP_PLAYGROUND_PREFIX}1/skep.sock" "http://skep/v1.41$1"; }
pause() { read -rt "$1" <> <(:) || true; }
skepd_pid() { playground pids "$1" | sed -n 's/^skepd //p'; }
# Tasks with their states and nodes; containers with their processes: what must not change.
tasks() { api /tasks | jq -r '.[] | [.ID, .NodeID, .DesiredState, .Status.State] | @tsv' | sort; }
here() { on "$1" ctr -n k8s.io tasks ls | awk -v node="$1" 'NR > 1 {print node, $1, $2, $3}' | sort; }
containers() { for node in 1 2 3; do here $node; done; }
# How many nodes, or tasks that should run, are in a state.
nodes_are() { [[ $(api /nodes | jq "[.[] | select(.Status.State == \"$1\")] | length") == "$2" ]]; }
running() {
  [[ $(api /tasks | jq '[.[] | select(.DesiredState == "running" and .Status.State == "running")] | length') == "$1" ]]
}

# Any state of a node but ready, each time it is seen. A manager that is away says nothing of nodes.
watch_nodes() {
  local seen
  while [[ -e $watching ]]; do
    seen=$(api /nodes 2>/dev/null | jq -r '.[].Status.State | select(. != "ready")' 2>/dev/null) || seen=
    [[ -z $seen ]] || echo "$seen" >>"$watching.bad"
    pause 0.05
  done
}

# A task that only this node may run does run: its daemon has a session, whatever the manager remembers.
in_session() {
  at 1 service create --detach --name probe --constraint "node.hostname==$SKEP_PLAYGROUND_PREFIX$1" httpd:2.4.34 >/dev/null
  wait_until 10 running 10
  at 1 service rm probe >/dev/null
}
as_many() { [[ $(tasks | wc -l) == "$1" ]]; }

# What is the same before and after, once every daemon has a session again.
unmoved() {
  for each in 1 2 3; do in_session $each; done
  # A probe that was stopped before it could heed the signal takes its whole grace of 10 s.
  wait_until 20 as_many 9
  wait_until 10 nodes_are ready 3
  wait_until 10 running 9
  expect "$tasks_before" tasks
  expect "$containers_before" containers
  [[ ! -s $watching.bad ]] || fail "$1: nodes were seen as: $(sort "$watching.bad" | uniq -c)"
  echo "$1: no task moved, no container restarted"
}

playground_up >/dev/null
at 1 service create --detach --name web --replicas 9 httpd:2.4.34 >/dev/null
wait_until 30 running 9
tasks_before=$(tasks)
containers_before=$(containers)
[[ $(wc -l <<<"$containers_before") == 9 ]] || fail "nine containers wanted: $containers_before"
watching=$(mktemp)
trap 'rm -f "$watching" "$watching.bad"; playground down >&2' EXIT
watch_nodes &
watcher=$!

for node in 2 3 1; do
  old=$(skepd_pid $node)
  playground kill $node
  pause 1.5  # half a lease
  playground start $node >/dev/null
  [[ $(skepd_pid $node) != "$old" ]] || fail "node $node still has its old daemon"
  unmoved "SIGKILL of node $node's daemon, back after 1.5 s"
done

# In good order the lease is extended, so the daemon may be away for longer than one.
stopped() { [[ -z $(skepd_pid "$1") ]]; }
for node in 2 1; do
  kill -TERM "$(skepd_pid $node)"
  wait_until 10 stopped $node
  pause 4
  playground start $node >/dev/null
  unmoved "SIGTERM of node $node's daemon, back after 4 s"
done
rm "$watching"
wait $watcher

# Cut off, a node is given up by the managers; what runs on it goes on until it hears otherwise.
cut_off=$(here 3)
playground cut 3
wait_until 10 nodes_are down 1
wait_until 20 running 9
expect "$cut_off" here 3
echo "cut off: its containers run on, and all replicas run elsewhere"
# Those that ended stay for their logs.
empty() { ! here "$1" | grep -q RUNNING; }
playground heal 3
wait_until 20 nodes_are ready 3
wait_until 20 empty 3
wait_until 10 running 9

# What a daemon's return finds and nobody wants any more is removed, to the last trace.
at 1 service create --detach --name more --replicas 9 httpd:2.4.34 >/dev/null
wait_until 30 running 18
if empty 3; then fail "node 3 got no task"; fi
playground kill 3
at 1 service rm web more >/dev/null
if empty 3; then fail "its containers went without their daemon"; fi
playground start 3 >/dev/null
wait_until 30 python3 "$(dirname "$0")/playground.py" empty
echo "restart: ok"
