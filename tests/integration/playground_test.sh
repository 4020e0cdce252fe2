#!/usr/bin/env bash
# The playground itself, with containerd only: it comes up, survives power cuts and leaves nothing.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"

# Everything on the machine that a playground could leave behind, by its names: something else may work
# here at the same time. Zombies that only wait for the host's init don't count.
traces() {
  ls /run/netns 2>/dev/null | grep -E '^skep-(net|node[0-9]+)$' || true
  cut -d' ' -f5 /proc/self/mountinfo | grep -E "^$SKEP_PLAYGROUND_DIR|^/run/netns/skep-" | sort || true
  find /sys/fs/cgroup -type d -path '*/skep/node*' | sort
  ps -eo stat=,args= | grep -E "$SKEP_PLAYGROUND_DIR|htdoc[s]" | grep -vE '^Z|grep|bash' || true
  ls -d "$SKEP_PLAYGROUND_DIR" /run/skep-playground* 2>/dev/null || true
}
run_web() {
  on "$1" ctr run -d --net-host --cgroup "/skep/node$1/web" docker.io/library/httpd:2.4.34 web
}
pid_of() { playground pids "$1" | sed -n "s/^$2 //p"; }
gone() { ! grep -qs '^State:.[^ZX]' "/proc/$1/status"; }

playground down >/dev/null
before=$(traces)
playground_up --no-skepd

# A real pull through the mirror of docker.io, and a real container.
on 2 ctr images pull --hosts-dir "$SKEP_PLAYGROUND_DIR/${SKEP_PLAYGROUND_PREFIX}2/certs.d" docker.io/library/httpd:2.4.34 >/dev/null
run_web 2
wait_until 5 web 10.77.0.12/
expect '<html><body><h1>It works!</h1></body></html>' web 10.77.0.12/
expect '2.4.34 node2' web 10.77.0.12/who
expect node2 on 2 hostname

# The web server ends at once on SIGTERM.
web_pid=$(pid_of 2 container:web)
started=$(date +%s%N)
kill -TERM "$web_pid"
until gone "$web_pid"; do (($(date +%s%N) - started < 2000000000)) || break; done
took=$(($(date +%s%N) - started))
((took < 50000000)) || fail "SIGTERM took $((took / 1000000)) ms"
on 2 ctr task rm web 2>/dev/null >/dev/null
on 2 ctr task start -d web

# Cut and healed; paused and resumed.
playground cut 2
expect_failure web 10.77.0.12/who
playground heal 2
wait_until 5 web 10.77.0.12/who
playground pause 2
expect_failure web 10.77.0.12/who
playground resume 2
wait_until 5 web 10.77.0.12/who

# A power cut ends every process; the disk remains, the containers' cgroups go at the next start.
pids=$(playground pids 2 | cut -d' ' -f2)
playground crash 2
for pid in $pids; do gone "$pid" || fail "process $pid survived the crash"; done
expect_match '^node2 +10.77.0.12 +- ' playground status
playground start --no-skepd 2
expect_match 'httpd:2.4.34' on 2 ctr images ls -q
on 2 ctr container rm web
run_web 2
wait_until 5 web 10.77.0.12/who

# Up a second time changes nothing that runs; and it brings back what is missing.
containerd=$(pid_of 1 containerd)
kill -9 "$(pid_of 3 containerd)" "$(pid_of 2 init)"
playground up --no-skepd >/dev/null
expect "$containerd" pid_of 1 containerd
for node in 2 3; do [[ -n $(pid_of $node containerd) ]] || fail "node$node has no containerd"; done

# Killed half-way, at several places: up completes it, down clears it.
for moment in 0.02 0.05 0.1 0.2 0.3 0.4; do
  playground down >/dev/null
  { timeout -s KILL "$moment" "$SKEP" playground up --no-skepd --dir "$SKEP_PLAYGROUND_DIR" >/dev/null || true; } 2>/dev/null
  [[ $moment == 0.1 ]] || playground up --no-skepd >/dev/null
done
playground up --no-skepd >/dev/null
expect_match 'two can.t run at once' "$SKEP" playground up --no-skepd --dir "$SKEP_PLAYGROUND_DIR-2"
playground down >/dev/null
expect "$before" traces
echo "playground: ok"
