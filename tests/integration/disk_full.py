"""A manager's disk fills up: first until it is nearly full, then to the last byte, then there is room again.

Node 1 has its data on a small ext4 of its own (see disk_full_test.sh), which others fill: a big file beside
the log. At first it is the only manager: it turns read-only in good time, goes on noting what nodes report,
starts again on a disk with no free byte, and takes writes again by itself. Then there are three managers: a
leader on a full disk hands over, and when not even its ballast is left it stops acknowledging, and comes back
by itself when there is room. What was acknowledged is there in the end.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

from playground import NODES, PREFIX, Lost, Reality, engine, folder, playground, service_spec, wait_until

DATA = os.path.join(folder(1), "data")
MIB = 1 << 20
BALLAST = 64 * MIB
# The storage thread looks at the disk every five seconds, and after each piece of work.
NOTICED_S = 12
BIG_LABEL = "x" * 50_000

acknowledged = []
unanswered = []


def on_disk(*words):
    """Runs a command where the disk is mounted."""
    return playground("exec", 1, "--", *words).strip()


def free():
    return int(on_disk("stat", "-f", "-c", "%a", DATA)) * int(on_disk("stat", "-f", "-c", "%S", DATA))


def fill(name, leave):
    amount = free() - leave
    if amount > 0:
        on_disk("fallocate", "-l", amount, f"{DATA}/{name}")


def fill_to_the_last_byte():
    """What fallocate leaves over (the map of a big file takes blocks, too) goes to small ones."""
    playground("exec", 1, "--", "sh", "-c", f"""
      fallocate -l $(($(stat -f -c %a {DATA}) * 4096)) {DATA}/filler.$$ 2>/dev/null
      dd if=/dev/zero of={DATA}/filler.rest.$$ bs=4k 2>/dev/null; sync; true""")


def empty():
    on_disk("sh", "-c", f"rm -f {DATA}/filler*")


def create(node, name, label=""):
    spec = service_spec(name, 0)
    spec["Labels"] = {"big": label}
    status, text = engine(node, 25).exchange("POST", "/services/create", spec)
    if status == 201:
        acknowledged.append(name)
    return status, text.decode()


def services(node):
    return {service["Spec"]["Name"] for service in engine(node, 25).get("/services")}


def swarm(node):
    return engine(node).get("/info")["Swarm"]


def tolerant(check):
    try:
        return check()
    except Lost as lost:
        return str(lost)


def accepted(node, name):
    """A complaint unless a new service is accepted; refusals must be for the disk's sake."""
    def check():
        status, text = create(node, name)
        if status != 201 and "read-only" not in text:
            sys.exit(f"FAIL: create {name}: {status} {text}")
        return "" if status == 201 else text
    return check


def ballast():
    size = on_disk("sh", "-c", f"stat -c %s {DATA}/raft.ballast 2>/dev/null || echo 0")
    return int(size)


def state_of(node):
    row = next(row for row in engine().get("/nodes") if row["Description"]["Hostname"] == f"{PREFIX}{node}")
    return row["Status"]["State"]


def equal(found, wanted):
    return "" if found == wanted else f"{found}, not {wanted}"


def expect(found, wanted, what):
    if found != wanted:
        sys.exit(f"FAIL: {what}: {found}, not {wanted}")


def nearly_full():
    create(1, "before")
    wait_until(NOTICED_S, "a ballast", lambda: equal(ballast(), BALLAST))
    fill("filler", 100 * MIB)
    wait_until(NOTICED_S, "read-only", lambda: "" if "read-only" in swarm(1)["Error"] else str(swarm(1)))
    status, text = create(1, "refused")
    if status < 400 or "read-only: the disk of this manager is nearly full" not in text:
        sys.exit(f"FAIL: create on a nearly full disk: {status} {text}")
    expect(swarm(1)["LocalNodeState"], "active", "the state of a manager that is read-only")
    expect(services(1), {"web", "before"}, "services on a nearly full disk")
    print(f"nearly full: create answers {status} {text.strip()}, and the rest works")


def full():
    fill_to_the_last_byte()
    expect(free(), 0, "free bytes")
    playground("crash", 3)
    wait_until(20, "the death of node 3 in the log", lambda: equal(state_of(3), "down"))
    playground("kill", 1)
    playground("start", 1)
    wait_until(20, "the state after a start on a full disk",
               lambda: tolerant(lambda: equal(services(1), {"web", "before"})))
    expect(state_of(3), "down", "node 3 after a start on a full disk")
    # The ballast that the start gave up is room for a while; others take it as well.
    fill_to_the_last_byte()
    wait_until(NOTICED_S, "read-only", lambda: "" if "read-only" in swarm(1)["Error"] else str(swarm(1)))
    print("full: it notes what nodes report, and starts again")


def room_again(name):
    empty()
    wait_until(NOTICED_S, "writes", accepted(1, name))
    wait_until(NOTICED_S, "an end of the complaint", lambda: equal(swarm(1)["Error"], ""))
    wait_until(2 * NOTICED_S, "a ballast", lambda: equal(ballast(), BALLAST))


def managers_of(node):
    return {int(row["Description"]["Hostname"].removeprefix(PREFIX)):
            (row["ManagerStatus"]["Reachability"], row["ManagerStatus"].get("Leader", False))
            for row in engine(node, 25).get("/nodes") if "ManagerStatus" in row}


def leader(node):
    return next((number for number, (_, leads) in managers_of(node).items() if leads), None)


def promote():
    playground("start", 3)
    for node in (2, 3):
        wait_until(20, f"node {node} ready", lambda node=node: equal(state_of(node), "ready"))
        row = next(row for row in engine().get("/nodes") if row["Description"]["Hostname"] == f"{PREFIX}{node}")
        row["Spec"]["Role"] = "manager"
        engine().call("POST", f"/nodes/{row['ID']}/update?version={row['Version']['Index']}", row["Spec"])
        wait_until(30, "its vote", lambda node=node: equal(
            managers_of(1).get(node, ("", False))[0], "reachable"))
        wait_until(10, "its answers", lambda node=node: equal(swarm(node)["ControlAvailable"], True))
    wait_until(10, "node 1 leads", lambda: equal(leader(1), 1))


def leader_on_a_full_disk():
    promote()
    fill("filler", 100 * MIB)
    wait_until(NOTICED_S, "another leader", lambda: tolerant(lambda: "" if leader(2) not in (1, None) else "node 1"))
    status, text = create(1, "through-the-full-one")
    expect(status, 201, f"a write through the full manager ({text})")
    print(f"three managers: node {leader(2)} leads instead, and writes go on")


def to_the_last_byte():
    """Entries go on coming until the full manager has no room for them, and neither has its ballast."""
    fill_to_the_last_byte()
    count = 0

    def write_until_it_stops():
        nonlocal count
        count += 1
        try:
            status, text = create(2, f"big{count}", BIG_LABEL)
        except Lost:
            unanswered.append(f"big{count}")
            return "a write was not answered"
        if status != 201:
            sys.exit(f"FAIL: a write through a manager that is well: {status} {text}")
        if not ballast():
            fill_to_the_last_byte()
        state = swarm(1)
        return "" if state["LocalNodeState"] == "error" else f"{count} writes, and node 1 is {state}"
    wait_until(90, "the full manager to stop", write_until_it_stops)
    error = swarm(1)["Error"]
    if "the raft log can't be written" not in error and "full" not in error:
        sys.exit(f"FAIL: it says {error!r}")
    expect(ballast(), 0, "the ballast of a full disk")
    print(f"no byte left after {count} writes: {error}")
    status, text = create(2, "while-one-is-full")
    expect(status, 201, f"a write beside the full manager ({text})")
    empty()
    wait_until(45, "its return", lambda: tolerant(lambda: equal(swarm(1)["LocalNodeState"], "active")))
    wait_until(20, "the group", lambda: tolerant(lambda: equal(
        sorted(reach for reach, _ in managers_of(1).values()), ["reachable"] * 3)))
    room_again("in-the-end")


def main():
    spec = service_spec("web", 1)
    spec["TaskTemplate"]["Placement"] = {"Constraints": [f"node.hostname=={PREFIX}1"]}
    engine().call("POST", "/services/create", spec)
    wait_until(60, "a container", lambda: equal(len(Reality(1).running()), 1))
    container = Reality(1).running()
    nearly_full()
    full()
    room_again("after")
    print("room again: writes again")
    leader_on_a_full_disk()
    to_the_last_byte()
    wanted = {"web", *acknowledged}
    for node in NODES:
        wait_until(20, f"all that was acknowledged, on node {node}", lambda node=node: tolerant(lambda: equal(
            sorted(services(node) ^ wanted), [name for name in unanswered if name in services(node)])))
    expect(Reality(1).running(), container, "the container on node 1")
    print(f"{len(acknowledged)} acknowledged and there on each manager")
    print("disk_full: ok")


if __name__ == "__main__":
    main()
