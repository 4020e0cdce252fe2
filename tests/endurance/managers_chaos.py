"""Fifty times a machine of a cluster with three managers is killed, crashed, cut off or paused, while users work.

Each user asks whatever manager comes to his mind and keeps a book of what a service may look like: an answered
request settles it, an unanswered one leaves two possibilities until somebody looks. A look is a linearizable
read, but what was asked for on a connection that broke may still be on its way; so a request that follows an
unanswered one may be refused once, and says with that what became of the other. At most one machine at a
time is in trouble for most of the rounds; in some a second one is as well, and the managers may have no
majority for a while. In the end everything is back, and what the users were promised is held against the
machines themselves: services, replicas, containers, and nothing that belongs to nobody.

A seed fixes whom, when and what; how the kernel interleaves it is not repeatable.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from chaos import complaint, complaint_of_all
from playground import NODES, Lost, engine, playground, service_spec, wait_until

ROUNDS = 50
USERS = 3
SERVICES_PER_USER = 3
REPLICAS_MAX = 4
MANAGERS = (1, 2, 3)
# A manager repeats what it forwards for less long than this, so nothing is on its way once a caller has given up.
PATIENCE_S = 40
SETTLE_S = 120
GONE = None  # what a service may look like: a number of replicas, or GONE


class User(threading.Thread):
    """`book`: {name: set of what it may be}. `wrong`: the first lie it was told."""

    def __init__(self, number, seed):
        super().__init__(daemon=True)
        self.number = number
        self.random = random.Random(f"{seed} user {number}")
        self.over = threading.Event()
        self.book = {f"chaos{number}-{i}": {GONE} for i in range(SERVICES_PER_USER)}
        self.wrong = None
        self.counts = {"acknowledged": 0, "refused": 0, "unknown": 0}
        self.longest = 0.0  # seconds between two acknowledged requests

    def run(self):
        answered = time.monotonic()
        try:
            while not self.over.is_set():
                if self.act(self.random.choice(list(self.book))):
                    self.longest = max(self.longest, time.monotonic() - answered)
                    answered = time.monotonic()
                self.over.wait(self.random.uniform(0.02, 0.3))
        except AssertionError as error:
            self.wrong = str(error)

    def ask(self, method, path, body=None):
        return engine(self.random.choice(MANAGERS), PATIENCE_S).call(method, path, body)

    def act(self, name):
        """One request; True when it was acknowledged."""
        replicas = self.random.randint(1, REPLICAS_MAX)
        try:
            status, service = self.ask("GET", f"/services/{name}")
        except Lost:
            return False
        found = service["Spec"]["Mode"]["Replicated"]["Replicas"] if status == 200 else GONE
        assert found in self.book[name], f"{name} is {found}; only {self.book[name]} can be"
        if found is GONE:
            return self.attempt(name, found, replicas, "POST", "/services/create", service_spec(name, replicas))
        if self.random.random() < 0.3:
            return self.attempt(name, found, GONE, "DELETE", f"/services/{service['ID']}")
        spec = service["Spec"]
        spec["Mode"]["Replicated"]["Replicas"] = replicas
        path = f"/services/{service['ID']}/update?version={service['Version']['Index']}"
        return self.attempt(name, found, replicas, "POST", path, spec)

    def attempt(self, name, found, wanted, method, path, body=None):
        before = self.book[name]
        try:
            status, answer = self.ask(method, path, body)
        except Lost:
            self.counts["unknown"] += 1
            self.book[name] = before | {wanted}
            return False
        if status < 300:
            self.counts["acknowledged"] += 1
            self.book[name] = {wanted}
            return True
        self.counts["refused"] += 1
        # An earlier request that nobody answered came in between the look and this one.
        assert len(before) > 1, f"{name}, {found} -> {wanted}: {status} {answer}"
        return False


# What may be done to a node, and how it is made good again.
TROUBLES = {"kill": "start", "crash": "start", "cut": "heal", "pause": "resume"}


def trouble(chance, victims):
    """Brings trouble on some nodes at once, waits, and takes it away."""
    done = []
    for victim in victims:
        word = chance.choice(sorted(TROUBLES))
        playground(word, victim)
        done.append((word, victim))
    lasts = chance.uniform(0.2, 6)
    time.sleep(lasts)
    for word, victim in done:
        playground(TROUBLES[word], victim)
    return ", ".join(f"{word} {victim}" for word, victim in done) + f" for {lasts:.1f} s"


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
    chance = random.Random(f"{options.seed} trouble")
    for round_number in range(1, options.rounds + 1):
        time.sleep(chance.uniform(0.2, 2))
        victims = chance.sample(NODES, 2 if chance.random() < 0.2 else 1)
        print(f"round {round_number}: {trouble(chance, victims)}", flush=True)
        for user in users:
            if user.wrong:
                sys.exit(f"FAIL: {user.wrong}")
    book = {}
    for user in users:
        user.over.set()
        user.join(2 * PATIENCE_S)
        if user.wrong or user.is_alive():
            sys.exit(f"FAIL: {user.wrong or 'a request never came back'}")
        print(f"user {user.number}: {user.counts}, longest without an acknowledgement {user.longest:.1f} s")
        if user.counts["acknowledged"] < options.rounds:
            sys.exit("FAIL: hardly anything was acknowledged: the test tests nothing")
        settle(user, book)
    calm = time.monotonic()
    wait_until(SETTLE_S, "all as promised", lambda: tolerant(lambda: complaint(book, may_fail=True)))
    print(f"all as promised {time.monotonic() - calm:.1f} s after the last trouble")
    for name in book:
        status, answer = engine(1, PATIENCE_S).call("DELETE", f"/services/{name}")
        if status >= 300:
            sys.exit(f"FAIL: removing {name}: {status} {answer}")
    wait_until(SETTLE_S, "empty nodes", complaint_of_all)
    print(f"managers_chaos: ok after {time.monotonic() - began:.0f} s, seed {options.seed}")


def settle(user, book):
    """What the user's services are in the end, which must be among what they can be."""
    for name, possible in user.book.items():
        status, service = engine(1, PATIENCE_S).call("GET", f"/services/{name}")
        found = service["Spec"]["Mode"]["Replicated"]["Replicas"] if status == 200 else GONE
        if found not in possible:
            sys.exit(f"FAIL: in the end {name} is {found}; only {possible} can be")
        if found is not GONE:
            book[name] = found


def tolerant(check):
    try:
        return check()
    except Lost as lost:
        return str(lost)


if __name__ == "__main__":
    main()
