"""runtime-containerd through the conformance kit, against a containerd of its own.

The kit asks what the contract promises; this asks containerd and the kernel what is left when the kit is
done: records, tasks, snapshots, leases, ingests, images, shims and their sockets, loggers, runc's states,
cgroups and mounts have to be what they were before, however often the driver was killed on the way.

Everything is in a network namespace of its own and below one temporary folder; both go at the end. The
seed of the moments at which drivers are killed is printed, and SKEP_SEED sets it; SKEP_TRIALS says how many.
Usage: runtime_conformance.py KIT HOST DRIVER [process|in-process [MORE OF THE KIT'S OPTIONS]]
SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import registry

SKIPPED = 77
IMAGE = "docker.io/library/tiny:1"
PULL_RATE = 12e6  # bytes a second: a pull takes about a second
SETTLE_S = 20     # how long containerd may take to collect what nobody holds
SPACE = "k8s.io"
TRIALS = 8        # moments at which the driver is killed, of each operation


def shell(command):
    done = subprocess.run(command, shell=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stdout}")
    return done.stdout


class Containerd:
    def __init__(self, folder):
        self.folder = folder
        self.socket = f"{folder}/c.sock"
        self.cgroup = f"/skep-conformance-{os.getpid()}"
        self.process = None
        pathlib.Path(folder, "config.toml").write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            f'[grpc]\naddress = "{self.socket}"\n'
            '[plugins."io.containerd.grpc.v1.cri"]\nstream_server_address = "127.0.0.1"\n'
            'stream_server_port = "0"\n'
            f'[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "{folder}/cni"\n'
            f'conf_dir = "{folder}/cni"\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{folder}/opt"\n')

    def start(self):
        with open(f"{self.folder}/containerd.log", "a") as log:
            self.process = subprocess.Popen(["containerd", "--config", f"{self.folder}/config.toml"],
                                            stdout=log, stderr=log)
        until = time.monotonic() + 30
        while subprocess.run(["ctr", "-a", self.socket, "version"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL).returncode != 0:
            if time.monotonic() > until:
                raise RuntimeError("containerd does not answer")
            time.sleep(0.05)
        script = pathlib.Path(__file__).parent.parent / "runtime_plugin" / "make_image.sh"
        os.makedirs(f"{self.folder}/image")
        shell(f"{script} {self.folder}/image {IMAGE}")
        self.ctr(f"images import {self.folder}/image/image.tar")

    def ctr(self, words):
        return shell(f"ctr -a {self.socket} -n {SPACE} {words}")

    def processes(self, name):
        """The command lines of programs of that name which speak of this folder."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended
            if name in os.path.basename(words[0]).decode() and self.folder.encode() in b" ".join(words):
                found.append(f"{entry.name} " + b" ".join(words).decode())
        return found

    def state(self, known_ids):
        """Everything a container, an exec or a pull may leave behind, by kind."""
        lines = lambda words: self.ctr(words).splitlines()[1:]
        first = lambda rows: sorted(row.split()[0] for row in rows if row.strip())
        return {
            "containers": first(lines("containers ls")),
            "tasks": first(lines("tasks ls")),
            "snapshots": first(lines("snapshots ls")),
            "leases": first(lines("leases ls")),
            "unfinished downloads": first(lines("content active")),
            "blobs": first(lines("content ls")),
            "images": first(lines("images ls")),
            "shims": self.processes("containerd-shim"),
            "loggers": self.processes("skep-log"),
            "helpers": self.processes("skep-plugin-host"),
            "sockets of shims": self.sockets(known_ids),
            "states of runc": sorted(set(listed(f"/run/containerd/runc/{SPACE}")) & known_ids),
            "bundles": listed(f"{self.folder}/state/io.containerd.runtime.v2.task/{SPACE}"),
            "cgroups": sorted(str(one) for one in
                              pathlib.Path("/sys/fs/cgroup").glob(f"**{self.cgroup}/*/")
                              if one.is_dir()),
            "mounts": sorted(line.split()[1] for line in open("/proc/mounts")
                             if self.folder in line.split()[1]),
        }

    def sockets(self, ids):
        name = lambda one: hashlib.sha256(f"{self.socket}/{SPACE}/{one}".encode()).hexdigest()
        return sorted(set(map(name, ids)) & set(listed("/run/containerd/s")))

    def end(self):
        if self.process is None:
            return
        for task in self.ctr("tasks ls -q").split():
            subprocess.run(["ctr", "-a", self.socket, "-n", SPACE, "tasks", "rm", "-f", task])
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for shim in self.processes("containerd-shim") + self.processes("skep-log"):
            os.kill(int(shim.split()[0]), signal.SIGKILL)
        for name in self.sockets(ids_in(self.folder)):  # of shims that were killed
            os.unlink(f"/run/containerd/s/{name}")
        for line in reversed(open("/proc/mounts").readlines()):
            if line.split()[1].startswith(self.folder + "/"):
                subprocess.run(["umount", "-l", line.split()[1]])
        for folder in pathlib.Path("/sys/fs/cgroup").glob(f"**{self.cgroup}"):
            folder.rmdir()


def listed(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def ids_in(folder):
    """The ids of all containers that shims were started for, from containerd's own log."""
    found = set()
    for line in open(f"{folder}/containerd.log"):
        for word in line.replace("=", " ").replace("/", " ").split():
            if len(word) == 64 and all(letter in "0123456789abcdef" for letter in word):
                found.add(word)
    return found


def run_kit(containerd, words, mode, port, seed, more):
    folder = containerd.folder
    scratch = f"{folder}/scratch-{mode}"
    os.makedirs(scratch)
    profile = f"{folder}/profile-{mode}.json"
    pathlib.Path(profile).write_text(json.dumps({
        "config": {"address": containerd.socket},
        "runtime": {"image": IMAGE, "pull_image": f"127.0.0.1:{port}/{mode.replace('-', '')}-3-40-100000:1",
                    "cgroup_parent": containerd.cgroup, "seed": seed,
                    "crash_trials": int(os.environ.get("SKEP_TRIALS", TRIALS))}}))
    kit, host, driver = words
    command = [kit, driver, "--kind", "runtime", "--host", host, "--profile", profile,
               "--scratch", scratch] + (["--in-process"] if mode == "in-process" else []) + more
    return subprocess.run(command).returncode


def differences(containerd, before):
    now = containerd.state(ids_in(containerd.folder))
    found = []
    for kind, there in now.items():
        for one in sorted(set(there) - set(before[kind])):
            found.append(f"left behind: {kind}: {one}")
        for one in sorted(set(before[kind]) - set(there)):
            found.append(f"taken away: {kind}: {one}")
    return found


def settled(containerd, before):
    until = time.monotonic() + SETTLE_S
    while True:
        found = differences(containerd, before)
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.2)


def main(words):
    if os.geteuid() != 0:
        print("SKIP: needs root, for containers")
        return SKIPPED
    if shutil.which("containerd") is None or shutil.which("ctr") is None:
        print("SKIP: needs containerd and ctr, which are not installed")
        return SKIPPED
    if "SKEP_OWN_NETWORK" not in os.environ:
        os.environ["SKEP_OWN_NETWORK"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    shell("ip link set lo up")
    modes = words[3:4] or ["process", "in-process"]
    seed = int(os.environ.get("SKEP_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="skep-conformance-")
    containerd = Containerd(folder)
    failed = False
    try:
        containerd.start()
        port = registry.start(PULL_RATE)
        before = containerd.state(set())
        for mode in modes:
            print(f"== {mode}", flush=True)
            failed |= run_kit(containerd, words[:3], mode, port, seed, words[4:]) != 0
            for line in settled(containerd, before):
                print(line, flush=True)
                failed = True
    finally:
        containerd.end()
        if failed and os.environ.get("SKEP_KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
