"""A playground with several managers, as the benches use it: made, asked through its sockets, taken down.

Everything goes through the Engine API's sockets and `skep playground`, as a user's would. Whatever does not come
about within a minute ends the bench with a sentence; figures of a cluster that is not well are worth nothing.

SPDX-License-Identifier: Apache-2.0
"""
import http.client
import json
import os
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKEP = os.path.join(ROOT, "out/bin/skep")
DIR = os.environ.get("SKEP_BENCH_DIR", "/var/tmp/skep-bench")  # on the disk that is to be measured
STEP_LIMIT_S = 60


def playground(*words):
    done = subprocess.run([SKEP, "playground", words[0], "--dir", DIR, *map(str, words[1:])], check=True, text=True,
                          stdout=subprocess.PIPE)
    return done.stdout


def inside(node, script):
    """What a shell inside the node prints."""
    return playground("exec", node, "--", "sh", "-c", script)


def sock(node):
    return f"{DIR}/node{node}/skep.sock"


class Engine:
    """The Engine API of a node over one connection, made anew when it broke."""

    def __init__(self, node):
        self.node = node
        self.connection = None

    def call(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("skep", timeout=STEP_LIMIT_S)
            self.connection.sock = socket.socket(socket.AF_UNIX)
            self.connection.sock.settimeout(STEP_LIMIT_S)
            self.connection.sock.connect(sock(self.node))
        try:
            self.connection.request(method, "/v1.41" + path, body and json.dumps(body),
                                    {"Content-Type": "application/json"} if body else {})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def call(node, method, path, body=None):
    engine = Engine(node)
    try:
        return engine.call(method, path, body)
    finally:
        engine.close()


def wait_for(what, holds):
    limit = time.monotonic() + STEP_LIMIT_S
    while True:
        try:
            if holds():
                return
        except OSError:
            pass  # a manager that is down or finds no leader; asked again
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
    return (len(found) == count and any(one.get("Leader") for one in found.values())
            and all(one["Reachability"] == "reachable" for one in found.values()))


def role(asked, word, node):
    """`skep node promote` or `demote`."""
    subprocess.run([SKEP, "node", word, f"node{node}"], check=True, stdout=subprocess.DEVNULL,
                   env=os.environ | {"DOCKER_HOST": f"unix://{sock(asked)}"})


def up(nodes, count_of_managers=3):
    playground("up", "--nodes", nodes)
    for node in range(2, count_of_managers + 1):
        role(1, "promote", node)
    wait_for(f"{count_of_managers} managers", lambda: all_reachable(1, count_of_managers))


def need_root():
    if os.geteuid() != 0:
        sys.exit("bench: the playground needs root")


def machine():
    return f"{os.cpu_count()} cores, load {' '.join(f'{x:.1f}' for x in os.getloadavg())}"
