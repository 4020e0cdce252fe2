# The rows "form the cluster" and "run a service" of the walkthrough, typed as they stand there.
#
# Sourced by one script per command: `program` is docker or skep, `command_folder` has it. Nothing here
# knows which one it is, so whatever holds for the stock command holds for ours. `type N WORDS...` types a
# line at node N. Cutting node 2's power stands for `shutdown -r now`.
# SPDX-License-Identifier: Apache-2.0

prefix=$SKEP_PLAYGROUND_PREFIX
scratch=$(mktemp -d)
export PATH=$command_folder:$PATH DOCKER_CONFIG=$scratch
heal_limit_ms=5000

type() {
  local node=$1
  shift
  DOCKER_HOST=unix://$SKEP_PLAYGROUND_DIR/$prefix$node/skep.sock "$program" "$@"
}
paste() { DOCKER_HOST=unix://$SKEP_PLAYGROUND_DIR/$prefix$1/skep.sock bash -c "$2"; }
join_line() { sed -n "s/^ *\($program swarm join --token SWMTKN-1-[^ ]* 10.77.0.11:2377\)$/\1/p"; }

# says PATTERN COMMAND...: like expect_match, and the command must succeed.
says() {
  local pattern=$1 got
  shift
  got=$("$@" 2>&1) || fail "\`$*\` ended with $?: $got"
  grep -Eq -- "$pattern" <<<"$got" || fail "\`$*\` said \"$got\", wanted a match of $pattern"
}
refuses() {
  local pattern=$1 got
  shift
  ! got=$("$@" 2>&1) || fail "\`$*\` succeeded: $got"
  grep -Eq -- "$pattern" <<<"$got" || fail "\`$*\` said \"$got\", wanted a match of $pattern"
}
exit_code() {
  local code=0
  "$@" >/dev/null 2>&1 || code=$?
  echo $code
}
node_shows() { type 1 node ls | grep -Eq "$1"; }
# The nodes of the replicas that run and should, one per line, sorted.
places() {
  type 1 service ps -f desired-state=running --format '{{.Node}} {{.CurrentState}}' web_server |
    sed -n 's/ Running .*//p' | sort
}
spread() { places | uniq -c | awk '{print $1}' | sort | xargs; }
runs() { [[ $(places | wc -l) == "$1" ]]; }
runs_off() { runs "$1" && ! places | grep -qx "$prefix$2"; }
spreads() { [[ $(spread) == "$1" ]]; }
none_running() { [[ -z $(type "$1" ps -q) ]]; }
no_containers() { [[ -z $(type "$1" ps -aq) ]]; }
in_runtime() { on "$1" ctr -a "$SKEP_PLAYGROUND_DIR/$prefix$1/containerd.sock" -n k8s.io containers ls -q; }
nothing_in_runtime() { [[ -z $(in_runtime "$1") ]]; }

form_the_cluster() {
  local line old
  line=$(type 1 swarm init --advertise-addr 10.77.0.11 | tee "$scratch/init" | join_line)
  says '^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager\.$' cat "$scratch/init"
  says '^ID +HOSTNAME +STATUS +AVAILABILITY +MANAGER STATUS +ENGINE VERSION$' type 1 node ls
  says "^[0-9a-z]{25} \* +${prefix}1 +Ready +Active +Leader +[0-9.]+$" type 1 node ls
  says '^This node joined a swarm as a worker\.$' paste 2 "$line"
  wait_until 5 node_shows "^[0-9a-z]{25}   +${prefix}2 +Ready +Active +[0-9.]+$"
  refuses 'not a swarm manager' type 2 node ls

  expect "$line" join_line < <(type 1 swarm join-token worker)
  [[ $(type 1 swarm join-token manager | join_line) != "$line" ]] || fail "one token for both roles"
  old=$line
  line=$(type 1 swarm join-token --rotate worker | tee "$scratch/rotate" | join_line)
  says '^Successfully rotated worker join token\.$' cat "$scratch/rotate"
  [[ -n $line && $line != "$old" ]] || fail "the token is the old one"
  refuses 'invalid join token' paste 3 "$old"
  says '^ *Swarm: inactive$' type 3 info
  says 'joined a swarm as a worker' paste 3 "$line"
  wait_until 5 node_shows "${prefix}3 +Ready +Active"
  says '^[0-9a-z]{12} +ingress +overlay +swarm$' type 1 network ls
  for node in 1 2 3; do
    says '^[0-9a-f]{12} +bridge +bridge +local$' type $node network ls
  done
}

# A service that no node may run shows 0/1 for as long as one wants to look.
watch_a_deployment() {
  type 1 service create -d --name picky --constraint node.labels.disk==fast httpd >/dev/null
  says '^picky replicated 0/1 httpd:latest$' type 1 service ls --format '{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}}'
  wait_until 5 says 'no suitable node \(scheduling constraints not satisfied on 3 nodes\)' type 1 service ps --no-trunc picky
  type 1 node update --label-add disk=fast "${prefix}3" >/dev/null
  wait_until 10 says '^[0-9a-z]{12} +picky +replicated +1/1 +httpd:latest *$' type 1 service ls
  says "^[0-9a-z]{12} +picky.1 +httpd:latest +${prefix}3 +Running +Running " type 1 service ps picky
  expect picky type 1 service rm picky
}

run_a_service() {
  says 'converged$' type 1 service create --name web_server httpd
  says '^ID +NAME +MODE +REPLICAS +IMAGE +PORTS *$' type 1 service ls
  says '^[0-9a-z]{12} +web_server +replicated +1/1 +httpd:latest *$' type 1 service ls
  says '^ID +NAME +IMAGE +NODE +DESIRED STATE +CURRENT STATE +ERROR +PORTS *$' type 1 service ps web_server
  says "^[0-9a-z]{12} +web_server.1 +httpd:latest +${prefix}[123] +Running +Running .* ago" type 1 service ps web_server
  says '^web_server scaled to 5$' type 1 service scale web_server=5
  expect '1 2 2' spread

  expect "${prefix}1" type 1 node update --availability drain "${prefix}1"
  wait_until 10 runs_off 5 1
  says '^[0-9a-z]{12} +.*_ web_server\.[1-5] +httpd:latest +'"${prefix}1 +Shutdown +Shutdown " type 1 service ps web_server
  says converged type 1 service scale web_server=7
  runs_off 7 1 || fail "a drained node got something new: $(places | xargs)"
  wait_until 5 none_running 1
  says converged type 1 service scale web_server=5
  expect "${prefix}1" type 1 node update --availability active "${prefix}1"
  wait_until 5 node_shows "${prefix}1 +Ready +Active"
  says '^web_server scaled to 3$' type 1 service scale web_server=3
  says '^(1 2|1 1 1)$' spread
}

look_at_it() {
  local node id address
  node=$(places | head -n1)
  node=${node#"$prefix"}
  id=$(type "$node" ps -q -f name=web_server | head -n1)
  says '^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$' type "$node" ps
  says "^$id +httpd:latest +.* Up .* web_server\.[1-5]\.[0-9a-z]{25}$" type "$node" ps
  address=$(type "$node" inspect -f '{{.NetworkSettings.IPAddress}}' "$id")
  says '"IPAddress": "'"$address"'"' type "$node" inspect "$id"
  expect '<html><body><h1>It works!</h1></body></html>' on "$node" curl -sS --max-time 3 "http://$address/"
  expect root type "$node" exec "$id" id -un
  expect 7 exit_code type "$node" exec "$id" sh -c 'exit 7'
  expect typed type "$node" exec -i "$id" cat < <(echo typed)
  says '^httpd +latest +[0-9a-f]{12} ' type "$node" images
  type "$node" pull busybox:1.28.3 >"$scratch/pull"
  says '^1\.28\.3: Pulling from library/busybox$' cat "$scratch/pull"
  says '^Digest: sha256:[0-9a-f]{64}$' cat "$scratch/pull"
  says '^docker\.io/library/busybox:1\.28\.3$' cat "$scratch/pull"
  says '^Status: Downloaded newer image for busybox:1.28.3$' cat "$scratch/pull"
  says '^Status: Image is up to date for busybox:1.28.3$' type "$node" pull busybox:1.28.3
  says '^busybox +1\.28\.3 ' type "$node" images
  says ' service create .*name=web_server' type 1 events --since 10m --until "$(date +%s)"
  says ' container start .*name=web_server\.' type "$node" events --since 10m --until "$(date +%s)"
  type 1 service create -d --name talker busybox:1.28.3 sh -c 'echo to out; echo to err >&2; sleep 1000' >/dev/null
  wait_until 10 says '1/1' type 1 service ls -f name=talker --format '{{.Replicas}}'
  node=$(type 1 service ps --format '{{.Node}}' talker)
  node=${node#"$prefix"}
  id=$(type "$node" ps -q -f name=talker.1)
  wait_until 5 expect 'to out' eval "type $node logs $id 2>/dev/null"
  expect 'to err' eval "type $node logs $id 2>&1 >/dev/null"
  expect talker type 1 service rm talker
}

survive_a_power_cut() {
  local cut now
  places | grep -qx "${prefix}2" || fail "node 2 runs nothing: $(places | xargs)"
  cut=$(date +%s%N)
  playground crash 2
  wait_until 30 runs_off 3 2
  now=$(date +%s%N)
  healed_ms=$(((now - cut) / 1000000))
  ((healed_ms <= heal_limit_ms)) || fail "healed after $healed_ms ms, allowed are $heal_limit_ms"
  says "${prefix}2 +Down +Active" type 1 node ls
  playground start 2 >/dev/null
  wait_until 10 node_shows "${prefix}2 +Ready +Active"
  wait_until 10 none_running 2
  runs_off 3 2 || fail "replicas moved when the node came back: $(places | xargs)"
}

leave_and_clear() {
  places | grep -qx "${prefix}3" || says converged type 1 service scale web_server=6
  local wanted
  wanted=$(places | wc -l)
  says '^Node left the swarm\.$' type 3 swarm leave
  wait_until 5 node_shows "${prefix}3 +Down +Active"
  wait_until 10 runs_off "$wanted" 3
  says '^ *Swarm: inactive$' type 3 info
  no_containers 3 || fail "the node that left kept containers"
  refuses -- '--force' type 1 swarm leave
  says '^ *Swarm: active$' type 1 info

  expect web_server type 1 service rm web_server
  refuses 'no such service: web_server' type 1 service ps web_server
  for node in 1 2 3; do
    wait_until 15 no_containers $node
    wait_until 5 nothing_in_runtime $node
  done
  says '^Node left the swarm\.$' type 1 swarm leave --force
  says '^ *Swarm: inactive$' type 1 info
  refuses 'not a swarm manager' type 1 node ls
}

playground_up --no-cluster >/dev/null
form_the_cluster
watch_a_deployment
run_a_service
look_at_it
survive_a_power_cut
leave_and_clear
rm -r "$scratch"
echo "walkthrough with $program: ok; healed $healed_ms ms after the power cut"
