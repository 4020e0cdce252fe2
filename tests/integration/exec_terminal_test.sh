#!/usr/bin/env bash
# `exec -it` in a real terminal, with skep and (where it is) docker: size, resize, Ctrl-C, exit status.
#
# tmux is the terminal: what is typed and what is seen goes through it, nothing is decided by its prompt.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
command -v tmux >/dev/null || skip "there is no tmux to be the terminal"

scratch=$(mktemp -d)
terminal() { env -u TMUX tmux -S "$scratch/tmux" "$@"; }
keys() { terminal send-keys -t window "$@"; }
screen_has() { terminal capture-pane -p -t window | grep -Eq -- "$1"; }
shows() { wait_until 10 screen_has "$1"; }

playground_up >/dev/null
trap 'terminal kill-server 2>/dev/null || true; rm -rf "$scratch"; playground down >&2' EXIT
at 1 service create -d --name sleeper --constraint node.role==manager busybox:1.28.3 sleep 10000 >/dev/null
wait_until 15 at 1 exec "$(at 1 service ps -q --no-trunc sleeper | sed 's/^/sleeper.1./')" true
container=$(at 1 ps -q -f name=sleeper)

for program in "$SKEP" "$(command -v docker || true)"; do
  [[ -n $program ]] || continue
  terminal new-session -d -s window -x 100 -y 30 \
    "env $(playground env 1 | sed 's/^export //') DOCKER_CONFIG=$scratch PS1='here> ' bash --norc"
  shows '^here>'
  keys "$program exec -it $container sh; echo left=\$?" Enter
  shows '^/ #'
  keys 'stty size' Enter
  shows '^30 100'
  terminal resize-window -t window -x 77 -y 22
  keys 'until stty size | grep "22 77"; do :; done' Enter
  shows '^22 77'
  keys 'trap "echo caught" INT; echo wai""ting; sleep 1000' Enter
  shows '^waiting'
  keys C-c
  keys 'echo status=$?' Enter
  shows '^status=130'
  keys 'exit 9' Enter
  shows '^left=9'
  # The terminal is as it was: it echoes, edits lines and turns keys into signals.
  keys 'stty -a | tr " " "\n" | grep -cx -e echo -e icanon -e isig' Enter
  shows '^3$'
  terminal kill-server
done
echo "exec in a terminal: ok"
