#!/usr/bin/env python3
"""How long writing stands still when managers change: the leader dies, is cut off, or a manager is promoted.

A playground of three managers and a worker is made, measured and taken down. One writer changes a label of a
service without pause, through a manager that stays up, and keeps the moment of every acknowledgement; the gap is
the longest time between two of them around the event. The leader is killed (SIGKILL of its daemon) or cut off
(its link down) in turns; beside it stands the writer's longest gap in the two calm seconds before each event. A
service with replicas runs meanwhile on all nodes; its processes must be the same ones in the end. A leader that
was lost is brought back before the lease that its successor grants the node has run out, else moving its tasks
would be right.

Promotion is measured on a big state that does not fit what is left of the log: some thousand services, and a
snapshot each few hundred entries, so that the newcomer needs one. --false-elections keeps all cores busy for some
minutes instead, and counts terms, as the managers' disks say.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import http.client
import multiprocessing
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time

from group import (DIR, STEP_LIMIT_S, Engine, all_reachable, call, inside, leader, machine, need_root, playground,
                   role, up, wait_for)

CALM_S = 2  # before an event
WATCH_S = 1.5  # after it, or until the next acknowledgement, whichever is later
SNAPSHOT_INTERVAL = 300  # entries, while promotions are measured


class Writer(threading.Thread):
    """Changes a label again and again; `answered`: the moments of the acknowledgements."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.engine = Engine(node)
        self.over = threading.Event()
        self.answered = []
        self.failed = []

    def run(self):
        count = 0
        while not self.over.is_set():
            try:
                service = self.engine.call("GET", "/services/written")
                count += 1
                service["Spec"]["Labels"] = {"count": str(count)}
                self.engine.call("POST", f"/services/written/update?version={service['Version']['Index']}",
                                 service["Spec"])
                self.answered.append(time.monotonic())
            except (OSError, http.client.HTTPException) as why:
                self.failed.append(str(why))

    def stop(self):
        self.over.set()
        self.join(STEP_LIMIT_S)
        self.engine.close()


def longest(moments):
    return max((later - earlier for earlier, later in zip(moments, moments[1:])), default=0)


class Watch:
    """What a writer saw before an event and from it on."""

    calm = []
    failures = []

    def __init__(self, node):
        self.writer = Writer(node)
        self.took = None  # seconds from the event until it was over

    def around(self, event, is_over=lambda: True):
        self.writer.start()
        wait_for("a first write", lambda: self.writer.answered)
        time.sleep(CALM_S)
        moment = time.monotonic()
        event()
        limit = moment + STEP_LIMIT_S
        while self.writer.answered[-1] < moment + WATCH_S or self.took is None:
            if self.took is None and is_over():
                self.took = time.monotonic() - moment
            if time.monotonic() > limit:
                sys.exit(f"bench: nothing is acknowledged after {STEP_LIMIT_S} s")
            time.sleep(0.02)
        return moment

    def gap(self, moment):
        self.writer.stop()
        answered = self.writer.answered
        before = [one for one in answered if one <= moment]
        Watch.calm.append(longest(before))
        Watch.failures += self.writer.failed
        return longest(before[-1:] + [one for one in answered if one > moment])


def lose_leader(word, back):
    """Takes the leader away as the word says, and gives it back; the writer's gap."""
    old = leader(1)
    other = next(node for node in (1, 2, 3) if node != old)
    watch = Watch(other)
    moment = watch.around(lambda: playground(word, old))
    playground(back, old)
    gap = watch.gap(moment)
    wait_for("all managers reachable again", lambda: all_reachable(other, 3))
    wait_for("all nodes ready", lambda: all(node["Status"]["State"] == "ready" for node in call(other, "GET", "/nodes")))
    return gap


def promote():
    """The writer's gap while node4 becomes a manager, and how long that took."""
    ask = leader(1)
    watch = Watch(ask)
    moment = watch.around(lambda: role(ask, "promote", 4), lambda: all_reachable(ask, 4))
    gap = watch.gap(moment)
    role(ask, "demote", 4)
    wait_for("three managers", lambda: all_reachable(ask, 3))
    return gap, watch.took


def tasks_running():
    return sorted(task["ID"] for task in call(1, "GET", "/tasks") if task["Status"]["State"] == "running")


def processes():
    """Every container's process on every node: (node, container, pid)."""
    found = set()
    for node in (1, 2, 3, 4):
        for line in inside(node, "ctr -n k8s.io tasks ls").splitlines()[1:]:
            found.add((node, *line.split()[:2]))
    return found


def service(name, replicas):
    return {"Name": name, "TaskTemplate": {"ContainerSpec": {"Image": "httpd:2.4.34"}},
            "Mode": {"Replicated": {"Replicas": replicas}}}


def fill(count):
    """That many services more, by several clients over all managers."""
    def create(first):
        engine = Engine(first % 3 + 1)
        for number in range(first, count, 12):
            engine.call("POST", "/services/create", service(f"filler{number}", 0))
        engine.close()
    threads = [threading.Thread(target=create, args=(first,)) for first in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def snapshot_often():
    swarm = call(1, "GET", "/swarm")
    swarm["Spec"]["Raft"]["SnapshotInterval"] = SNAPSHOT_INTERVAL
    swarm["Spec"]["Raft"]["LogEntriesForSlowFollowers"] = 10
    call(1, "POST", f"/swarm/update?version={swarm['Version']['Index']}", swarm["Spec"])


def row(what, gaps):
    if gaps:
        spread = f"{statistics.median(gaps) * 1e3:7.0f}  ({min(gaps) * 1e3:.0f}-{max(gaps) * 1e3:.0f})"
        print(f"{what:56} {spread:>20}  n={len(gaps)}", flush=True)


def take_calm():
    calm, Watch.calm = Watch.calm, []
    return calm


def measure(options):
    up(4)
    call(1, "POST", "/services/create", service("written", 0))
    call(1, "POST", "/services/create", service("web", 4))
    wait_for("the replicas", lambda: len(tasks_running()) == 4)
    tasks, before = tasks_running(), processes()
    killed, cut = [], []
    for run in range(options.runs):
        for gaps, word, back in ((killed, "kill", "start"), (cut, "cut", "heal")):
            gaps.append(lose_leader(word, back))
            print(f"run {run + 1} of {options.runs}: {word}: {gaps[-1] * 1e3:.0f} ms", file=sys.stderr)
    calm = take_calm()
    promoted, took = [], []
    if options.promotions:
        fill(options.services)
        snapshot_often()
    for run in range(options.promotions):
        gap, seconds = promote()
        promoted.append(gap)
        took.append(seconds)
        print(f"promotion {run + 1} of {options.promotions}: {gap * 1e3:.0f} ms", file=sys.stderr)
    print(f"\n{machine()}, 3 managers and a worker on one disk")
    print("longest time without an acknowledged write, milliseconds: median (least-most)")
    row("nothing happens", calm)
    row("the leader's daemon is killed (Swarm 12-16 s)", killed)
    row("the leader is cut off (Swarm 12-16 s)", cut)
    row(f"nothing happens, {options.services} services more", take_calm())
    row("a fourth manager is promoted beside them (Swarm 24 s)", promoted)
    row("  until it votes", took)
    print(f"writes that were refused: {len(Watch.failures)} {Watch.failures[:1] or ''}")
    same = tasks == tasks_running() and before == processes()
    print(f"tasks and processes: {'the same ones' if same else f'NOT the same: {before} {processes()}'}")


# ---- false elections -------------------------------------------------------------------------------------


def term_on_disk(node):
    """The term that a manager has promised to, by a copy of its log: the daemon holds the original locked."""
    for _ in range(50):
        with tempfile.TemporaryDirectory() as copy:
            for name in ("raft.db", "raft.db-wal"):
                shutil.copy(f"{DIR}/node{node}/data/{name}", f"{copy}/{name}")
            try:
                database = sqlite3.connect(f"{copy}/raft.db")
                term = database.execute("SELECT term FROM hard_state").fetchone()[0]
                database.close()
                return term
            except sqlite3.Error:
                time.sleep(0.05)  # copied while it was being written
    return sys.exit(f"bench: the log of node{node} can't be read")


def burn():
    while True:
        pass


def false_elections(options):
    """All cores busy with other work, and the managers with writes: does anybody take the leader for dead?"""
    up(4)
    call(1, "POST", "/services/create", service("written", 0))
    nodes = (1, 2, 3)
    before = {node: term_on_disk(node) for node in nodes}
    led = leader(1)
    busy = [multiprocessing.Process(target=burn, daemon=True) for _ in range(options.busy)]
    for one in busy:
        one.start()
    writer = Writer(led % 3 + 1)
    writer.start()
    begun = time.monotonic()
    try:
        while (passed := time.monotonic() - begun) < options.false_elections * 60:
            time.sleep(min(10, options.false_elections * 60 - passed))
            print(f"{time.monotonic() - begun:.0f} s: terms {[term_on_disk(node) for node in nodes]}, "
                  f"{len(writer.answered)} writes, {machine()}", file=sys.stderr)
    finally:
        for one in busy:
            one.kill()
            one.join()
        writer.stop()
    after = {node: term_on_disk(node) for node in nodes}
    elections = max(after.values()) - max(before.values())
    print(f"\n{machine()}, {options.busy} busy processes, {options.false_elections:g} min, 3 managers and a worker")
    print(f"elections: {elections} (terms {before} before, {after} after)")
    print(f"writes: {len(writer.answered)}, longest gap {longest(writer.answered) * 1e3:.0f} ms, "
          f"refused {len(writer.failed)}")
    if elections:
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description="how long writing stands still when managers change")
    parser.add_argument("--runs", type=int, default=20, help="of each of the two ways to lose the leader")
    parser.add_argument("--promotions", type=int, default=5)
    parser.add_argument("--services", type=int, default=5000, help="that are there when a manager is promoted")
    parser.add_argument("--false-elections", type=float, metavar="MINUTES", help="this instead")
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="processes that take all they get")
    parser.add_argument("--keep", action="store_true", help="leave the playground up")
    options = parser.parse_args()
    need_root()
    try:
        if options.false_elections:
            false_elections(options)
        else:
            measure(options)
    finally:
        if not options.keep:
            playground("down")


if __name__ == "__main__":
    main()
