#!/usr/bin/env bash
# The cluster changes its root of trust while it works: a service goes on, a node that is down holds
# the change up and is taken along when it is back, and a removed node's certificate is worth nothing.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
playground_up --nodes 3
p=$SKEP_PLAYGROUND_PREFIX

root() { at 1 swarm ca; }
going_on() { at 1 info --format '{{.Swarm.Cluster.RootRotationInProgress}}'; }
trust_of() { at 1 node ls --format '{{.Hostname}} {{.TLSStatus}}' | sort | tr '\n' ';'; }
is() { [[ $("${@:2}") == "$1" ]] || { "${@:2}"; return 1; }; }
running() { at 1 service ps web --filter desired-state=running --format '{{.ID}} {{.CurrentState}}' | grep -c ' Running'; }
tasks() { at 1 service ps web --format '{{.ID}}' | sort | tr '\n' ' '; }
daemon() { for n in 1 2 3; do playground pids $n | sed -n 's/^skepd //p'; done | tr '\n' ' '; }

at 1 service create --detach --name web --replicas 6 busybox:1.28.3 sleep 100000 >/dev/null
wait_until 60 is 6 running
wait_until 10 is "${p}1 Ready;${p}2 Ready;${p}3 Ready;" trust_of
before_tasks=$(tasks) before_daemons=$(daemon) old_root=$(root)
old_token=$(at 1 swarm join-token -q worker)

# Everybody there: it ends by itself, nothing restarts, the tokens are of the new root.
at 1 swarm ca --rotate | tail -30
expect false going_on
expect "${p}1 Ready;${p}2 Ready;${p}3 Ready;" trust_of
[[ $(root) != "$old_root" ]] || fail "the root is the old one"
[[ $(at 1 swarm join-token -q worker | cut -d- -f3) != "$(cut -d- -f3 <<<"$old_token")" ]] ||
  fail "the token still names the old root"
expect "$before_tasks" tasks
expect "$before_daemons" daemon

# A node that is away holds it up; back again, it is taken along.
second_root=$(root)
playground kill 3
wait_until 20 is down at 1 node inspect ${p}3 --format '{{.Status.State}}'
at 1 swarm ca --rotate --detach >/dev/null
expect true going_on
wait_until 20 expect_match "${p}2 Needs Rotation" trust_of
expect "$second_root" root
at 1 swarm ca --rotate --detach >/dev/null # another target: the second one replaces the first
expect true going_on
playground start 3
wait_until 30 is false going_on
wait_until 10 is "${p}1 Ready;${p}2 Ready;${p}3 Ready;" trust_of
[[ $(root) != "$second_root" ]] || fail "the root is the old one"

# What is on disk is good: all of them come back with it.
for n in 1 2 3; do playground kill $n; done
for n in 1 2 3; do playground start $n; done
wait_until 30 is "${p}1 Ready;${p}2 Ready;${p}3 Ready;" trust_of
wait_until 30 is 6 running

# Removed: its connection ends, and its certificate opens nothing any more.
at 1 node rm --force ${p}3 >/dev/null
wait_until 15 expect_match 'removed from the cluster' at 3 info --format '{{.Swarm.LocalNodeState}} {{.Swarm.Error}}'
expect_match '^error' at 3 info --format '{{.Swarm.LocalNodeState}}'
at 3 swarm leave
at 3 swarm join --token "$(at 1 swarm join-token -q worker)" "$(at 1 info --format '{{.Swarm.NodeAddr}}'):2377"
wait_until 20 is "${p}1 Ready;${p}2 Ready;${p}3 Ready;" trust_of
echo "certificates: all well"
