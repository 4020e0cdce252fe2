"""Thirty times a daemon is killed without warning, while services are created, scaled and removed.

Two users work all the time, each on services of its own, and keep a book of what they were promised:
an answered request happened, a refused one did not, an unanswered one is looked up later and either way is
right. Daemons come back within 2 s, which is less than a lease, so no death may be noticed: in the end each
service has exactly its replicas, in tasks and in real containers, not one task has failed, and whatever
exists on a node belongs to a task. When the users then remove everything, nothing at all is left.

A seed fixes whom, when and what; how the kernel interleaves it is not repeatable.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import os
import random
import sys
import threading
import time

from playground import (NODES, Lost, Reality, container_id, engine, folder, pid_of, playground, service_spec,
                        wait_until)

ROUNDS = 30
USERS = 2
SERVICES_PER_USER = 4
REPLICAS_MAX = 4
SETTLE_S = 60
LEASE_SAFE_S = 1.7  # a lease of 3 s, less the beat that may be due and the way back into a session
FAILED_STATES = ("failed", "rejected", "orphaned")


class User(threading.Thread):
    """Works until told to stop. `book`: {name: replicas} as acknowledged; `wrong`: the first lie it was told."""

    def __init__(self, number, seed):
        super().__init__(daemon=True)
        self.number = number
        self.random = random.Random(f"{seed} user {number}")
        self.over = threading.Event()
        self.book = {}
        self.wrong = None
        self.counts = {"acknowledged": 0, "refused": 0, "unknown": 0}

    def run(self):
        names = [f"chaos{self.number}-{i}" for i in range(SERVICES_PER_USER)]
        try:
            while not self.over.is_set():
                self.act(self.random.choice(names))
                self.over.wait(self.random.uniform(0.05, 0.5))
        except AssertionError as error:
            self.wrong = str(error)

    def act(self, name):
        choice = self.random.random()
        replicas = self.random.randint(1, REPLICAS_MAX)
        if name not in self.book:
            self.attempt(name, replicas, lambda: engine().call("POST", "/services/create",
                                                               service_spec(name, replicas)))
        elif choice < 0.3:
            self.attempt(name, None, lambda: engine().call("DELETE", f"/services/{name}"))
        else:
            self.attempt(name, replicas, lambda: self.scale(name, replicas))

    @staticmethod
    def scale(name, replicas):
        status, service = engine().call("GET", f"/services/{name}")
        if status != 200:
            return status, service
        spec = service["Spec"]
        spec["Mode"]["Replicated"]["Replicas"] = replicas
        version = service["Version"]["Index"]
        return engine().call("POST", f"/services/{service['ID']}/update?version={version}", spec)

    def attempt(self, name, replicas, request):
        """One request; `replicas` is what the book says if it is acknowledged, None: the service is gone."""
        try:
            status, answer = request()
        except Lost:
            self.counts["unknown"] += 1
            self.resolve(name, {self.book.get(name), replicas})
            return
        if status >= 300:
            self.counts["refused"] += 1
            # Nobody else touches this name, so the only right refusal would be a lost race with ourselves.
            raise AssertionError(f"{name}, {self.book.get(name)} -> {replicas}: {status} {answer}")
        self.counts["acknowledged"] += 1
        if replicas is None:
            del self.book[name]
        else:
            self.book[name] = replicas

    def resolve(self, name, possible):
        deadline = time.monotonic() + SETTLE_S
        while True:
            try:
                status, service = engine().call("GET", f"/services/{name}")
                break
            except Lost as lost:
                assert time.monotonic() < deadline, f"the manager does not answer: {lost}"
                time.sleep(0.1)
        found = service["Spec"]["Mode"]["Replicated"]["Replicas"] if status == 200 else None
        assert found in possible, f"{name} has {found} replicas; only {possible} can be"
        self.book.pop(name, None)
        if found is not None:
            self.book[name] = found


class Watcher(threading.Thread):
    """Looks at the nodes all the time; a manager that is away itself says nothing of them."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.looks = 0
        self.deaths = 0  # each change of a node from another state to down

    def run(self):
        down = set()
        while not self.over.wait(0.05):
            try:
                nodes = engine().get("/nodes")
            except Lost:
                continue
            self.looks += 1
            now = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
            self.deaths += len(now - down)
            down = now


def kill_daemons(seed, rounds, users):
    """Gives how often a busy machine brought a daemon back too late for its lease."""
    chance = random.Random(f"{seed} killer")
    late = 0
    for round_number in range(1, rounds + 1):
        time.sleep(chance.uniform(0.2, 1.5))
        victim = chance.choice(NODES)
        away = chance.uniform(0, 1.2)
        playground("kill", victim)
        died = time.monotonic()
        time.sleep(away)
        playground("start", victim)
        really_away = time.monotonic() - died
        late += really_away > LEASE_SAFE_S
        print(f"round {round_number}: node {victim} without its daemon for {really_away:.1f} s", flush=True)
        for user in users:
            if user.wrong:
                sys.exit(f"FAIL: {user.wrong}")
    return late


def complaint(book, may_fail=False):
    """What is not yet as the book says; every claim is checked against the machine. `may_fail`: machines died, so
    tasks may have failed with them."""
    services = {service["ID"]: service["Spec"]["Name"] for service in engine().get("/services")}
    if sorted(services.values()) != sorted(book):
        return f"services {sorted(services.values())}, promised {sorted(book)}"
    tasks = engine().get("/tasks")
    hosts = {node["ID"]: node["Description"]["Hostname"] for node in engine().get("/nodes")}
    for task in tasks:
        if task["Status"]["State"] in FAILED_STATES and not may_fail:
            sys.exit(f"FAIL: a task failed though nothing was wrong with it: {task}")
    live = [task for task in tasks if task["DesiredState"] == "running"]
    for service, name in services.items():
        mine = [task for task in live if task["ServiceID"] == service]
        states = [task["Status"]["State"] for task in mine]
        if states != ["running"] * book[name]:
            return f"{name} should have {book[name]} replicas: {states}"
    for node in NODES:
        host = os.path.basename(folder(node))
        here = [task for task in tasks if hosts.get(task.get("NodeID")) == host]
        reality = Reality(node)
        wanted = {container_id(task["ID"]) for task in here if task["DesiredState"] == "running"}
        if set(reality.running()) != wanted:
            return f"{host} runs {sorted(reality.running())}, wanted {sorted(wanted)}"
        strays = reality.kind("container") - {container_id(task["ID"]) for task in here}
        if strays:
            return f"{host} has containers that belong to no task: {sorted(strays)}"
        if len(reality.kind("interface")) != len(wanted):
            return f"{host} has {len(reality.kind('interface'))} interfaces for {len(wanted)} containers"
        names = {task["ID"] for task in here if task["DesiredState"] == "running"}
        if reality.kind("namespace") != names:
            return f"{host} has namespaces {sorted(reality.kind('namespace'))}, wanted {sorted(names)}"
    return ""


def descriptors(node):
    return len(os.listdir(f"/proc/{pid_of(node, 'skepd')}/fd"))


def complaint_of_all():
    for node in NODES:
        left = Reality(node).complaint_if_not_empty()
        if left:
            return f"node {node}: {left}"
    return ""


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", default=os.environ.get("SKEP_SEED") or random.SystemRandom().randrange(10**9))
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    options = arguments.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    users = [User(number, options.seed) for number in range(USERS)]
    for user in users:
        user.start()
    watcher = Watcher()
    watcher.start()
    late = kill_daemons(options.seed, options.rounds, users)
    book = {}
    for user in users:
        user.over.set()
        user.join(2 * SETTLE_S)
        if user.wrong or user.is_alive():
            sys.exit(f"FAIL: {user.wrong or 'a request never came back'}")
        print(f"user {user.number}: {user.counts}, {len(user.book)} services at the end")
        if user.counts["acknowledged"] < options.rounds:
            sys.exit("FAIL: hardly anything was acknowledged: the test tests nothing")
        book.update(user.book)
    calm = time.monotonic()
    wait_until(SETTLE_S, "all as promised", lambda: complaint(book))
    print(f"all as promised {time.monotonic() - calm:.1f} s after the last kill")
    watcher.over.set()
    watcher.join()
    print(f"nodes taken for dead: {watcher.deaths}, in {watcher.looks} looks; "
          f"daemons back too late for their lease: {late}")
    if watcher.deaths > late or watcher.looks < 10 * options.rounds:
        sys.exit("FAIL: a node whose daemon was back in time was taken for dead, or hardly anything was seen")
    for name in book:
        engine().call("DELETE", f"/services/{name}")
    wait_until(SETTLE_S, "empty nodes", complaint_of_all)
    print(f"descriptors of the daemons: {[descriptors(node) for node in NODES]}")
    print(f"chaos: ok after {time.monotonic() - began:.0f} s, seed {options.seed}")


if __name__ == "__main__":
    main()
