#!/usr/bin/env python3
"""How many services a second three managers make through the Engine API, beside what their disk can flush.

A playground of three managers is made, measured and taken down. The load is a program of its own
(tests/bench/service_create); the figures of each row are the medians of rounds in which all rows and the disk
take turns. The disk's figure is one fdatasync after another of 4 KiB in a preallocated file: a lone client can't be
answered more often than that, since its service is durable when it is told. All three managers flush on that one
disk. Docker Swarm's figures are quoted from elsewhere, not measured here.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from group import DIR, ROOT, leader, machine, need_root, playground, sock, up

LOAD = os.path.join(ROOT, "out/bin/bench_service_create")
FLUSH_S = 0.3  # before each row of each round


def flush_rate():
    """fdatasync of 4 KiB a second, on the disk where the managers' logs are."""
    with tempfile.NamedTemporaryFile(dir=DIR) as file:
        os.posix_fallocate(file.fileno(), 0, 16 << 20)
        block = os.urandom(4096)
        count, begun = 0, time.monotonic()
        while time.monotonic() - begun < FLUSH_S:
            os.pwrite(file.fileno(), block, count % 4096 * 4096)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - begun)


def load(run, clients, nodes, unplaceable, length_ms):
    words = [LOAD, "--clients", str(clients), "--length-ms", str(length_ms), "--prefix", f"run{run}"]
    for node in nodes:
        words += ["--socket", sock(node)]
    done = subprocess.run(words + ["--unplaceable"] * unplaceable, check=True, text=True, stdout=subprocess.PIPE)
    figures = json.loads(done.stdout)
    if figures["failures"]:
        sys.exit(f"bench: {figures['failures']} requests failed")
    return figures


def measure(options):
    up(3)
    led = leader(1)
    other = led % 3 + 1
    rows = []
    for unplaceable in (False, True):
        what = "one unplaceable task each" if unplaceable else "no replicas"
        rows += [(f"{what}, 1 client at the leader", 1, (led,), unplaceable, 280),
                 (f"{what}, 1 client at another manager", 1, (other,), unplaceable, 280),
                 (f"{what}, {options.clients} clients over all", options.clients, (led, other, other % 3 + 1),
                  unplaceable, 350)]
    seen = [[] for _ in rows]
    flushes = []
    for run in range(options.rounds):
        for figures, (what, clients, nodes, unplaceable, _) in zip(seen, rows):
            flushes.append(flush_rate())
            figures.append(load(run, clients, nodes, unplaceable, options.length_ms))
            print(f"round {run + 1}: {what}: {figures[-1]}", file=sys.stderr)
    flush = statistics.median(flushes)
    print(f"\n{machine()}, 3 managers on one disk, leader node{led}")
    print(f"the disk alone: {flush:.0f} flushes/s ({min(flushes):.0f}-{max(flushes):.0f})")
    print(f"{'services created, medians of ' + str(options.rounds) + ' rounds':54} {'per s':>7} {'p50 ms':>7} "
          f"{'p99 ms':>7}  {'Swarm':>5}  ratio  of flush rate")
    for figures, (what, _, _, unplaceable, swarm) in zip(seen, rows):
        rate, middle, worst = (statistics.median(one[key] for one in figures)
                               for key in ("per_second", "p50_ms", "p99_ms"))
        print(f"{what:54} {rate:7.0f} {middle:7.2f} {worst:7.2f}  {swarm:5}  {rate / swarm:5.2f}  {rate / flush:5.2f}")


def main():
    parser = argparse.ArgumentParser(description="service create through the Engine API of three managers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--length-ms", type=int, default=2000, help="of a row in a round")
    parser.add_argument("--keep", action="store_true", help="leave the playground up")
    options = parser.parse_args()
    need_root()
    try:
        measure(options)
    finally:
        if not options.keep:
            playground("down")


if __name__ == "__main__":
    main()
