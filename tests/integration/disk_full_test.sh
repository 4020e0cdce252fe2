#!/usr/bin/env bash
# A manager's real disk (a small ext4 on a loop device) fills up: see disk_full.py and docs/storage.md.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
for tool in mkfs.ext4 losetup fallocate; do command -v $tool >/dev/null || skip "$tool is not installed"; done
losetup -f >/dev/null 2>&1 || skip "no loop devices here"
playground_up

# The mount is in the node's own namespace, and the loop device is let go of with it: when the node dies,
# however that comes, nothing of it is left.
playground kill 1
on 1 sh -ec "
  cd $SKEP_PLAYGROUND_DIR/${SKEP_PLAYGROUND_PREFIX}1
  truncate -s 400M disk.img
  mkfs.ext4 -q -m 0 disk.img
  mv data data.before
  mkdir -m 0711 data
  mount -o loop disk.img data
  cp -a data.before/. data/"
playground start 1 >/dev/null
for node in 1 2 3; do
  wait_until 20 eval "at 1 node ls --format '{{.Hostname}} {{.Status}}' | grep -qx '$SKEP_PLAYGROUND_PREFIX$node Ready'"
done
python3 -u "$(dirname "$0")/disk_full.py"
playground down
! losetup -a | grep -q "$SKEP_PLAYGROUND_DIR" || fail "a loop device is left: $(losetup -a)"
