"""What the Python tests share: a client of the Engine API, and a look at what really is on a node.

The playground is up already, made by lib.sh, which exports SKEP and SKEP_PLAYGROUND_DIR; nothing in here
starts or ends one. `Reality` asks the machine itself (containerd, the kernel, the disk), never skepd, so a
test can hold the two against each other. A task's container has a name that everybody can work out: the
SHA-256 of the task's id.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time

SKEP = os.environ.get("SKEP", "out/bin/skep")
DIR = os.environ.get("SKEP_PLAYGROUND_DIR", "/var/tmp/skep-test")
PREFIX = os.environ.get("SKEP_PLAYGROUND_PREFIX", "node")
NODES = tuple(range(1, 1 + int(os.environ.get("SKEP_PLAYGROUND_NODES", "3"))))
POLL_S = 0.05


def playground(word, *words):
    done = subprocess.run([SKEP, "playground", word, "--dir", DIR, *map(str, words)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"FAIL: skep playground {word} {words}: {done.stdout}")
    return done.stdout


def folder(node):
    return os.path.join(DIR, f"{PREFIX}{node}")


def pid_of(node, label):
    for line in playground("pids", node).splitlines():
        if line.startswith(label + " "):
            return int(line.rsplit(" ", 1)[1])
    return 0


def wait_until(limit_s, what, check):
    """Looks until `check` gives no complaint; the last complaint is told when time is up."""
    deadline = time.monotonic() + limit_s
    while True:
        complaint = check()
        if not complaint:
            return
        if time.monotonic() > deadline:
            sys.exit(f"FAIL: {what} not within {limit_s} s: {complaint}")
        time.sleep(POLL_S)


class Lost(Exception):
    """The answer did not come: what was asked for may have happened or not."""


class Engine(http.client.HTTPConnection):
    """One request per connection: a daemon that was killed leaves nothing to be confused by."""

    def __init__(self, path, timeout=10):
        super().__init__("skep", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def call(self, method, path, body=None):
        """(status, answer); `Lost` when the connection broke, or a manager could not tell."""
        status, text = self.exchange(method, path, body)
        answer = json.loads(text) if text.strip() else {}
        if status >= 500:
            raise Lost(f"{status}: {answer}")
        return status, answer

    def exchange(self, method, path, body=None):
        try:
            self.request(method, "/v1.41" + path, None if body is None else json.dumps(body),
                         {"Content-Type": "application/json", "Connection": "close"})
            reply = self.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise Lost(f"{type(error).__name__}: {error}") from error
        finally:
            self.close()
        return reply.status, text

    def text(self, path):
        status, text = self.exchange("GET", path)
        if status != 200:
            sys.exit(f"FAIL: GET {path}: {status} {text}")
        return text.decode()

    def get(self, path):
        status, answer = self.call("GET", path)
        if status != 200:
            sys.exit(f"FAIL: GET {path}: {status} {answer}")
        return answer


def engine(node=1, timeout=10):
    return Engine(os.path.join(folder(node), "skep.sock"), timeout)


def service_spec(name, replicas, image="httpd:2.4.34"):
    return {"Name": name, "TaskTemplate": {"ContainerSpec": {"Image": image}},
            "Mode": {"Replicated": {"Replicas": replicas}}}


def container_id(task_id):
    return hashlib.sha256(task_id.encode()).hexdigest()


# One shell per look: entering the node is the costly part. Each line: a kind, then what it is.
LOOK = r"""
ctr -n k8s.io containers ls -q | sed 's/^/container /'
ctr -n k8s.io tasks ls | awk 'NR > 1 {print "process", $1, $3, $2}'
ctr -n k8s.io snapshots ls | awk '$3 == "Active" {print "snapshot", $1}'
ctr -n k8s.io leases ls | awk 'NR > 1 {print "lease", $1}'
ip -o link | awk '{print $2}' | sed -n 's/^\(skv[^@:]*\).*/interface \1/p'
ls "$RUN/netns" 2>/dev/null | sed 's/^/namespace /'
awk '{print $5}' /proc/self/mountinfo | grep "^$RUN/netns/" | sed 's/^/mount /'
awk '{print $5}' /proc/self/mountinfo | grep '^/run/containerd/.*rootfs$' | sed 's/^/rootfs /'
ls "$DATA/containers" 2>/dev/null | sed 's/^/files /'
ls "$DATA/logs" 2>/dev/null | sed 's/^/log /'
ls "$RUN/exec" 2>/dev/null | sed 's/^/exec /'
find "$DATA" -path '*/started/*' | sed 's/^/started /'
ls -d /run/containerd/io.containerd.runtime.v2.task/k8s.io/* 2>/dev/null | sed 's/^/bundle /'
ls -d /sys/fs/cgroup/*/skep/$NODE/* /sys/fs/cgroup/skep/$NODE/* 2>/dev/null |
  while read -r one; do [ -d "$one" ] && echo "cgroup $one"; done
true
"""


class Reality:
    """What exists on one node, by kind: {"container": {...}, "namespace": {...}, ...}."""

    def __init__(self, node):
        place = folder(node)
        script = f"RUN={place}/run DATA={place}/data NODE={PREFIX}{node}\n{LOOK}"
        self.found = {}
        for line in playground("exec", node, "--", "sh", "-c", script).splitlines():
            kind, rest = line.split(" ", 1)
            self.found.setdefault(kind, set()).add(rest)

    def kind(self, kind):
        return self.found.get(kind, set())

    def running(self):
        """{container id: process id} of the containers whose process runs."""
        parts = (line.split() for line in self.kind("process"))
        return {one[0]: int(one[2]) for one in parts if one[1] == "RUNNING"}

    def complaint_if_not_empty(self):
        left = {kind: sorted(found)[:3] for kind, found in self.found.items() if found}
        return f"left behind: {left}" if left else ""


# `playground.py empty`: whether no container has left anything on any node.
if __name__ == "__main__" and sys.argv[1:] == ["empty"]:
    complaints = [f"node {node}: {left}" for node in NODES if (left := Reality(node).complaint_if_not_empty())]
    sys.exit("\n".join(complaints) or 0)
