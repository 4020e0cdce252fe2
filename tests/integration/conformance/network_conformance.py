"""net-bridge through the conformance kit, against the kernel.

The kit runs in a network namespace of its own, where the driver may do as it likes, and the namespace must
be empty again when the kit is done: no link but loopback, no address, no route, no rule of nftables,
however often the driver was killed on the way. The machine's own network is never touched.
Usage: network_conformance.py KIT HOST DRIVER [process|in-process [MORE OF THE KIT'S OPTIONS]]
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
LOOKS = {
    "links": "ip -o link show",
    "addresses": "ip -o address show",
    "routes": "ip route show table all",
    "rules": "nft list ruleset",
}


def state():
    seen = {}
    for kind, command in LOOKS.items():
        done = subprocess.run(command.split(), text=True, stdout=subprocess.PIPE, check=True)
        seen[kind] = sorted(done.stdout.splitlines())
    return seen


def run_kit(words, mode, more, folder):
    kit, host, driver = words
    scratch = f"{folder}/{mode}"
    os.makedirs(scratch)
    profile = f"{folder}/profile.json"
    pathlib.Path(profile).write_text(json.dumps({
        "config": {"subnet": "172.31.7.0/24", "bridge": "skepkit0", "mtu": 1400}}))
    command = [kit, driver, "--kind", "network", "--host", host, "--profile", profile,
               "--scratch", scratch] + (["--in-process"] if mode == "in-process" else []) + more
    return subprocess.run(command).returncode


def main(words):
    if os.geteuid() != 0:
        print("SKIP: needs root, for network namespaces")
        return SKIPPED
    for program in ("ip", "nft", "unshare"):
        if shutil.which(program) is None:
            print(f"SKIP: needs {program}, which is not installed")
            return SKIPPED
    if "SKEP_OWN_NETWORK" not in os.environ:
        os.environ["SKEP_OWN_NETWORK"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    folder = tempfile.mkdtemp(prefix="skep-conformance-")
    failed = False
    try:
        before = state()
        for mode in words[3:4] or ["process", "in-process"]:
            print(f"== {mode}", flush=True)
            failed |= run_kit(words[:3], mode, words[4:], folder) != 0
            now = state()
            for kind in LOOKS:
                for line in sorted(set(now[kind]) - set(before[kind])):
                    print(f"left behind: {kind}: {line}", flush=True)
                    failed = True
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
