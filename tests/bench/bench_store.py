#!/usr/bin/env python3
"""Durable writes and linearizable reads of three managers, beside etcd on the same disk.

Three skepd and three etcd run on loopback, in a network namespace of their own, all on one file system. Both
speak TLS with certificates on both ends, among themselves and to the clients. The load comes from one process,
bench_store_skep or bench_store_etcd: closed loops of 1, 8, 64 and 256 clients spread over the three members,
values of 256 bytes (a config over the node RPC; a key of etcd). The two take turns within each round, so that a
busy minute or a slow disk hits both; medians of the rounds are printed, with the ratio, the disk's own flush
rate at the beginning and the end of each round, and the machine's load.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "out/bin")
FOLDER = "/var/tmp/skep-bench-store"
MEMBERS = (1, 2, 3)
STEP_LIMIT_S = 60
READ_KEYS = 1000
PEER = ""  # before the names of etcd's programs
FLUSHES = 200


def peer():
    """Where etcd's programs are: the machine's own, or taken out of Debian's packages. Installing those would start
    a daemon."""
    if shutil.which("etcd") and shutil.which("etcdctl"):
        return ""
    place = os.path.join(ROOT, "out", "etcd")
    if not os.path.exists(place + "/usr/bin/etcd"):
        os.makedirs(place, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", "etcd-server", "etcd-client"], check=True, cwd=place,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for package in os.listdir(place):
            if package.endswith(".deb"):
                subprocess.run(["dpkg", "-x", package, "."], check=True, cwd=place)
    return place + "/usr/bin/"


def fresh_namespace():
    """Nothing of this bench touches the machine's own network."""
    if os.environ.get("SKEP_BENCH_NAMESPACE") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ["SKEP_BENCH_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def folder(*names):
    path = os.path.join(FOLDER, *names)
    os.makedirs(path, exist_ok=True)
    return path


def wait_for(what, holds):
    limit = time.monotonic() + STEP_LIMIT_S
    while not holds():
        if time.monotonic() > limit:
            sys.exit(f"bench: {what} did not come about in {STEP_LIMIT_S} s")
        time.sleep(0.1)


def median(values):
    return statistics.median(values)


def flush_rate():
    """(appended, overwritten): flushes of 4 KiB per second, by fdatasync, one after the other."""
    rates = []
    for prepared in (False, True):
        path = os.path.join(folder(), "flushes")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        block = os.urandom(4096)
        if prepared:
            os.write(fd, bytes(len(block) * FLUSHES))
            os.fsync(fd)
        begin = time.perf_counter()
        for i in range(FLUSHES):
            os.pwrite(fd, block, i * len(block))
            os.fdatasync(fd)
        rates.append(FLUSHES / (time.perf_counter() - begin))
        os.close(fd)
        os.unlink(path)
    return rates


class Skep:
    name = "skep"

    def __init__(self):
        self.daemons = []
        self.first = 0
        self.places = [f"127.0.0.1:{2370 + i}" for i in MEMBERS]

    def socket(self, member):
        return os.path.join(FOLDER, self.name, str(member), "run/skep.sock")

    def cli(self, member, *words, check=True):
        return subprocess.run([f"{BIN}/skep", "-H", "unix://" + self.socket(member), *words], check=check, text=True,
                              stdout=subprocess.PIPE, stderr=None if check else subprocess.DEVNULL)

    def start(self):
        for member in MEMBERS:
            place = folder(self.name, str(member))
            config = os.path.join(place, "skepd.toml")
            with open(config, "w") as out:
                out.write(f'hostname = "member{member}"\n[plugins.runtime-containerd]\n'
                          'path = "runtime-containerd.so"\n[plugins.runtime-containerd.config]\n'
                          f'address = "{place}/no-containerd.sock"\n[plugins.net-bridge]\npath = "net-bridge.so"\n'
                          f'[plugins.net-bridge.config]\nbridge = "skep{member}"\nsubnet = "172.30.{member}.0/24"\n')
            self.daemons.append(subprocess.Popen(
                [f"{BIN}/skepd", "--config", config, "--data-dir", place + "/data", "--run-dir", place + "/run",
                 "--log-level", "warning"], stdout=open(place + "/log", "w"), stderr=subprocess.STDOUT))
        for member in MEMBERS:
            wait_for(f"the socket of member {member}", lambda m=member: os.path.exists(self.socket(m)))
        here = lambda member: ("--listen-addr", self.places[member - 1], "--advertise-addr", self.places[member - 1])
        self.cli(1, "swarm", "init", *here(1))
        token = self.cli(1, "swarm", "join-token", "-q", "manager").stdout.strip()
        for member in MEMBERS[1:]:
            self.cli(member, "swarm", "join", *here(member), "--token", token, self.places[0])
        wait_for("three managers", lambda: sum(
            line in ("Leader", "Reachable")
            for line in self.cli(1, "node", "ls", "--format", "{{.ManagerStatus}}", check=False).stdout.split()) == 3)
        self.load("--fill", str(READ_KEYS))
        self.first += READ_KEYS

    def load(self, *words):
        return subprocess.run(
            [f"{BIN}/bench_store_skep", "--members", ",".join(self.places), "--credentials",
             f"{FOLDER}/{self.name}/1/data/pki", "--ids", f"{FOLDER}/{self.name}/ids", "--first", str(self.first),
             *words], check=True, text=True, stdout=subprocess.PIPE).stdout

    def run(self, clients, seconds, read):
        got = json.loads(self.load("--clients", str(clients), "--seconds", str(seconds), *(["--read"] if read else [])))
        if not read:
            self.first += 10_000_000
        return got

    def pids(self):
        return [daemon.pid for daemon in self.daemons]

    def stop(self):
        for daemon in self.daemons:
            daemon.terminate()
        for daemon in self.daemons:
            daemon.wait()


class Etcd:
    name = "etcd"

    def __init__(self):
        self.daemons = []
        self.first = 0
        self.clients = [f"localhost:{12370 + i}" for i in MEMBERS]
        self.peers = [f"localhost:{13370 + i}" for i in MEMBERS]

    def certificates(self):
        place = folder(self.name)
        run = lambda *words: subprocess.run(["openssl", *words], check=True, cwd=place, stderr=subprocess.DEVNULL)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        run("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench", "-days", "2")
        run("req", *curve, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=localhost")
        with open(place + "/extensions", "w") as out:
            out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        run("x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            "node.pem", "-days", "2", "-extfile", "extensions")
        return place

    def start(self):
        place = self.certificates()
        tls = []
        for side in ("", "peer-"):
            tls += [f"--{side}cert-file={place}/node.pem", f"--{side}key-file={place}/node.key",
                    f"--{side}trusted-ca-file={place}/ca.pem", f"--{side}client-cert-auth"]
        cluster = ",".join(f"m{m}=https://{self.peers[m - 1]}" for m in MEMBERS)
        for m in MEMBERS:
            client, peer = f"https://{self.clients[m - 1]}", f"https://{self.peers[m - 1]}"
            self.daemons.append(subprocess.Popen(
                [PEER + "etcd", f"--name=m{m}", f"--data-dir={place}/{m}", f"--listen-client-urls={client}",
                 f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
                 f"--initial-advertise-peer-urls={peer}", f"--initial-cluster={cluster}",
                 "--initial-cluster-state=new", "--quota-backend-bytes=8589934592", "--log-level=error", *tls],
                stdout=subprocess.DEVNULL, stderr=open(f"{place}/{m}.log", "w")))
        wait_for("etcd", lambda: all(
            self.control([c], "endpoint", "health").returncode == 0 for c in self.clients))
        # The first member leads on our side too: a lone client asks the leader.
        status = json.loads(self.control(self.clients[:1], "endpoint", "status", "-w", "json").stdout)[0]["Status"]
        if status["leader"] != status["header"]["member_id"]:
            self.control(self.clients, "move-leader", f"{status['header']['member_id']:x}").check_returncode()

    def control(self, endpoints, *words):
        place = os.path.join(FOLDER, self.name)
        return subprocess.run(
            [PEER + "etcdctl", "--endpoints=" + ",".join("https://" + e for e in endpoints), f"--cacert={place}/ca.pem",
             f"--cert={place}/node.pem", f"--key={place}/node.key", *words], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"})

    def run(self, clients, seconds, read):
        place = os.path.join(FOLDER, self.name)
        out = subprocess.run(
            [f"{BIN}/bench_store_etcd", "--endpoints", ",".join(self.clients), "--ca", place + "/ca.pem",
             "--certificate", place + "/node.pem", "--key", place + "/node.key", "--clients", str(clients),
             "--seconds", str(seconds), "--first-key", "0" if read else str(self.first), "--keys", str(READ_KEYS),
             *(["--read"] if read else [])], check=True, text=True, stdout=subprocess.PIPE).stdout
        if not read:
            self.first += 10_000_000
        return json.loads(out)

    def pids(self):
        return [daemon.pid for daemon in self.daemons]

    stop = Skep.stop


def row(what, clients, ours, theirs):
    """Prints the medians and whether the bar holds; returns the ratio."""
    ours_rate, theirs_rate = (median([r["per_second"] for r in rows]) for rows in (ours, theirs))
    ours_p99, theirs_p99 = (median([r["p99_ms"] for r in rows]) for rows in (ours, theirs))
    if any(r["failures"] for r in ours + theirs):
        sys.exit(f"bench: requests failed; the row of {clients} clients ({what}) counts for nothing")
    print(f"{what:6} {clients:4} clients   skep {ours_rate:8.0f}/s p99 {ours_p99:7.2f} ms   etcd {theirs_rate:8.0f}/s "
          f"p99 {theirs_p99:7.2f} ms   ratio {ours_rate / max(theirs_rate, 1):5.2f}   "
          f"p99 {ours_p99 / max(theirs_p99, 0.001):5.2f}", flush=True)


def measure(options, sides):
    results = {}
    flushes = []
    for round_number in range(options.rounds):
        flushes.append(flush_rate())
        for clients in options.clients:
            for read in (False, True) if not options.only else (options.only == "read",):
                # Who goes first changes, or one side would always meet the other's leftovers.
                for side in sides if round_number % 2 == 0 else reversed(sides):
                    got = side.run(clients, options.seconds, read)
                    results.setdefault((read, clients), {}).setdefault(side.name, []).append(got)
                    print(f"  round {round_number + 1}/{options.rounds} {side.name:5} "
                          f"{'reads' if read else 'writes':6} {clients:4} clients {got['per_second']:9.0f}/s "
                          f"p50 {got['p50_ms']:.2f} p99 {got['p99_ms']:.2f} ms", file=sys.stderr, flush=True)
        flushes.append(flush_rate())
    appended, overwritten = (median(column) for column in zip(*flushes))
    print(f"{options.rounds} rounds of {options.seconds} s, values of 256 bytes, medians; "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"the disk alone: {appended:.0f} flushes/s of 4 KiB appended, {overwritten:.0f} overwritten")
    for (read, clients), got in sorted(results.items()):
        if len(got) == 2:
            row("reads" if read else "writes", clients, got["skep"], got["etcd"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--only", choices=["read", "write"])
    parser.add_argument("--side", choices=["skep", "etcd"], help="measure one of them")
    options = parser.parse_args()
    global PEER
    PEER = peer()
    fresh_namespace()
    shutil.rmtree(FOLDER, ignore_errors=True)
    sides = [side() for side in (Skep, Etcd) if options.side in (None, side.name)]
    try:
        for side in sides:
            side.start()
        measure(options, sides)
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
