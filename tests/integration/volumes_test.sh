#!/usr/bin/env bash
# Volumes in use, with the stock docker command and with skep: data outlives its tasks and every daemon.
#
# Each part ends with nothing of it left: no volume, no folder, no mount.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in docker jq; do command -v $tool >/dev/null || skip "$tool is not installed"; done

image=httpd:2.4.34
host1=$SKEP_PLAYGROUND_PREFIX
docker_at() {
  local node=$1
  shift
  DOCKER_HOST=$(playground env "$node" | sed 's/^export DOCKER_HOST=//') docker "$@"
}
# both NODE ARGUMENTS...: what the two programs say is the same; it is printed once.
both() {
  local node=$1 stock own
  shift
  stock=$(docker_at "$node" "$@" 2>&1) || true
  own=$(at "$node" "$@" 2>&1) || true
  [[ $stock == "$own" ]] || fail "\`$*\`: docker said \"$stock\", skep said \"$own\""
  echo "$stock"
}
refused() {
  local sentence=$1
  shift
  local got
  if got=$("$@" 2>&1); then fail "\`$*\` succeeded: $got"; fi
  grep -Fq -- "$sentence" <<<"$got" || fail "\`$*\` said \"$got\", wanted \"$sentence\""
}
here() { echo "--constraint node.hostname==${host1}$1"; }
task_error() { docker_at 1 service ps --no-trunc --format '{{.CurrentState}} {{.Error}}' "$1"; }
error_is() { task_error "$1" | grep -Eq -- "$2"; }
container_of() { docker_at "$1" ps -q --no-trunc --filter "label=com.docker.swarm.service.name=$2" | head -n1; }
runs_on() { [[ $(docker_at "$1" ps -q --filter "label=com.docker.swarm.service.name=$2" | wc -l) == "$3" ]]; }
inside() { docker_at "$1" exec "$(container_of "$1" "$2")" sh -c "$3"; }
no_container() { [[ -z $(docker_at "$1" ps -aq --filter "label=com.docker.swarm.service.name=$2") ]]; }
path_of() { docker_at "$1" volume inspect -f '{{.Mountpoint}}' "$2"; }
service() { docker_at 1 service create --detach --quiet --no-resolve-image --name "$1" "${@:2}" $image >/dev/null; }
gone() {
  docker_at 1 service rm "$1" >/dev/null
  wait_until 30 no_container 1 "$1"
}
skepd_pid() { playground pids "$1" | sed -n 's/^skepd //p'; }

prunes_told() {
  [[ $(docker_at 1 events --since 10m --until 0s --filter type=volume --filter event=prune | grep -c 'reclaimed=[0-9]') == "$1" ]]
}

by_hand() {
  expect data docker_at 1 volume create --label tier=gold data
  expect data at 1 volume create data
  expect more at 1 volume create --driver local more
  local anonymous
  anonymous=$(docker_at 1 volume create)
  [[ $anonymous =~ ^[0-9a-f]{64}$ ]] || fail "an anonymous volume is called $anonymous"
  expect $'data\nmore' docker_at 1 volume ls -q --filter name=dat --filter name=ore --filter driver=local
  expect data docker_at 1 volume ls -q --filter 'name=^da.a$'
  expect "" at 1 volume ls -q --filter 'name=data(' --filter 'name=^at'
  expect "" docker_at 1 volume ls -q --filter driver=ceph
  expect data docker_at 1 volume ls -q --filter label=tier=gold
  expect data at 1 volume ls -q --filter label=tier=gold
  expect 3 eval "docker_at 1 volume ls -q --filter dangling=true | wc -l"
  expect "" docker_at 1 volume ls -q --filter dangling=false
  both 1 volume ls >/dev/null
  expect '["data","local","local",{"tier":"gold"},{}]' eval \
    "docker_at 1 volume inspect data | jq -c '.[0] | [.Name, .Driver, .Scope, .Labels, .Options]'"
  [[ -d $(path_of 1 data) ]] || fail "data is not where it says: $(path_of 1 data)"
  expect "$(docker_at 1 volume inspect data | jq -cS .)" eval "at 1 volume inspect data | jq -cS ."

  refused "invalid filter 'dangling=[maybe]'" docker_at 1 volume ls --filter dangling=maybe
  refused "invalid filter 'dangling=[0 1]'" at 1 volume ls -f dangling=1 -f dangling=0
  refused "invalid filter 'size'" docker_at 1 volume ls --filter size=1
  refused 'get nothing: no such volume' docker_at 1 volume rm nothing
  refused 'get nothing: no such volume' at 1 volume rm nothing
  refused 'no such volume' docker_at 1 volume inspect nothing
  refused 'create other: error looking up volume plugin ceph: plugin "ceph" not found' \
    docker_at 1 volume create -d ceph other
  refused 'includes invalid characters for a local volume name' docker_at 1 volume create ./here
  refused 'volume name is too short' at 1 volume create x
  refused 'create typo: driver local:' docker_at 1 volume create -o no-such-option=1 typo
  refused 'not implemented yet: ClusterVolumeSpec' docker_at 1 volume create --type mount --sharing all shared
  refused 'not implemented yet: cluster volumes (--sharing)' at 1 volume create --sharing all shared
  refused 'not implemented yet: cluster volumes' at 1 volume update --availability drain data
  refused 'not implemented yet: cluster volumes (--cluster)' at 1 volume ls --cluster
  refused 'specify both --all and --filter all=1' at 1 volume prune -af --filter all=0
  refused 'specify both --all and --filter all=1' docker_at 1 volume prune -af --filter all=0
  docker_at 1 volume rm -f nothing >/dev/null

  # Another node has volumes of its own.
  expect "" docker_at 2 volume ls -q
  expect "$anonymous" eval "docker_at 1 volume prune -f | sed -n '2p'"
  expect $'data\nmore' at 1 volume ls -q
  at 1 volume prune -af --filter label=tier=silver >/dev/null
  docker_at 1 volume prune -af --filter 'label!=tier=gold' >/dev/null
  expect data at 1 volume ls -q
  refused 'volume prune has been cancelled' eval 'echo n | at 1 volume prune'
  expect more docker_at 1 volume create more
  expect 2 eval "at 1 volume prune -af | sed -n '2,3p' | wc -l"
  # Each of the four is an event; docker's command asks for those before the second that runs.
  wait_until 5 prunes_told 4
  expect "" docker_at 1 volume ls -q
  echo "by hand: ok"
}

survives() {
  # shellcheck disable=SC2046
  service web $(here 1) --mount type=volume,source=site,target=/srv/site
  wait_until 30 runs_on 1 web 1
  inside 1 web 'echo written > /srv/site/page'
  local id path
  id=$(container_of 1 web)
  path=$(path_of 1 site)
  expect written cat "$path/page"
  expect '["volume","site","/srv/site","local",true]' eval \
    "docker_at 1 inspect $id | jq -c '.[0].Mounts[0] | [.Type, .Name, .Destination, .Driver, .RW]'"
  expect "$path" eval "docker_at 1 inspect $id | jq -r '.[0].Mounts[0].Source'"
  expect '{"Type":"volume","Source":"site","Target":"/srv/site"}' eval \
    "docker_at 1 service inspect web | jq -c '.[0].Spec.TaskTemplate.ContainerSpec.Mounts[0]'"
  expect site docker_at 1 volume ls -q --filter dangling=false
  refused "remove site: volume is in use - [$id]" docker_at 1 volume rm site
  refused "remove site: volume is in use - [$id]" at 1 volume rm -f site

  docker_at 1 service scale --detach web=0 >/dev/null
  wait_until 30 no_container 1 web
  expect site docker_at 1 volume ls -q --filter dangling=true
  docker_at 1 service scale --detach web=1 >/dev/null
  wait_until 30 runs_on 1 web 1
  expect written inside 1 web 'cat /srv/site/page'
  echo "a scale to none and back: the data is there"

  # A second task of the node shares it; another service may only read it.
  docker_at 1 service scale --detach web=2 >/dev/null
  wait_until 30 runs_on 1 web 2
  at 1 service create --detach --name reader $(here 1) --mount src=site,dst=/data,ro $image >/dev/null
  wait_until 30 runs_on 1 reader 1
  expect written inside 1 reader 'cat /data/page'
  expect_failure inside 1 reader 'echo x > /data/page'
  gone reader
  docker_at 1 service scale --detach web=1 >/dev/null
  wait_until 30 runs_on 1 web 1
  inside 1 web 'echo more >> /srv/site/page'
  refused 'volume is in use' docker_at 1 volume rm site
}

restarts() {
  service memory $(here 1) --mount \
    'type=volume,source=fast,target=/fast,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs'
  wait_until 30 runs_on 1 memory 1
  inside 1 memory 'echo kept > /fast/x'
  local fast before_web before_memory mounts
  fast=$(path_of 1 fast)
  expect tmpfs on 1 stat -f -c %T "$fast"
  before_web=$(container_of 1 web)
  before_memory=$(container_of 1 memory)
  mounts=$(on 1 grep -c " $fast " /proc/mounts)
  local way
  for way in KILL TERM; do
    local old
    old=$(skepd_pid 1)
    if [[ $way == KILL ]]; then playground kill 1; else kill -TERM "$old"; fi
    wait_until 20 eval '[[ $(skepd_pid 1) != '"$old"' ]]'
    playground start 1 >/dev/null
    wait_until 20 runs_on 1 web 1
    wait_until 20 runs_on 1 memory 1
    expect "$before_web" container_of 1 web
    expect "$before_memory" container_of 1 memory
    expect kept inside 1 memory 'cat /fast/x'
    inside 1 memory "echo $way > /fast/y"
    expect $way on 1 cat "$fast/y"
    expect "$mounts" on 1 grep -c " $fast " /proc/mounts
    refused "remove fast: volume is in use - [$before_memory]" docker_at 1 volume rm fast
    refused "remove site: volume is in use - [$before_web]" docker_at 1 volume rm site
    expect $'fast\nsite' docker_at 1 volume ls -q
    echo "SIG$way of the daemon: mounts and counts as before"
  done
  # The driver alone dies: it is started again, and finds its mounts and their holders as they were.
  local driver
  driver=$(pgrep -P "$(skepd_pid 1)" -f ' volume-local$') || fail "volume-local has no process of its own"
  kill -KILL "$driver"
  expect probe docker_at 1 volume create probe
  docker_at 1 volume rm probe >/dev/null
  expect kept inside 1 memory 'cat /fast/x'
  expect "$mounts" on 1 grep -c " $fast " /proc/mounts
  refused "remove fast: volume is in use - [$before_memory]" docker_at 1 volume rm fast
  docker_at 1 service scale --detach memory=2 >/dev/null
  wait_until 30 runs_on 1 memory 2
  expect "$mounts" on 1 grep -c " $fast " /proc/mounts
  echo "SIGKILL of the driver: mounts and counts as before"
  gone memory
  expect_failure on 1 grep -q " $fast " /proc/mounts
  docker_at 1 volume rm fast >/dev/null
}

others() {
  service own $(here 1) --mount type=volume,target=/scratch --mount type=tmpfs,target=/ram,tmpfs-size=1m,tmpfs-mode=700 \
    --mount type=bind,source=/etc/hostname,target=/host/name,readonly
  wait_until 30 runs_on 1 own 1
  inside 1 own 'echo x > /scratch/x'
  expect 2 eval "docker_at 1 volume ls -q | wc -l"
  expect '700 1024' inside 1 own 'echo $(stat -c %a /ram) $(df -k /ram | awk "NR==2 {print \$2}")'
  expect "$(on 1 cat /etc/hostname)" inside 1 own 'cat /host/name'
  expect_failure inside 1 own 'echo x > /host/name'
  gone own
  wait_until 10 eval '[[ $(docker_at 1 volume ls -q) == site ]]'
  expect 'create destroy mount unmount' eval \
    "docker_at 1 events --since 10m --until 0s --filter type=volume --format '{{.Action}}' | sort -u | xargs"
  echo "an anonymous volume goes with its task"

  service filled $(here 1) --mount source=filled,target=/usr/local/bin
  wait_until 30 runs_on 1 filled 1
  expect httpd-foreground ls -A "$(path_of 1 filled)"
  inside 1 filled 'rm /usr/local/bin/httpd-foreground; echo mine > /usr/local/bin/mine'
  gone filled
  service bare $(here 1) --restart-condition none --mount source=bare,target=/usr/local/bin,volume-nocopy
  wait_until 30 error_is bare '^(Rejected|Failed) .*httpd-foreground'
  gone bare
  service kept $(here 1) --restart-condition none --mount source=filled,target=/usr/local/bin
  wait_until 30 error_is kept '^(Rejected|Failed) .*httpd-foreground'
  gone kept
  expect mine ls -A "$(path_of 1 filled)"
  docker_at 1 volume rm filled bare >/dev/null
  echo "an empty volume gets what the image has there, once"

  service far --mount type=volume,source=far,target=/far,volume-driver=ceph
  wait_until 10 error_is far '^Pending .*no suitable node \(missing plugin on 3 nodes\)'
  gone far
  service typo $(here 1) --restart-condition none --mount type=volume,source=typo,target=/t,volume-opt=no-such-option=1
  wait_until 20 error_is typo '^Rejected .*create typo: driver local: .*no-such-option'
  gone typo
  service absent $(here 1) --restart-condition none --mount type=bind,source=/no/such/path,target=/t
  wait_until 20 error_is absent 'invalid mount config for type "bind": bind source path does not exist: /no/such/path'
  gone absent
  refused 'not implemented yet: VolumeOptions.DriverConfig.Options: placeholders' \
    docker_at 1 service create --detach --mount 'src=aa,dst=/a,volume-opt=device=:/x/{{.Task.Slot}}' $image
  refused 'invalid MountType: "floppy"' docker_at 1 service create --detach --mount type=floppy,dst=/a $image
  refused 'must be "enabled", "disabled", "writable", or "readonly"' \
    at 1 service create --detach --mount type=bind,src=/a,dst=/a,bind-propagation=rprivate,bind-recursive=no $image
  refused 'duplicate mount point: /a' docker_at 1 service create --detach --mount src=aa,dst=/a --mount src=bb,dst=/a $image
  refused 'not implemented yet: TaskTemplate.ContainerSpec.Mounts: type cluster' \
    docker_at 1 service create --detach --mount type=cluster,src=aa,dst=/a $image
  expect site docker_at 1 volume ls -q
  echo "what can't be mounted says why"
}

playground_up >/dev/null
trap 'playground down >&2' EXIT
by_hand
survives
restarts
others
site=$(path_of 1 site)
gone web
docker_at 1 volume rm site >/dev/null
[[ ! -e $site ]] || fail "the folder of a removed volume is still there: $site"
expect "" docker_at 1 volume ls -q
wait_until 30 python3 "$(dirname "$0")/playground.py" empty
left=$(find "$SKEP_PLAYGROUND_DIR/$host1"1/data/plugins/volume-local -mindepth 1 -name '[a-z]*' \( -name site -o -name fast -o -name data \))
[[ -z $left ]] || fail "left on the disk: $left"
expect_failure on 1 grep -q plugins/volume-local /proc/mounts
echo "volumes: ok"
