#!/usr/bin/env bash
# What a person or a program can get wrong: a clear sentence, the right status code, everything as before.
#
# `bad NODE STATUS SENTENCE METHOD PATH [BODY]` states one such mistake, and that the store did not move.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"

socket() { echo "$SKEP_PLAYGROUND_DIR/$SKEP_PLAYGROUND_PREFIX$1/skep.sock"; }
folder() { echo "$SKEP_PLAYGROUND_DIR/$SKEP_PLAYGROUND_PREFIX$1"; }
call() { curl -sS --max-time 40 --unix-socket "$(socket "$1")" -X "$2" "http://skep$3" "${@:4}"; }
node_state() { call "$1" GET /info | jq -r .Swarm.LocalNodeState; }
# Everything a mistake could have changed: services, tasks, nodes' specs, the cluster's, volumes, local states.
state() {
  call 1 GET /services | jq -c 'sort_by(.ID) | map([.ID, .Version, .Spec])'
  call 1 GET /tasks | jq -c 'sort_by(.ID) | map([.ID, .DesiredState])'
  call 1 GET /nodes | jq -c 'sort_by(.ID) | map([.ID, .Spec, .Status.State])'
  call 1 GET /swarm | jq -c '[.Spec, .JoinTokens]'
  call 1 GET /volumes | jq -c '.Volumes | map(.Name)'
  for node in 1 2 3; do node_state $node; done
}
bad() {
  local node=$1 status=$2 sentence=$3 method=$4 path=$5 body=${6-} before answer got
  before=$(state)
  local -a data=()
  [[ -z $body ]] || data=(-H 'Content-Type: application/json' --data-binary "$body")
  answer=$(call "$node" "$method" "$path" -w '\n%{http_code}' "${data[@]}")
  got=$(tail -n1 <<<"$answer")
  [[ $got == "$status" ]] || fail "$method $path answered $answer, wanted $status"
  jq -r .message <<<"${answer%$'\n'*}" | grep -Eq -- "$sentence" ||
    fail "$method $path said ${answer%$'\n'*}, wanted a match of $sentence"
  expect "$before" state
}
join() { printf '{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"%s","RemoteAddrs":["%s"],"JoinToken":"%s"}' "$1" "$2" "$3"; }
service() { printf '{"Name":"%s","TaskTemplate":{"ContainerSpec":{"Image":"%s"}%s},"Mode":{"Replicated":{"Replicas":1}}}' "$1" "$2" "${3-}"; }
create() { call 1 POST /services/create --data-binary "$1" | jq -re .ID; }
task_says() { call 1 GET /tasks -G --data-urlencode "filters={\"service\":[\"$1\"]}" | jq -e "any(.[].Status; (.State + \": \" + .Message + \" \" + (.Err // \"\")) | test(\"$2\"))"; }

joining() {
  local worker old changed
  call 1 POST /swarm/init --data-binary '{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.77.0.11","Spec":{}}' >/dev/null
  worker=$(call 1 GET /swarm | jq -r .JoinTokens.Worker)
  call 2 POST /swarm/join --data-binary "$(join 10.77.0.12 10.77.0.11:2377 "$worker")"
  wait_until 5 eval "call 1 GET /nodes | jq -e 'map(select(.Status.State == \"ready\")) | length == 2'"
  changed=${worker%?}$([[ $worker == *a ]] && echo b || echo a)
  bad 3 400 'invalid join token' POST /swarm/join "$(join 10.77.0.13 10.77.0.11:2377 "$changed")"
  bad 3 400 'invalid join token' POST /swarm/join "$(join 10.77.0.13 10.77.0.11:2377 nonsense)"
  bad 3 400 'of another cluster' POST /swarm/join "$(join 10.77.0.13 10.77.0.11:2377 "SWMTKN-1-$(printf '1%.0s' {1..50})-${worker##*-}")"
  bad 3 503 '10.77.0.99:2377|10.77.0.99' POST /swarm/join "$(join 10.77.0.13 10.77.0.99:2377 "$worker")"
  bad 3 503 '10.77.0.11:9' POST /swarm/join "$(join 10.77.0.13 10.77.0.11:9 "$worker")"
  bad 3 400 'not-an-address' POST /swarm/join "$(join 10.77.0.13 'not-an-address:http' "$worker")"
  bad 1 503 'already part of a swarm' POST /swarm/init '{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.77.0.11","Spec":{}}'
  bad 2 503 'already part of a swarm' POST /swarm/join "$(join 10.77.0.12 10.77.0.11:2377 "$worker")"
  bad 2 503 'already part of a swarm' POST /swarm/init '{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.77.0.12","Spec":{}}'
  bad 3 400 '.' POST /swarm/init '{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"300.1.2.3","Spec":{}}'
  bad 3 503 'not a swarm manager.*docker swarm init' GET /nodes
  bad 2 503 'not a swarm manager' GET /services
  bad 3 503 'not part of a swarm' POST /swarm/leave
  bad 1 503 '--force' POST /swarm/leave
  bad 1 404 'node nobody not found' GET /nodes/nobody
  local version
  version=$(call 1 GET /swarm | jq .Version.Index)
  call 1 POST "/swarm/update?version=$version&rotateWorkerToken=true&rotateManagerToken=false&rotateManagerUnlockKey=false" --data-binary "$(call 1 GET /swarm | jq .Spec)"
  old=$worker worker=$(call 1 GET /swarm | jq -r .JoinTokens.Worker)
  [[ $old != "$worker" ]] || fail "the token did not change"
  bad 3 400 'invalid join token' POST /swarm/join "$(join 10.77.0.13 10.77.0.11:2377 "$old")"
  call 3 POST /swarm/join --data-binary "$(join 10.77.0.13 10.77.0.11:2377 "$worker")"
  wait_until 5 eval "call 1 GET /nodes | jq -e 'map(select(.Status.State == \"ready\")) | length == 3'"
}

services() {
  local id version spec node
  id=$(create "$(service web httpd)")
  wait_until 15 task_says "$id" '^running'
  bad 1 404 'service nobody not found' GET /services/nobody
  bad 1 404 'service nobody not found' DELETE /services/nobody
  bad 1 404 'node nobody not found' DELETE /nodes/nobody
  bad 1 404 'task nobody not found' GET /tasks/nobody
  bad 1 404 'No such container: nobody' GET /containers/nobody/json
  bad 1 404 'No such image: nobody' GET /images/nobody/json
  bad 1 404 'network nobody not found' GET /networks/nobody
  bad 1 404 'page not found' GET /nobody
  bad 1 409 'name conflicts with an existing object: service web already exists' POST /services/create "$(service web httpd)"
  bad 1 409 'already exists' POST /services/create "$(service WEB httpd)"
  bad 1 400 'not a valid image reference' POST /services/create "$(service other 'UPPER//case')"
  bad 1 400 '.' POST /services/create "$(service other '')"
  bad 1 400 '.' POST /services/create "$(service '-other_' httpd)"
  bad 1 400 'node.nothing|constraint' POST /services/create "$(service other httpd ',"Placement":{"Constraints":["node.nothing==1"]}')"
  bad 1 400 'constraint' POST /services/create "$(service other httpd ',"Placement":{"Constraints":["node.role>worker"]}')"
  spec=$(call 1 GET /services/web | jq -c .Spec) version=$(call 1 GET /services/web | jq .Version.Index)
  bad 1 409 'update out of sequence' POST "/services/web/update?version=$((version - 1))" "$spec"
  bad 1 400 'version' POST /services/web/update "$spec"
  bad 1 400 'version' POST '/services/web/update?version=one' "$spec"
  bad 1 501 'renaming services is not supported' POST "/services/web/update?version=$version" "${spec/'"Name":"web"'/'"Name":"bew"'}"
  node=$(call 1 GET "/nodes/${SKEP_PLAYGROUND_PREFIX}2")
  bad 1 409 'update out of sequence' POST "/nodes/${SKEP_PLAYGROUND_PREFIX}2/update?version=1" "$(jq -c .Spec <<<"$node")"
  bad 1 400 '.' POST "/nodes/${SKEP_PLAYGROUND_PREFIX}2/update?version=$(jq .Version.Index <<<"$node")" "$(jq -c '.Spec.Availability = "asleep" | .Spec' <<<"$node")"
  bad 1 400 'not down' DELETE "/nodes/${SKEP_PLAYGROUND_PREFIX}2"

  for path in /swarm/init /services/create "/services/web/update?version=$version" /swarm/join /volumes/create; do
    bad 1 400 . POST "$path" 'this is no JSON'
    bad 1 400 . POST "$path" '["a list"]'
  done
  bad 1 400 . POST /services/create '{"Name":"other","TaskTemplate":"text"}'
  bad 1 400 . POST /services/create '{"Name":"other","TaskTemplate":{"ContainerSpec":{"Image":7}}}'
  bad 1 400 . POST /services/create "$(printf '{"a":%.0s' {1..20000})"
  bad 1 400 "filter" GET '/services?filters=nonsense'
  bad 1 400 "invalid filter 'colour'" GET '/services?filters=%7B%22colour%22:%5B%22red%22%5D%7D'
  bad 1 400 'too new' GET /v9.99/info

  bad 1 400 'DriverOpts: expected an object' POST /volumes/create '{"Name":"data","DriverOpts":["a"]}'
  bad 1 400 'too short' POST /volumes/create '{"Name":"x"}'
  bad 1 404 'plugin "ceph" not found' POST /volumes/create '{"Name":"data","Driver":"ceph"}'
  bad 1 501 'ClusterVolumeSpec' POST /volumes/create '{"Name":"data","ClusterVolumeSpec":{"Group":"g"}}'
  bad 1 400 'only one value is expected' POST '/volumes/prune?filters=%7B%22all%22:%5B%221%22,%22true%22%5D%7D'
  bad 1 400 "invalid filter 'dangling=\\[yes\\]'" GET '/volumes?filters=%7B%22dangling%22:%5B%22yes%22%5D%7D'
  bad 1 404 '^get a/b: no such volume$' DELETE /volumes/a/b

  # 100 MB: refused with a sentence, and the daemon did not keep it.
  local before answer
  before=$(state)
  answer=$(head -c 100000000 /dev/zero | tr '\0' ' ' | call 1 POST /services/create --data-binary @- -H 'Expect:' -w '\n%{http_code}')
  expect 413 tail -n1 <<<"$answer"
  grep -q '"message"' <<<"$answer" || fail "no sentence: $answer"
  expect "$before" state
  ((1$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(playground pids 1 | sed -n 's/^skepd //p')/status") < 1150000)) ||
    fail "the daemon kept a body of 100 MB"
}

# Accepted, and then told by the tasks why it can't be.
tasks_that_can_not_run() {
  local id
  id=$(create "$(service picky httpd ',"Placement":{"Constraints":["node.labels.disk==none"]}')")
  wait_until 5 task_says "$id" '^pending: .*no suitable node .scheduling constraints not satisfied on 3 nodes'
  call 1 DELETE /services/picky
  id=$(create "$(service missing httpd:9.9.9)")
  wait_until 10 task_says "$id" '^rejected: .*No such image: httpd:9.9.9'
  call 1 DELETE /services/missing
  wait_until 10 eval "call 1 GET /tasks | jq -e 'length == 1'"
}

containerd_away() {
  local node id
  id=$(call 1 GET /services/web | jq -r .ID)
  node=$(call 1 GET /tasks | jq -r --argjson nodes "$(call 1 GET /nodes)" '.[0].NodeID as $id | $nodes[] | select(.ID == $id) | .Description.Hostname')
  node=${node#"$SKEP_PLAYGROUND_PREFIX"}
  local containerd
  containerd=$(playground pids "$node" | sed -n 's/^containerd //p')
  # Away: a new task of that node waits and says why. The playground starts containerd again when asked.
  kill -9 "$containerd"
  create "$(service late busybox:1.28.3 ",\"Placement\":{\"Constraints\":[\"node.hostname==$SKEP_PLAYGROUND_PREFIX$node\"]}")" >"$answers"
  wait_until 10 task_says "$(cat "$answers")" 'containerd'
  playground start "$node" >/dev/null
  wait_until 20 eval "call 1 GET /services?status=true | jq -e 'map(select(.Spec.Name == \"web\"))[0].ServiceStatus.RunningTasks == 1'"
  wait_until 20 task_says "$id" '^running'
  wait_until 20 task_says "$(cat "$answers")" '^(complete|running|starting)'
}

# skepd itself: what it refuses to start with.
configuration() {
  local config=$answers.toml
  refused() {
    local pattern=$1 got
    got=$(timeout 5 "$(dirname "$SKEP")/skepd" --config "$config" 2>&1) && fail "it started with $config: $got"
    grep -Eq -- "$pattern" <<<"$got" || fail "it said $got, wanted a match of $pattern"
  }
  local good
  good=$(printf 'data_dir = "%s"\nrun_dir = "%s"\n' "$answers.data" "$answers.run")
  printf '%s\ncolour = "red"\n' "$good" >"$config"
  refused "unknown key 'colour'"
  printf '%s\n[plugins.gone]\npath = "/nonexistent/gone.so"\n' "$good" >"$config"
  refused '/nonexistent/gone.so'
  printf 'this is not toml\n%s\n' "$good" >"$config"
  refused "$config:1"
  # A library that is no driver, and a driver of another ABI: refused by their notes, before any code runs.
  local fakes=$tree/tests/fakes/plugins
  local -a compile=("${CC:-clang-16}" -shared -fPIC -I"$tree/sdk/include" -DFAKE_MUST_NOT_LOAD)
  printf '%s\n[plugins.odd]\npath = "%s"\n' "$good" "$answers.so" >"$config"
  "${compile[@]}" -o "$answers.so" "$fakes/identity.c"
  refused 'odd.*note'
  "${compile[@]}" '-DFAKE_ABI="9.0"' '-DFAKE_HOST="0"' '-DFAKE_ID="odd"' -o "$answers.so" "$fakes/identity.c"
  refused 'odd.*ABI'
  [[ ! -e $answers.data/raft.db && ! -S $answers.run/skep.sock ]] || fail "a refused start left something"
}

answers=$(mktemp)
playground_up --no-cluster >/dev/null
joining
services
tasks_that_can_not_run
containerd_away
configuration
rm -rf "$answers" "$answers".*
echo "bad input: ok"
