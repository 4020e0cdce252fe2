#!/usr/bin/env python3
"""How long a cluster takes to start and stop containers, beside plain containerd on the same machine.

A playground of three nodes is made, measured and taken down. skep is asked through node1's Engine API socket,
one connection kept open, and /tasks is looked at every 2 ms at most. The peer is `ctr run -d` inside node1,
timed by a shell inside the node, so that entering the node costs it nothing. The two take turns in each run,
so that a busy minute hits both; medians are printed with their spread, since a mean hides one slow disk flush.
What `ctr` does not do (place, commit to disk, name, network, log) is in skep's figure: that is the comparison.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import glob
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKEP = os.path.join(ROOT, "out/bin/skep")
DIR = "/var/tmp/skep-bench"
IMAGE = "docker.io/library/httpd:2.4.34"
POLL_S = 0.002
STEP_LIMIT_S = 120
# Names of processes that belong to containers, not to skepd.
NOT_SKEPD = ("containerd-shim", "skep-log")


def playground(*words, **options):
    return subprocess.run([SKEP, "playground", words[0], "--dir", DIR, *words[1:]], check=True, text=True, **options)


def inside(node, script):
    """What a shell inside the node prints."""
    return playground("exec", str(node), "--", "sh", "-c", script, stdout=subprocess.PIPE).stdout


def processes(node):
    """{label: [pid...]} of the node."""
    found = {}
    for line in playground("pids", str(node), stdout=subprocess.PIPE).stdout.splitlines():
        label, pid = line.rsplit(" ", 1)
        found.setdefault(label, []).append(int(pid))
    return found


class Engine:
    """The Engine API over one connection."""

    def __init__(self, path):
        self.connection = http.client.HTTPConnection("skep", timeout=STEP_LIMIT_S)
        self.connection.sock = socket.socket(socket.AF_UNIX)
        self.connection.sock.settimeout(STEP_LIMIT_S)
        self.connection.sock.connect(path)

    def call(self, method, path, body=None):
        self.connection.request(method, "/v1.41" + path, body and json.dumps(body),
                                {"Content-Type": "application/json"} if body else {})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"bench: {method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def tasks(self, service):
        filters = json.dumps({"service": [service]}).replace('"', "%22").replace(" ", "")
        return self.call("GET", f"/tasks?filters={filters}")

    def running(self, service):
        return sum(task["Status"]["State"] == "running" and task["DesiredState"] == "running"
                   for task in self.tasks(service))

    def create(self, name, replicas):
        self.call("POST", "/services/create", {
            "Name": name, "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}},
            "Mode": {"Replicated": {"Replicas": replicas}}})

    def scale(self, name, replicas):
        service = self.call("GET", f"/services/{name}")
        service["Spec"]["Mode"]["Replicated"]["Replicas"] = replicas
        self.call("POST", f"/services/{name}/update?version={service['Version']['Index']}", service["Spec"])


def wait_for(what, holds, poll_s=POLL_S):
    limit = time.monotonic() + STEP_LIMIT_S
    while not holds():
        if time.monotonic() > limit:
            raise TimeoutError(f"{what}: not within {STEP_LIMIT_S} s")
        time.sleep(poll_s)


def timed(action, what, holds, poll_s=POLL_S):
    begun = time.monotonic()
    action()
    wait_for(what, holds, poll_s)
    return time.monotonic() - begun


def containers():
    """How many containers of all nodes hold a process, by their cgroups: the kernel's view, cheap to ask."""
    for hierarchy in ("", "unified/", "pids/", "cpu/", "memory/"):
        found = glob.glob(f"/sys/fs/cgroup/{hierarchy}skep/node[0-9]*/*/cgroup.procs")
        if found:
            return sum(map(holds_process, found))
    return 0


def holds_process(path):
    try:
        with open(path, encoding="ascii") as processes_file:
            return bool(processes_file.read(1))
    except OSError:  # gone while we looked
        return False


def remove(engine, name):
    engine.call("DELETE", f"/services/{name}")
    wait_for("all containers gone", lambda: containers() == 0, 0.02)


# One shell inside the node; it prints the seconds that starting took, and clears up untimed.
CTR_START = """
ctr() { command ctr -n k8s.io "$@"; }
a=$(date +%s%N); i=0
while [ $i -lt COUNT ]; do i=$((i+1)); ctr run -d --cgroup /skep/node1/b$i IMAGE b$i & done; wait
b=$(date +%s%N); echo $((b-a))
i=0; while [ $i -lt COUNT ]; do i=$((i+1)); { ctr task kill -s KILL b$i; ctr task rm -f b$i; ctr container rm b$i; } >/dev/null 2>&1 & done; wait
"""


def ctr_start(count):
    printed = inside(1, CTR_START.replace("COUNT", str(count)).replace("IMAGE", IMAGE))
    return int(printed.split()[-1]) / 1e9


def start_one(engine, options):
    """(a) create to Running, one replica, image local."""
    skep_s, ctr_s = [], []
    for run in range(options.runs):
        name = f"one{run}"
        skep_s.append(timed(lambda: engine.create(name, 1), "one replica", lambda: engine.running(name) == 1))
        remove(engine, name)
        ctr_s.append(ctr_start(1))
    return skep_s, ctr_s


def scale_many(engine, options):
    """(b) 1 to many over all nodes, and (c) back to one container."""
    up_s, down_s, ctr_s = [], [], []
    for run in range(options.scale_runs):
        name = f"many{run}"
        engine.create(name, 1)
        wait_for("the first replica", lambda: engine.running(name) == 1)
        up_s.append(timed(lambda: engine.scale(name, options.replicas), "scaling up",
                          lambda: engine.running(name) == options.replicas))
        # Counted in the kernel: a task that is told to stop is not yet a container that is gone.
        down_s.append(timed(lambda: engine.scale(name, 1), "scaling down",
                            lambda: containers() == 1, 0.005))
        remove(engine, name)
        ctr_s.append(ctr_start(options.replicas))
    return up_s, down_s, ctr_s


def memory_of(pid):
    def field(file, name):
        with open(f"/proc/{pid}/{file}", encoding="ascii") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith(name + ":")), 0)
    return field("smaps_rollup", "Pss"), field("status", "VmRSS")


def tree_of(pid):
    """The process and its descendants, less what belongs to containers."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
            for child in map(int, children.read().split()):
                with open(f"/proc/{child}/comm", encoding="ascii") as comm:
                    if not comm.read().startswith(tuple(name[:15] for name in NOT_SKEPD)):
                        found += tree_of(child)
    return found


def idle_memory(node, minutes):
    """(d) KiB of a worker's skepd and its helpers after some minutes without work: (PSS, RSS, processes)."""
    print(f"waiting {minutes:g} min for the idle figure", file=sys.stderr)
    time.sleep(minutes * 60)
    pids = tree_of(processes(node)["skepd"][0])
    figures = [memory_of(pid) for pid in pids]
    return sum(pss for pss, _ in figures), sum(rss for _, rss in figures), len(pids)


def row(name, seconds, peer=None):
    def spread(values):
        return f"{statistics.median(values) * 1e3:8.0f}  ({min(values) * 1e3:.0f}-{max(values) * 1e3:.0f})"
    ratio = f"{statistics.median(seconds) / statistics.median(peer):6.2f}" if peer else "     -"
    print(f"{name:38} {spread(seconds):>24} {spread(peer) if peer else '-':>24} {ratio}  n={len(seconds)}")


def measure(options):
    engine = Engine(f"{DIR}/node1/skep.sock")
    for node in range(1, options.nodes + 1):
        inside(node, f"ctr -n k8s.io images pull --hosts-dir {DIR}/node{node}/certs.d {IMAGE} >/dev/null")
    engine.create("warm", options.nodes * 2)
    wait_for("warming up", lambda: engine.running("warm") == options.nodes * 2)
    remove(engine, "warm")
    ctr_start(1)
    one, one_ctr = start_one(engine, options)
    up, down, many_ctr = scale_many(engine, options)
    pss, rss, count = idle_memory(options.nodes, options.idle_minutes)
    print(f"\n{os.cpu_count()} cores, load {' '.join(f'{x:.1f}' for x in os.getloadavg())}, {options.nodes} nodes")
    print(f"{'milliseconds: median (least-most)':38} {'skep':>24} {'ctr run -d':>24}  ratio")
    row("create to Running, one replica", one, one_ctr)
    row(f"scale 1 to {options.replicas}, all Running", up, many_ctr)
    row(f"scale {options.replicas} to 1, one container left", down)
    print(f"idle worker after {options.idle_minutes:g} min: PSS {pss / 1024:.1f} MiB, RSS {rss / 1024:.1f} MiB, "
          f"{count} processes (skepd and its helpers)")


def main():
    parser = argparse.ArgumentParser(description="start and stop containers, beside ctr")
    parser.add_argument("--runs", type=int, default=9, help="of one replica, at least 7")
    parser.add_argument("--scale-runs", type=int, default=7)
    parser.add_argument("--replicas", type=int, default=50)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--idle-minutes", type=float, default=10)
    parser.add_argument("--keep", action="store_true", help="leave the playground up")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: the playground needs root")
    try:
        playground("up", "--nodes", str(options.nodes), stdout=sys.stderr)
        measure(options)
    finally:
        if not options.keep:
            playground("down", stdout=sys.stderr)


if __name__ == "__main__":
    main()
