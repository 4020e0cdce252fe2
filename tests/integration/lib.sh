# What every integration script shares: a playground that is always taken down, and loud checks.
#
# A script sources this file, calls `playground_up`, and then states facts with `expect` and waits for
# states with `wait_until`. Nothing sleeps for a guessed time. The first fact that does not hold ends the
# script with its line; the trap takes the playground away in any case. SKEP names the program
# (default: out/bin/skep of this tree), SKEP_PLAYGROUND_DIR the folder, SKEP_PLAYGROUND_PREFIX what the
# nodes' names begin with. One playground per machine.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SKEP=${SKEP:-$tree/out/bin/skep}
SKEP_PLAYGROUND_DIR=${SKEP_PLAYGROUND_DIR:-/var/tmp/skep-test}
SKEP_PLAYGROUND_PREFIX=${SKEP_PLAYGROUND_PREFIX:-node}
export SKEP SKEP_PLAYGROUND_DIR SKEP_PLAYGROUND_PREFIX

# The reason a test can't run here; 77 is what ctest is told to read as "skipped".
skip() { echo "SKIP: $*"; exit 77; }

fail() {
  # Of the script, whether it called fail itself or one of the checks below did.
  local depth=1
  [[ ${FUNCNAME[1]} == main ]] || depth=2
  local where=${BASH_SOURCE[$depth]##*/}
  echo "FAIL: $where:${BASH_LINENO[$((depth - 1))]}: $*" >&2
  exit 1
}

# expect WANTED COMMAND...: the command's output is exactly WANTED, and it succeeds.
expect() {
  local wanted=$1 got
  shift
  got=$("$@") || fail "\`$*\` ended with $?, wanted \"$wanted\""
  [[ $got == "$wanted" ]] || fail "\`$*\` said \"$got\", wanted \"$wanted\""
}

# expect_match PATTERN COMMAND...: a line of the output, stderr included, matches the extended regex.
expect_match() {
  local pattern=$1 got
  shift
  got=$("$@" 2>&1) || true
  grep -Eq -- "$pattern" <<<"$got" || fail "\`$*\` said \"$got\", wanted a match of $pattern"
}

# expect_failure COMMAND...: it must not succeed.
expect_failure() { if "$@" >/dev/null 2>&1; then fail "\`$*\` succeeded"; fi; }

# wait_until DEADLINE_S COMMAND...: tries quickly until it succeeds; the last output tells why not.
wait_until() {
  local deadline=$((SECONDS + $1)) got
  shift
  until got=$("$@" 2>&1); do
    ((SECONDS < deadline)) || fail "\`$*\` not within its deadline; last: $got"
    read -rt 0.1 <> <(:) || true
  done
}

playground() {
  local word=$1
  shift
  "$SKEP" playground "$word" --dir "$SKEP_PLAYGROUND_DIR" "$@"
}

# on NODE COMMAND...: inside the node (its network, mounts, processes).
on() {
  local node=$1
  shift
  playground exec "$node" -- "$@"
}

# at NODE ARGUMENTS...: the skep command line, speaking to that node's daemon.
at() {
  local node=$1
  shift
  DOCKER_HOST=$(playground env "$node" | sed 's/^export DOCKER_HOST=//') "$SKEP" "$@"
}

# web NODE-ADDRESS-AND-PATH: what a machine beside the nodes gets over HTTP.
web() { ip netns exec skep-net curl -sS --max-time 3 "http://$1"; }

# playground_up OPTIONS...: made afresh, and gone when the script ends, however it ends.
playground_up() {
  ((EUID == 0)) || skip "the playground needs root"
  trap 'playground down >&2' EXIT
  playground down >/dev/null
  playground up --hostname-prefix "$SKEP_PLAYGROUND_PREFIX" "$@"
}
