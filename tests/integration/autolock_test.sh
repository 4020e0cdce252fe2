#!/usr/bin/env bash
# The swarm's lock: a manager that was killed waits for the unlock key; what it runs does not notice.
#
# A locked manager can't keep its lease, so the beat is made long enough for a person to come with the key.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in curl jq docker; do command -v $tool >/dev/null || skip "$tool is not installed"; done

name() { echo "$SKEP_PLAYGROUND_PREFIX$1"; }
disk() { echo "$SKEP_PLAYGROUND_DIR/$(name "$1")/data"; }
# How many files of a log a node has; nothing if there is no such folder.
raft_files() { [[ -d $(disk "$1") ]] && find "$(disk "$1")" -maxdepth 1 -name 'raft*' | wc -l; }
has_log() { (($(raft_files "$1") > 0)); }
socket() { echo "$SKEP_PLAYGROUND_DIR/$(name "$1")/skep.sock"; }
# The stock command, at a node.
stock() { local node=$1; shift; DOCKER_HOST=unix://$(socket "$node") docker "$@"; }
api() { curl -sS --max-time 15 --unix-socket "$(socket "$1")" "http://skep/v1.41$2"; }
# status NODE METHOD PATH [BODY]: the HTTP status alone.
status() {
  curl -sS -o /dev/null -w '%{http_code}' --max-time 15 --unix-socket "$(socket "$1")" -X "$2" "http://skep/v1.41$3" \
    -H 'Content-Type: application/json' ${4:+-d "$4"}
}
state() { api "$1" /info | jq -r .Swarm.LocalNodeState; }
is() { [[ $("${@:2}") == "$1" ]] || { "${@:2}"; return 1; }; }
sees() { [[ $(at "$1" node ls --format '{{.ManagerStatus}}' | grep -cxE "$3") == "$2" ]]; }
ready() { [[ $(api "$1" /nodes | jq '[.[] | select(.Status.State == "ready")] | length') == "$2" ]]; }
running() {
  [[ $(api "$1" /tasks | jq '[.[] | select(.DesiredState == "running" and .Status.State == "running")] | length') == "$2" ]]
}
tasks() { api "$1" /tasks | jq -r '.[] | [.ID, .NodeID, .DesiredState, .Status.State] | @tsv' | sort; }
here() { on "$1" ctr -n k8s.io tasks ls | awk 'NR > 1 {print $1, $2, $3}' | sort; }
skepd_pid() { playground pids "$1" | sed -n 's/^skepd //p'; }
restart() { playground kill "$1" && playground start "$1" >/dev/null; }
# Whether a start would need a key: of the log, and of the node's certificate.
sealed() {
  head -n1 "$(disk "$1")/raft.key" | grep -q 'sealed$' && [[ $(grep -c 'BEGIN SKEP SEALED' "$(disk "$1")/pki/node.pem") == 1 ]] &&
    ! grep -q 'BEGIN PRIVATE KEY' "$(disk "$1")/pki/node.pem"
}
open() {
  head -n1 "$(disk "$1")/raft.key" | grep -q 'plain$' && grep -q 'BEGIN PRIVATE KEY' "$(disk "$1")/pki/node.pem"
}
locked_sentence='Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.'

playground_up --nodes 3 >/dev/null
at 1 swarm update --dispatcher-heartbeat 30s >/dev/null
# Rows that change by themselves may be newer than what a change was made of.
for node in 2 3; do wait_until 10 at 1 node promote "$(name $node)"; done
for node in 1 2 3; do wait_until 60 sees $node 2 Reachable; done
at 1 service create --detach --name web --label purpose=a-word-of-ours --replicas 6 httpd:2.4.34 >/dev/null
wait_until 60 running 1 6

declare -A plain
for node in 1 2 3; do
  open $node || fail "node $node is sealed before anybody asked for it"
  plain[$node]=$(<"$(disk $node)/pki/node.pem")
done

# The key is shown once the manager that was asked is sealed itself; the others follow.
expect_match 'no unlock key is set' at 1 swarm unlock-key
expect_match 'cannot rotate because autolock is not turned on' at 1 swarm unlock-key --rotate
shown=$(stock 1 swarm update --autolock=true)
sealed 1 || fail "the manager that was asked is not sealed"
key=$(grep -oE 'SWMKEY-1-[A-Za-z0-9+/]{43}' <<<"$shown")
expect "$key" at 2 swarm unlock-key -q
expect_match "^    ${key//+/\\+}$" at 3 swarm unlock-key
for node in 2 3; do wait_until 10 sealed $node; done
expect true eval "api 3 /info | jq .Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers"
# Old data keys go with the entries they sealed: one key of 36 bytes is left, wrapped.
one_key() { (($(stat -c %s "$(disk "$1")/raft.key") < 150)); }
for node in 1 2 3; do wait_until 20 one_key $node; done
echo "locked: the key is shown, and every manager's disk is sealed"

# A manager comes back locked: it says so, answers nothing else of the swarm, and its containers run.
tasks_before=$(tasks 1)
containers_before=$(here 2)
[[ -n $containers_before ]] || fail "node 2 runs nothing"
restart 2
expect locked state 2
expect "$containers_before" here 2
expect_match '^ Swarm: locked$' stock 2 info
expect_match "$locked_sentence" stock 2 service ls
expect_match "$locked_sentence" at 2 node ls
expect_match "$locked_sentence" stock 2 swarm unlock-key
expect 503 status 2 GET /services
expect 503 status 2 GET /swarm/unlockkey
expect 503 status 2 POST /swarm/update?version=1 '{}'
expect locked eval "curl -sSI --unix-socket $(socket 2) http://skep/_ping | tr -d '\r' | sed -n 's/^Swarm: //p'"
expect_match 'already part of a swarm' at 2 swarm init
expect_match 'unlock it first or use' at 2 swarm leave
at 1 service create --detach --name more --replicas 1 --constraint "node.hostname==$(name 1)" httpd:2.4.34 >/dev/null
wait_until 30 running 1 7
at 3 service rm more >/dev/null
echo "a killed manager is locked, and the others go on"

# No other key, and no unlocking of what is not locked.
wrong=SWMKEY-1-$(head -c 32 /dev/urandom | base64 -w0 | tr -d =)
expect_match 'swarm could not be unlocked: invalid key provided' eval "stock 2 swarm unlock <<<$wrong"
expect 400 status 2 POST /swarm/unlock "{\"UnlockKey\":\"$wrong\"}"
expect 400 status 2 POST /swarm/unlock '{"UnlockKey":"nonsense"}'
expect locked state 2
expect_match 'swarm is not locked' eval "stock 1 swarm unlock <<<$key"
expect_match 'swarm is not locked' eval "at 1 swarm unlock <<<$key"
expect 409 status 1 POST /swarm/unlock "{\"UnlockKey\":\"$key\"}"

# The right one: in the same daemon, with the same containers, and the cluster as it was.
daemon=$(skepd_pid 2)
stock 2 swarm unlock <<<"$key" >/dev/null
expect active state 2
wait_until 20 ready 1 3
wait_until 20 sees 1 2 Reachable
expect web at 2 service ls --format '{{.Name}}'
same() { [[ $(tasks "$1" | grep -vw shutdown) == "$tasks_before" ]]; }
wait_until 20 same 2
expect "$containers_before" here 2
expect "$daemon" skepd_pid 2
echo "the key unlocks it where it stands"

# Another key: the old one opens nothing any more, on the whole cluster after a power cut.
declare -A file_before
for node in 1 2 3; do file_before[$node]=$(md5sum <"$(disk $node)/pki/node.pem"); done
old=$key
key=$(at 2 swarm unlock-key --rotate -q)
[[ $key != "$old" ]] || fail "the key did not change"
changed() { sealed "$1" && [[ $(md5sum <"$(disk "$1")/pki/node.pem") != "${file_before[$1]}" ]]; }
changed 2 || fail "the manager that was asked is not sealed anew"
for node in 1 3; do wait_until 10 changed $node; done
containers_before=$(for node in 1 2 3; do here $node; done)
for node in 1 2 3; do playground kill $node; done
for node in 1 2 3; do playground start $node >/dev/null; done
for node in 1 2 3; do
  expect locked state $node
  expect_match 'invalid key' eval "at $node swarm unlock <<<$old"
  at $node swarm unlock <<<"$key"
done
wait_until 30 ready 1 3
wait_until 30 sees 3 2 Reachable
expect "$containers_before" eval 'for node in 1 2 3; do here $node; done'
echo "a rotated key takes the old one's place"

# Away while the key changes, and cut off between its two files before that: what its log needs opens both,
# and then it follows.
playground kill 3
old=$key
key=$(stock 1 swarm unlock-key --rotate -q)
echo "${plain[3]}" >"$(disk 3)/pki/node.pem"
log_keys=$(md5sum <"$(disk 3)/raft.key")
playground start 3 >/dev/null
expect locked state 3
expect_match 'invalid key' eval "at 3 swarm unlock <<<$key"
at 3 swarm unlock <<<"$old"
wait_until 20 ready 1 3
# The log's keys change while the certificate's is sealed with both.
followed() { sealed 3 && [[ $(md5sum <"$(disk 3)/raft.key") != "$log_keys" ]]; }
wait_until 10 followed
restart 3
expect_match 'invalid key' eval "at 3 swarm unlock <<<$old"
at 3 swarm unlock <<<"$key"
wait_until 20 ready 1 3
wait_until 20 sees 1 2 Reachable
echo "who was away opens with the old key, and follows"

# A new certificate has a new key, which is as secret.
at 1 swarm ca --rotate >/dev/null
for node in 1 2 3; do
  sealed $node || fail "the renewed key of node $node is not sealed"
  [[ $(sed -n '/BEGIN CERT/,$p' <<<"${plain[$node]}") != "$(sed -n '/BEGIN CERT/,$p' "$(disk $node)/pki/node.pem")" ]] ||
    fail "the certificate of node $node is the old one"
done

# Nothing to read: neither what the cluster holds nor the key, on the disk or in the daemon's words.
for word in a-word-of-ours 'BEGIN PRIVATE KEY' "$key" "$old"; do
  for node in 1 2 3; do
    ! grep -rqaF -- "$word" "$(disk $node)"/raft.* "$(disk $node)/snapshots" "$(disk $node)/pki" \
      "$SKEP_PLAYGROUND_DIR/$(name $node)/skepd.log" || fail "node $node tells: ${word%%-*}"
  done
done

# Workers are never locked, and who is promoted is sealed from the first byte of its log on.
has_log 3 || fail "node 3 is a manager and has no log"
wait_until 10 at 1 node demote "$(name 3)"
wait_until 30 is false eval "api 3 /info | jq .Swarm.ControlAvailable"
wait_until 10 is 0 raft_files 3
restart 3
expect active state 3
wait_until 20 ready 1 3
wait_until 10 at 1 node promote "$(name 3)"
born() { [[ -s $(disk 3)/raft.db ]]; }
wait_until 30 sees 1 2 Reachable
born && sealed 3 || fail "a promoted manager is not sealed"
restart 3
expect locked state 3
at 3 swarm unlock <<<"$key"
wait_until 20 ready 1 3
echo "workers are never locked, promoted ones are at once"

# Off again: nobody is asked for a key.
expect_match '^Swarm updated' at 1 swarm update --autolock=false
expect_match 'no unlock key is set' at 3 swarm unlock-key
for node in 1 2 3; do wait_until 10 open $node; done
restart 2
wait_until 10 is active state 2
wait_until 20 ready 1 3
echo "unlocked for good"

# A swarm that is born locked, and left without its key.
wait_until 10 at 1 node demote "$(name 3)"
wait_until 30 is false eval "api 3 /info | jq .Swarm.ControlAvailable"
at 3 swarm leave >/dev/null
shown=$(stock 3 swarm init --autolock --advertise-addr "$(api 1 /nodes | jq -r ".[] | select(.Description.Hostname == \"$(name 3)\").Status.Addr")")
expect_match 'SWMKEY-1-' echo "$shown"
sealed 3 || fail "a swarm that is born locked is not sealed"
restart 3
expect locked state 3
stock 3 swarm unlock <<<"$(grep -oE 'SWMKEY-1-[A-Za-z0-9+/]{43}' <<<"$shown")" >/dev/null
expect "$(name 3)" at 3 node ls --format '{{.Hostname}}'
wait_until 10 ready 3 1
# Begun anew with a sealed log, it stays sealed.
at 3 swarm init --force-new-cluster >/dev/null
sealed 3 || fail "a group that was begun anew is not sealed"
wait_until 10 ready 3 1
restart 3
expect locked state 3
expect_match "$locked_sentence" at 3 swarm init --force-new-cluster
expect_failure at 3 swarm leave
has_log 3 || fail "node 3 is locked and has no log"
at 3 swarm leave --force >/dev/null
expect inactive state 3
expect 0 raft_files 3
echo "autolock: ok"
