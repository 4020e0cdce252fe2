#!/usr/bin/env bash
# What a node forgets: its agent's database, the reader of an exec, and, with its power, all that ran.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in jq nsenter; do command -v $tool >/dev/null || skip "$tool is not installed"; done

here() { on 2 ctr -n k8s.io tasks ls | awk 'NR > 1 && $3 == "RUNNING" {print $1, $2}' | sort; }
as_many() { [[ $(here | wc -l) == "$1" ]]; }
is_running() { [[ $(at 1 service ps "$1" --filter desired-state=running --format '{{.CurrentState}}' | grep -c '^Running') == "$2" ]]; }
addresses() { at 2 ps -q | while read -r id; do at 2 inspect "$id" | jq -r '.[0].NetworkSettings.Networks[].IPAddress'; done; }

playground_up --nodes 2 >/dev/null
at 1 service create --detach --name web --replicas 3 --constraint "node.hostname==${SKEP_PLAYGROUND_PREFIX}2" httpd:2.4.34 >/dev/null
wait_until 30 is_running web 3
before=$(here)
addresses_before=$(addresses | sort)
[[ $(wc -l <<<"$addresses_before") == 3 ]] || fail "three addresses wanted: $addresses_before"

# A lost database: what runs stays, keeps its address, and is known again.
playground kill 2
rm "$SKEP_PLAYGROUND_DIR/${SKEP_PLAYGROUND_PREFIX}2"/data/agent.db*
playground start 2 >/dev/null
listed() { [[ $(at 2 ps -q | wc -l) == "$1" ]]; }
wait_until 20 listed 3
expect "$before" here
expect "$addresses_before" bash -c "$(declare -f at addresses playground); addresses | sort"
at 1 service scale --detach web=6 >/dev/null
wait_until 30 is_running web 6
[[ $(addresses | sort -u | wc -l) == 6 ]] || fail "an address was given twice: $(addresses)"
[[ -z $(comm -23 <(echo "$before") <(here)) ]] || fail "a container was replaced: $before; now $(here)"
echo "lost database: no container restarted, no address given twice"

# The reader of an exec goes with its daemon; the process goes on.
container=$(head -1 <<<"$before" | cut -d' ' -f1)
at 2 exec "$container" sh -c 'n=0; while :; do cat /proc/self/maps /proc/self/maps; n=$((n+1)); echo $n > /beat; done' >/dev/null 2>&1 &
reader=$!
beat() { at 2 exec "$container" cat /beat; }
wait_until 10 beat
playground kill 2
wait $reader || true
playground start 2 >/dev/null
wait_until 20 beat
seen=$(beat)
beats() { [[ $(beat) != "$seen" ]]; }
wait_until 10 beats
seen=$(beat)
wait_until 10 beats
echo "exec: the process goes on without its reader"

# A power cut: the tasks say what happened instead of an exit code that nobody saw.
playground crash 2
playground start 2 >/dev/null
wait_until 40 is_running web 6
expect_match 'the node was restarted while the task ran' at 1 service ps web --no-trunc
expect_failure bash -c "$(declare -f at playground); at 1 service ps web --no-trunc | grep -q 'non-zero exit (255)'"
echo "memory loss: ok"
