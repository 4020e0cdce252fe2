#!/usr/bin/env bash
# Three managers: any of them takes writes, one may die, and nodes become managers and workers again.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in curl jq; do command -v $tool >/dev/null || skip "$tool is not installed"; done

name() { echo "$SKEP_PLAYGROUND_PREFIX$1"; }
api() { curl -sS --max-time 15 --unix-socket "$SKEP_PLAYGROUND_DIR/$(name "$1")/skep.sock" "http://skep/v1.41$2"; }
# NODE sees this many managers in these words.
sees() { [[ $(at "$1" node ls --format '{{.ManagerStatus}}' | grep -cxE "$3") == "$2" ]]; }
leader() { at "$1" node ls --format '{{.Hostname}} {{.ManagerStatus}}' | sed -n "s/^$SKEP_PLAYGROUND_PREFIX\([0-9]*\) Leader$/\1/p"; }
has_leader_beside() { [[ $(leader "$1") =~ ^[0-9]+$ && $(leader "$1") != "$2" ]]; }
running() {
  [[ $(api "$1" /tasks | jq '[.[] | select(.DesiredState == "running" and .Status.State == "running")] | length') == "$2" ]]
}
tasks() { api "$1" /tasks | jq -r '.[] | [.ID, .NodeID, .DesiredState, .Status.State] | @tsv' | sort; }
containers() { for node in 1 2 3; do on $node ctr -n k8s.io tasks ls | awk 'NR > 1 {print $1, $2, $3}'; done | sort; }
control() { [[ $(api "$1" /info | jq .Swarm.ControlAvailable) == "$2" ]]; }
ready() { [[ $(api "$1" /nodes | jq '[.[] | select(.Status.State == "ready")] | length') == "$2" ]]; }

playground_up >/dev/null

# One joins with the manager's token, one is promoted: both are of the group.
at 2 swarm leave >/dev/null
address=$(api 1 /nodes | jq -r '.[] | select(.ManagerStatus.Leader).ManagerStatus.Addr')
at 2 swarm join --token "$(at 1 swarm join-token -q manager)" "$address" | grep -q 'as a manager' || fail "node 2 is no manager"
at 1 node rm --force "$(at 1 node ls --format '{{.ID}} {{.Status}}' | sed -n 's/ Down$//p')" >/dev/null
at 1 node promote "$(name 3)" >/dev/null
for node in 1 2 3; do
  wait_until 60 sees $node 1 Leader
  wait_until 30 sees $node 2 Reachable
  wait_until 10 control $node true
done
expect 3 eval "api 3 /info | jq .Swarm.Managers"
echo "joined with the token, and promoted: three managers"

# What is written anywhere is read everywhere at once.
leads=$(leader 1)
follower=$((leads % 3 + 1))
other=$((follower % 3 + 1))
at $follower service create --detach --name web --replicas 6 httpd:2.4.34 >/dev/null
expect web at $other service ls --format '{{.Name}}'
wait_until 60 running $other 6
expect_match 'already exists' at $other service create --detach --name web httpd:2.4.34
echo "a follower takes writes"

# The leader's daemon dies: another one leads, nobody's tasks take notice. Back before the lease that
# the new leader grants has run out, the old one finds its place and its containers.
tasks_before=$(tasks $follower)
containers_before=$(containers)
playground kill "$leads"
wait_until 15 has_leader_beside $follower "$leads"
playground start "$leads" >/dev/null
at $follower service create --detach --name more --replicas 2 httpd:2.4.34 >/dev/null
expect_match '^more$' at $other service ls --format '{{.Name}}'
at $follower service rm more >/dev/null
wait_until 30 sees "$leads" 2 Reachable
wait_until 30 ready "$leads" 3
same() { [[ $(tasks "$1") == "$tasks_before" ]]; }
for node in 1 2 3; do wait_until 20 same $node; done
unmoved() { [[ $(containers) == "$containers_before" ]]; }
wait_until 20 unmoved
echo "a dead leader costs nobody a task"

# Two of three are not to be had: no writes, no reads, and the third one says why; then all is well again.
a=$((leads % 3 + 1)) b=$(((leads + 1) % 3 + 1))
playground kill $a
playground kill $b
expect_match 'does not have a leader' at "$leads" service ls
playground start $a >/dev/null
playground start $b >/dev/null
wait_until 30 ready "$leads" 3
wait_until 20 running "$leads" 6
wait_until 20 sees "$leads" 2 Reachable
echo "no quorum, no answer; with one all is as it was"

# Demoted, the leader hands over first; a worker is no manager, and its tasks go on.
leads=$(leader 1)
other=$((leads % 3 + 1))
running_there=$(on "$leads" ctr -n k8s.io tasks ls | awk 'NR > 1 {print $1, $2, $3}' | sort)
at $other node demote "$(name "$leads")" >/dev/null
wait_until 30 has_leader_beside $other "$leads"
wait_until 30 control "$leads" false
expect_match 'not a swarm manager' at "$leads" node ls
wait_until 20 sees $other 1 Reachable
wait_until 20 ready $other 3
expect "$running_there" eval "on $leads ctr -n k8s.io tasks ls | awk 'NR > 1 {print \$1, \$2, \$3}' | sort"
[[ ! -e $SKEP_PLAYGROUND_DIR/$(name "$leads")/data/raft.db ]] || fail "a worker keeps a manager's log"
at $other node promote "$(name "$leads")" >/dev/null
wait_until 60 sees $other 2 Reachable
wait_until 10 control "$leads" true
echo "demoted and promoted again"

# The guards: no manager is removed, and no two of three go while the third one is away.
expect_match 'must be demoted' at $other node rm --force "$(name "$leads")"
playground kill "$leads"
wait_until 20 sees $other 1 Unreachable
third=$((other % 3 + 1))
[[ $third != "$leads" ]] || third=$((third % 3 + 1))
expect_match 'quorum' at $other node demote "$(name $third)"
at $other node demote "$(name "$leads")" >/dev/null
wait_until 20 sees $other 0 Unreachable
at $other node demote "$(name $third)" >/dev/null
wait_until 20 sees $other 0 Reachable
wait_until 20 sees $other 1 Leader
expect_match 'last manager' at $other node demote "$(name $other)"
playground start "$leads" >/dev/null
wait_until 30 control "$leads" false
wait_until 30 ready $other 3
wait_until 20 running $other 6
echo "managers: ok"
