#!/usr/bin/env bash
# The whole cluster in a file: saved on-line, and restored on an empty machine when all managers are gone.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in curl jq; do command -v $tool >/dev/null || skip "$tool is not installed"; done

name() { echo "$SKEP_PLAYGROUND_PREFIX$1"; }
api() { curl -sS --max-time 15 --unix-socket "$SKEP_PLAYGROUND_DIR/$(name "$1")/skep.sock" "http://skep/v1.41$2"; }
is() { [[ $(at "$1" node ls --filter "name=$(name "$2")" --format "{{.$3}}") == "$4" ]]; }
ids() { [[ $(at "$1" node ls --filter "name=$(name "$2")" -q | wc -l) == "$3" ]]; }
running() { [[ $(api "$1" /tasks | jq '[.[] | select(.DesiredState == "running" and .Status.State == "running")] | length') == "$2" ]]; }
containers() { on "$1" ctr -n k8s.io tasks ls | awk 'NR > 1 {print $1, $2, $3}' | sort; }
local_state() { api "$1" /info | jq -r .Swarm.LocalNodeState; }

playground_up >/dev/null
kept_here=$(mktemp -d)
trap 'rm -rf "$kept_here"; playground down >&2' EXIT
file=$kept_here/cluster.snapshot
phrase=$kept_here/phrase
echo 'correct horse battery staple' >"$phrase"
at 1 node promote "$(name 2)" >/dev/null
wait_until 60 is 1 2 ManagerStatus Reachable
at 1 service create --detach --name web --replicas 6 --label kept=yes httpd:2.4.34 >/dev/null
wait_until 60 running 1 6
tokens() { at "$1" swarm join-token -q worker; at "$1" swarm join-token -q manager; }
cluster=$(api 1 /swarm | jq -r .ID) given=$(tokens 1)

# Saved from any manager, whole or not at all; from nobody else.
expect_match 'Saved the cluster' at 2 snapshot save --passphrase-file "$phrase" "$file"
[[ $(stat -c %a "$file") == 600 && ! -e $file.new ]] || fail "$(ls -l "$file"*)"
! grep -qa 'PRIVATE KEY' "$file" || fail "the root's key can be read"
expect_match 'not a swarm manager' at 3 snapshot save --plain "$file.worker"
expect_match 'no terminal to ask' at 1 snapshot save "$file.worker"
[[ ! -e $file.worker && ! -e $file.worker.new ]] || fail "a save that failed left a file"
at 1 snapshot save --plain "$file.plain" >/dev/null
head -c 40 "$file.plain" | grep -qa 'key none' || fail "a plain snapshot is sealed"
at 1 service create --detach --name later --replicas 2 httpd:2.4.34 >/dev/null
wait_until 60 running 1 8
expect_match 'already part of a swarm' at 1 snapshot restore --passphrase-file "$phrase" "$file"
echo "saved, sealed and plain"

# Both managers are lost, with their disks. Node 1 comes back empty, under its old address.
kept=$(containers 3)
address=$(api 1 /nodes | jq -r '.[] | select(.ManagerStatus.Leader).ManagerStatus.Addr')
playground kill 2
at 1 swarm leave --force >/dev/null
# Nothing that is wrong with a file leaves anything behind.
restore() { at 1 snapshot restore --advertise-addr "${address%:*}" "$@"; }
echo 'wrong' >"$phrase.wrong"
head -c -20 "$file" >"$file.short"
cp "$file" "$file.flipped"
printf '\xff' | dd of="$file.flipped" bs=1 seek=2000 conv=notrunc status=none
expect_match "passphrase is not the snapshot's" restore --passphrase-file "$phrase.wrong" "$file"
expect_match 'is cut short' restore --passphrase-file "$phrase" "$file.short"
expect_match 'is damaged' restore --passphrase-file "$phrase" "$file.flipped"
expect_match 'not a snapshot' restore --passphrase-file "$phrase" "$phrase"
expect inactive local_state 1
[[ -z $(compgen -G "$SKEP_PLAYGROUND_DIR/$(name 1)/data/raft*") ]] || fail "a restoration that failed left a log"

expect_match 'is its only manager' restore --passphrase-file "$phrase" "$file"
expect "$cluster" eval "api 1 /swarm | jq -r .ID"
expect "$given" tokens 1
expect web at 1 service ls --format '{{.Name}}'
expect yes at 1 service inspect --format '{{.Spec.Labels.kept}}' web
wait_until 30 is 1 3 Status Ready
wait_until 60 running 1 6
# What the worker ran of the saved state it still runs; what came later is not known any more.
still=$(comm -12 <(echo "$kept") <(containers 3) | wc -l)
((still >= 2)) || fail "the worker's containers were replaced: $kept; now $(containers 3)"
echo "restored: the worker is back without joining"

# The other manager of old comes back: its quorum is gone, and so is its part.
playground start 2 >/dev/null
wait_until 60 is 1 2 Status Ready
expect '' at 1 node ls --filter "name=$(name 2)" --format '{{.ManagerStatus}}'
at 1 service scale --detach web=3 >/dev/null
wait_until 60 running 1 3
playground kill 1
playground start 1 >/dev/null
wait_until 30 is 1 3 Status Ready
wait_until 60 running 1 3
at 1 node promote "$(name 3)" >/dev/null
wait_until 60 is 1 3 ManagerStatus Reachable
echo "snapshot: ok"
