#!/usr/bin/env bash
# One manager, then three, and disks that fail, hang, tear and flip bits: see disk_faults.py and docs/storage.md.
# SPDX-License-Identifier: Apache-2.0
source "$(dirname "$0")/lib.sh"
library=${SKEP_FAULT_DISK:-$tree/out/build/tests/fakes/disk/skep_fault_disk.so}
[[ -e $library ]] || skip "$library is not built"
playground_up

# From here on every skepd has the faulty disk between itself and its log; it does nothing until told.
bin=$SKEP_PLAYGROUND_DIR/bin
cp "$library" "$bin/fault_disk.so"
mv "$bin/skepd" "$bin/skepd.real"
cat >"$bin/skepd" <<END
#!/bin/bash
node=\${2%/*}
export LD_PRELOAD=$bin/fault_disk.so SKEP_FAULT_BELOW=\$node/data SKEP_FAULT_CONTROL=\$node/fault
exec -a skepd $bin/skepd.real "\$@"
END
chmod 755 "$bin/skepd"
for node in 1 2 3; do
  playground kill "$node"
  playground start "$node" >/dev/null
done
for node in 1 2 3; do
  wait_until 20 eval "at 1 node ls --format '{{.Hostname}} {{.Status}}' | grep -qx '$SKEP_PLAYGROUND_PREFIX$node Ready'"
done
python3 -u "$(dirname "$0")/disk_faults.py" alone
for node in 2 3; do
  wait_until 30 at 1 node promote "$SKEP_PLAYGROUND_PREFIX$node"
done
python3 -u "$(dirname "$0")/disk_faults.py"
