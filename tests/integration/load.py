"""A cluster under load: fifty containers start at once, and no node is taken for dead meanwhile.

One watcher asks for the nodes all the time, and any state but ready is a failure: a daemon that is busy
starting containers still has to send its beats. Going back to one and to none must leave nothing. Then a
worker's power is cut, three times: all its replicas run elsewhere within 5 s, of which the lease is 3; the
median counts, as the machine may be busy with something else once.

SPDX-License-Identifier: Apache-2.0
"""
import os
import statistics
import sys
import threading
import time

from playground import (NODES, PREFIX, Lost, Reality, container_id, engine, pid_of, playground, service_spec,
                        wait_until)

MANY = 50
REPLICAS = 6
CRASHES = 3
HEAL_MAX_S = 5.0
START_LIMIT_S = 120


class Watcher(threading.Thread):
    """Every state of a node that was not ready, and how long the slowest answer took."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.bad = []
        self.looks = 0
        self.slowest_s = 0.0

    def run(self):
        while not self.over.wait(0.02):
            began = time.monotonic()
            try:
                nodes = engine().get("/nodes")
            except Lost as lost:
                self.bad.append(str(lost))
                continue
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.looks += 1
            self.bad += [f"{node['Description']['Hostname']} {node['Status']}" for node in nodes
                         if node["Status"]["State"] != "ready"]

    def end(self):
        self.over.set()
        self.join()
        if self.bad or self.looks < 10:
            sys.exit(f"FAIL: {self.looks} looks at the nodes, not ready: {self.bad[:5]}")


def create(name, replicas):
    status, answer = engine().call("POST", "/services/create", service_spec(name, replicas))
    if status != 201:
        sys.exit(f"FAIL: create {name}: {status} {answer}")


def scale(name, replicas):
    service = engine().get(f"/services/{name}")
    service["Spec"]["Mode"]["Replicated"]["Replicas"] = replicas
    path = f"/services/{service['ID']}/update?version={service['Version']['Index']}"
    status, answer = engine().call("POST", path, service["Spec"])
    if status != 200:
        sys.exit(f"FAIL: scale {name}: {status} {answer}")


def running(without=None):
    """Tasks that should run and do, on nodes other than `without`."""
    return [task for task in engine().get("/tasks")
            if task["DesiredState"] == task["Status"]["State"] == "running" and task.get("NodeID") != without]


def wait_for_replicas(count, without=None):
    """Seconds until exactly that many run."""
    began = time.monotonic()
    wait_until(START_LIMIT_S, f"{count} running tasks",
               lambda: "" if len(running(without)) == count else f"{len(running(without))} of {count} run")
    return time.monotonic() - began


def complaint_of_containers():
    wanted = {container_id(task["ID"]) for task in running()}
    real = {container for node in NODES for container in Reality(node).running()}
    return "" if wanted == real else f"{len(wanted)} tasks run, and {len(real)} containers"


def complaint_if_anything_is_left():
    for node in NODES:
        left = Reality(node).complaint_if_not_empty()
        if left:
            return f"node {node}: {left}"
    return ""


def descriptors():
    return [len(os.listdir(f"/proc/{pid_of(node, 'skepd')}/fd")) for node in NODES]


def many():
    create("load", 1)
    wait_for_replicas(1)
    before = descriptors()
    watcher = Watcher()
    watcher.start()
    scale("load", MANY)
    took = wait_for_replicas(MANY)
    wait_until(10, "a container for each task", complaint_of_containers)
    shares = [len(Reality(node).running()) for node in NODES]
    if max(shares) - min(shares) > 1:
        sys.exit(f"FAIL: the replicas are not spread evenly: {shares}")
    print(f"1 -> {MANY} in {took:.1f} s, {shares} on the nodes")
    scale("load", 1)
    took = wait_for_replicas(1)
    wait_until(60, "one container", complaint_of_containers)
    print(f"{MANY} -> 1 in {took:.1f} s")
    engine().call("DELETE", "/services/load")
    wait_until(60, "empty nodes", complaint_if_anything_is_left)
    watcher.end()
    print(f"no node but ready in {watcher.looks} looks; the slowest answer took {watcher.slowest_s * 1000:.0f} ms")
    # Connections of the API come and go; what fifty containers would leak is more.
    after = descriptors()
    print(f"descriptors of the daemons: {before} before, {after} after")
    if any(late > early + 10 for early, late in zip(before, after)):
        sys.exit("FAIL: the daemons hold more descriptors than before")


def heal():
    create("heal", REPLICAS)
    wait_for_replicas(REPLICAS)
    times = []
    for crash in range(CRASHES):
        victim = 2 + crash % 2
        name = f"{PREFIX}{victim}"
        node = next(one["ID"] for one in engine().get("/nodes") if one["Description"]["Hostname"] == name)
        lost = REPLICAS - len(running(without=node))
        if lost == 0:
            sys.exit(f"FAIL: {name} runs nothing, so its crash would test nothing")
        playground("crash", victim)
        times.append(wait_for_replicas(REPLICAS, without=node))
        print(f"crash of {name} with {lost} replicas: all run elsewhere after {times[-1]:.2f} s")
        playground("start", victim)
        wait_until(20, f"{name} ready", lambda: "" if all(
            one["Status"]["State"] == "ready" for one in engine().get("/nodes")) else "a node is down")
        # New replicas go where there are fewest, so the node that came back gets its share.
        scale("heal", 1)
        wait_for_replicas(1)
        scale("heal", REPLICAS)
        wait_for_replicas(REPLICAS)
    print(f"median {statistics.median(times):.2f} s, limit {HEAL_MAX_S} s")
    if statistics.median(times) > HEAL_MAX_S:
        sys.exit("FAIL: too slow")
    engine().call("DELETE", "/services/heal")
    wait_until(60, "empty nodes", complaint_if_anything_is_left)


if __name__ == "__main__":
    many()
    heal()
    print("load: ok")
