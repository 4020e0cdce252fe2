#!/usr/bin/env bash
# Two of three managers are gone for good: the third begins the group anew, and everything else goes on.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in curl jq; do command -v $tool >/dev/null || skip "$tool is not installed"; done

name() { echo "$SKEP_PLAYGROUND_PREFIX$1"; }
api() { curl -sS --max-time 15 --unix-socket "$SKEP_PLAYGROUND_DIR/$(name "$1")/skep.sock" "http://skep/v1.41$2"; }
field() { at "$1" node ls --filter "name=$(name "$2")" --format "{{.$3}}"; }
is() { [[ $(field "$1" "$2" "$3") == "$4" ]]; }
control() { [[ $(api "$1" /info | jq .Swarm.ControlAvailable) == "$2" ]]; }
running() { [[ $(api "$1" /tasks | jq '[.[] | select(.DesiredState == "running" and .Status.State == "running")] | length') == "$2" ]]; }
containers() { on "$1" ctr -n k8s.io tasks ls | awk 'NR > 1 {print $1, $2, $3}' | sort; }
voters() { [[ $(api "$1" /nodes | jq '[.[] | select(.ManagerStatus)] | length') == "$2" ]]; }

playground_up --nodes 4 >/dev/null
for node in 2 3; do at 1 node promote "$(name $node)" >/dev/null; done
for node in 2 3; do wait_until 60 is 1 $node ManagerStatus Reachable; done
at 1 service create --detach --name web --replicas 8 httpd:2.4.34 >/dev/null
wait_until 60 running 1 8
worker=$(at 1 swarm join-token -q worker)
expect_match 'node is already part of a swarm' at 3 swarm init
expect_match 'not a swarm manager' at 4 swarm init --force-new-cluster

playground kill 1
playground kill 2
expect_match 'does not have a leader' at 3 service scale --detach web=9
kept=$(containers 3) far=$(containers 4)
[[ $kept && $far ]] || fail "nothing runs on the survivor or on the worker"

expect_match 'is now a manager' at 3 swarm init --force-new-cluster
expect Leader field 3 3 ManagerStatus
expect '' field 3 1 ManagerStatus
expect web at 3 service ls --format '{{.Name}}'
expect 4 eval "at 3 node ls -q | wc -l"
expect "$worker" at 3 swarm join-token -q worker
wait_until 20 is 3 4 Status Ready
wait_until 20 is 3 1 Status Down
wait_until 60 running 3 8
contains() { [[ -z $(comm -23 <(echo "$2") <(containers "$1")) ]]; }
contains 3 "$kept" || fail "a container of the survivor was touched"
contains 4 "$far" || fail "a container of the worker was touched"
at 3 service scale --detach web=10 >/dev/null
wait_until 60 running 3 10
echo "one manager is the group; services, tokens and containers are as they were"

# The change is on the disk: a restart finds it.
playground kill 3
playground start 3 >/dev/null
wait_until 30 is 3 3 ManagerStatus Leader
wait_until 20 is 3 4 Status Ready
wait_until 60 running 3 10
contains 4 "$far" || fail "a container of the worker was touched by the restart"

# Both lost ones come back, a majority of what once was. They are shut out, and become workers.
playground start 1 >/dev/null
playground start 2 >/dev/null
for node in 1 2; do
  wait_until 60 control $node false
  wait_until 60 is 3 $node Status Ready
done
[[ ! -e $SKEP_PLAYGROUND_DIR/$(name 1)/data/raft.db ]] || fail "an old manager keeps its log"
expect Leader field 3 3 ManagerStatus
voters 3 1 || fail "an old manager is in the group"
at 3 service scale --detach web=6 >/dev/null
wait_until 60 running 3 6
echo "the old managers are shut out, and are workers of the new group"

# And they may be managers again: promoted, or by leaving and joining.
at 3 node promote "$(name 1)" >/dev/null
wait_until 60 is 3 1 ManagerStatus Reachable
at 2 swarm leave --force >/dev/null
wait_until 20 is 3 2 Status Down
at 3 node rm "$(name 2)" >/dev/null
address=$(api 3 /nodes | jq -r '.[] | select(.ManagerStatus.Leader).ManagerStatus.Addr')
expect_match 'as a manager' at 2 swarm join --token "$(at 3 swarm join-token -q manager)" "$address"
wait_until 60 is 3 2 ManagerStatus Reachable
playground kill 3
wait_until 20 voters 1 3
at 1 service scale --detach web=4 >/dev/null
wait_until 60 running 1 4
echo "quorum loss: ok"
