#!/usr/bin/env python3
"""How long writing stands still when managers change: the leader dies, is cut off, or a manager is promoted.

A playground of three managers is made, measured and taken down. One writer changes a label of a service without
pause, through a manager that stays up, and keeps the moment of every acknowledgement; the gap is the longest
time between two of them around the event. The leader is killed (SIGKILL of its daemon) or cut off (its link
down) in turns. Beside it stands the longest gap of as long a time in which nothing happened. A service with
replicas runs meanwhile; its containers must be the same ones in the end.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKEP = os.path.join(ROOT, "out/bin/skep")
DIR = "/var/tmp/skep-bench"
STEP_LIMIT_S = 60
WATCH_S = 4  # around an event


def playground(*words):
    done = subprocess.run([SKEP, "playground", words[0], "--dir", DIR, *map(str, words[1:])], check=True, text=True,
                          stdout=subprocess.PIPE)
    return done.stdout


def call(node, method, path, body=None, timeout=STEP_LIMIT_S):
    connection = http.client.HTTPConnection("skep", timeout=timeout)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(timeout)
    connection.sock.connect(f"{DIR}/node{node}/skep.sock")
    try:
        connection.request(method, "/v1.41" + path, body and json.dumps(body),
                           {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise OSError(f"{method} {path}: {answer.status} {text.decode()}")
    return json.loads(text) if text else None


def wait_for(what, holds):
    limit = time.monotonic() + STEP_LIMIT_S
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        if time.monotonic() > limit:
            sys.exit(f"bench: {what}: not within {STEP_LIMIT_S} s")
        time.sleep(0.05)


def managers(asked):
    """{number of the node: its manager status} as the asked node sees it."""
    found = {}
    for node in call(asked, "GET", "/nodes"):
        if node.get("ManagerStatus"):
            found[int(node["Description"]["Hostname"].removeprefix("node"))] = node["ManagerStatus"]
    return found


def leader(asked):
    return next((node for node, status in managers(asked).items() if status.get("Leader")), 0)


def all_reachable(asked, count):
    found = managers(asked)
    return len(found) == count and leader(asked) and all(one["Reachability"] == "reachable" for one in found.values())


class Writer(threading.Thread):
    """Changes a label again and again; `answered`: the moments of the acknowledgements."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node = node
        self.over = threading.Event()
        self.answered = []
        self.failed = 0

    def run(self):
        count = 0
        while not self.over.is_set():
            try:
                service = call(self.node, "GET", "/services/written")
                count += 1
                service["Spec"]["Labels"] = {"count": str(count)}
                call(self.node, "POST", f"/services/written/update?version={service['Version']['Index']}",
                     service["Spec"])
                self.answered.append(time.monotonic())
            except (OSError, http.client.HTTPException):
                self.failed += 1

    def stop(self):
        self.over.set()
        self.join(STEP_LIMIT_S)
        moments = self.answered
        return max(later - earlier for earlier, later in zip(moments, moments[1:]))


def watched(node, event):
    """The longest gap of a writer at the node, around the event."""
    writer = Writer(node)
    writer.start()
    time.sleep(1)
    event()
    time.sleep(WATCH_S)
    return writer.stop()


def lose_leader(word, back):
    """Takes the leader away as the word says, and gives it back; the writer's gap."""
    old = leader(1)
    other = next(node for node in (1, 2, 3) if node != old)
    gap = watched(other, lambda: playground(word, old))
    playground(back, old)
    wait_for("all managers reachable again", lambda: all_reachable(other, 3))
    return gap


def containers():
    tasks = call(1, "GET", "/tasks")
    return sorted(task["ID"] for task in tasks if task["Status"]["State"] == "running")


def row(what, gaps):
    spread = f"{statistics.median(gaps) * 1e3:7.0f}  ({min(gaps) * 1e3:.0f}-{max(gaps) * 1e3:.0f})"
    print(f"{what:40} {spread:>24}  n={len(gaps)}", flush=True)


def measure(options):
    playground("up", "--nodes", 4)
    for node in (2, 3):
        subprocess.run([SKEP, "node", "promote", f"node{node}"], check=True, stdout=subprocess.DEVNULL,
                       env=os.environ | {"DOCKER_HOST": f"unix://{DIR}/node1/skep.sock"})
    wait_for("three managers", lambda: all_reachable(1, 3))
    image = {"ContainerSpec": {"Image": "httpd:2.4.34"}}
    call(1, "POST", "/services/create", {"Name": "written", "TaskTemplate": image,
                                         "Mode": {"Replicated": {"Replicas": 0}}})
    call(1, "POST", "/services/create", {"Name": "web", "TaskTemplate": image,
                                         "Mode": {"Replicated": {"Replicas": 4}}})
    wait_for("the replicas", lambda: len(containers()) == 4)
    before = containers()
    calm, killed, cut = [], [], []
    for run in range(options.runs):
        calm.append(watched(leader(1), lambda: None))
        if run % 2:
            cut.append(lose_leader("cut", "heal"))
        else:
            killed.append(lose_leader("kill", "start"))
        print(f"run {run + 1} of {options.runs}: {(cut if run % 2 else killed)[-1] * 1e3:.0f} ms", file=sys.stderr)
    promoted = []
    for _ in range(options.promotions):
        ask = leader(1)
        promoted.append(watched(ask, lambda: role(ask, "promote")))
        wait_for("four managers", lambda: all_reachable(1, 4))
        role(ask, "demote")
        wait_for("three managers", lambda: all_reachable(1, 3))
    print(f"\n{os.cpu_count()} cores, load {' '.join(f'{x:.1f}' for x in os.getloadavg())}, 3 managers on one disk")
    print("longest time without an acknowledged write, milliseconds: median (least-most)")
    row("nothing happens", calm)
    row("the leader's daemon is killed", killed)
    if cut:
        row("the leader is cut off", cut)
    if promoted:
        row("a fourth manager is promoted", promoted)
    print("containers: " + ("the same ones" if set(before) <= set(containers()) else "NOT the same ones"))


def role(asked, word):
    subprocess.run([SKEP, "node", word, "node4"], check=True, stdout=subprocess.DEVNULL,
                   env=os.environ | {"DOCKER_HOST": f"unix://{DIR}/node{asked}/skep.sock"})


def main():
    parser = argparse.ArgumentParser(description="how long writing stands still when managers change")
    parser.add_argument("--runs", type=int, default=20, help="losses of the leader, half of them cuts")
    parser.add_argument("--promotions", type=int, default=7)
    parser.add_argument("--keep", action="store_true", help="leave the playground up")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: the playground needs root")
    try:
        measure(options)
    finally:
        if not options.keep:
            playground("down")


if __name__ == "__main__":
    main()
