"""Three managers, of which one at a time has trouble with the disk of its log, while a user writes.

The user creates services through managers that are well, and keeps what was acknowledged and what was refused.
Each case brings one fault about and states what docs/storage.md promises for it: what the manager says, in its
own log and in `info`, how it comes back, and how long nobody could write. In the end every manager has every
service that was acknowledged, none that was refused, and no container has been touched.

`disk_faults.py alone` does the same, in short, to the only manager of a cluster, which nobody can stand in for.

Faults of a running daemon come from tests/fakes/disk, loaded into it by LD_PRELOAD; damage is done to the
files of a daemon that was killed.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys
import threading
import time

import raft_files
from playground import NODES, PREFIX, Lost, Reality, engine, folder, playground, service_spec, wait_until

REPLICAS = 3
# An election and a little patience of the machine's: longer than this nobody may be without an answer.
STANDSTILL_MAX_S = 8.0
BACK_S = 30


class Writer(threading.Thread):
    """Creates services, each once; asks any manager that is not `avoid`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.avoid = None
        self.acknowledged, self.refused, self.unknown = [], [], []
        self.last = time.monotonic()
        self.longest = 0.0  # seconds between two acknowledgements, since it was last asked for

    def run(self):
        count = 0
        while not self.over.wait(0.05):
            count += 1
            name = f"w{count}"
            asked = [node for node in NODES if node != self.avoid]
            try:
                status, answer = engine(asked[count % len(asked)], 25).call(
                    "POST", "/services/create", service_spec(name, 0))
            except Lost:
                self.unknown.append(name)
                continue
            if status != 201:
                self.refused.append((name, status, answer))
                continue
            self.acknowledged.append(name)
            now = time.monotonic()
            self.longest = max(self.longest, now - self.last)
            self.last = now

    def standstill(self):
        """The longest time without an acknowledgement since the last call; ends when one has come."""
        count = len(self.acknowledged)
        wait_until(STANDSTILL_MAX_S, "an acknowledgement", lambda: "" if len(self.acknowledged) > count else "none")
        longest, self.longest = self.longest, 0.0
        return longest


writer = Writer()
TROUBLE_LOG = {}  # node: how far its log was read


def said(node, *sentences):
    """A complaint unless the daemon has logged them since the case began; twice, what is there twice."""
    with open(os.path.join(folder(node), "skepd.log"), encoding="utf-8", errors="replace") as log:
        log.seek(TROUBLE_LOG[node])
        text = log.read()
    missing = [one for one in set(sentences) if text.count(one) < sentences.count(one)]
    return f"node {node} never said {missing}; it said {text[-2000:]}" if missing else ""


def swarm(node):
    return engine(node, 25).get("/info")["Swarm"]


def tolerant(check):
    try:
        return check()
    except Lost as lost:
        return str(lost)


def leader():
    for node in NODES:
        try:
            for row in engine(node, 5).get("/nodes"):
                if row.get("ManagerStatus", {}).get("Leader"):
                    return int(row["Description"]["Hostname"].removeprefix(PREFIX))
        except (Lost, SystemExit):
            continue
    return None


def a_follower():
    wait_until(20, "a leader", lambda: "" if leader() else "nobody leads")
    return leader() % len(NODES) + 1


def complaint_if_not_whole():
    """All managers are of the group and answer, as each of them sees it."""
    for node in NODES:
        state = swarm(node)
        if state["LocalNodeState"] != "active" or not state["ControlAvailable"] or state["Error"]:
            return f"node {node}: {state['LocalNodeState']} {state['Error']}"
        seen = [row["ManagerStatus"]["Reachability"] for row in engine(node).get("/nodes") if "ManagerStatus" in row]
        if seen != ["reachable"] * len(NODES):
            return f"node {node} sees {seen}"
    return ""


def all_well():
    wait_until(BACK_S, "three managers that are well", lambda: tolerant(complaint_if_not_whole))


def fault(node, line):
    path = os.path.join(folder(node), "fault")
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(line)
    os.rename(path + ".new", path)  # the daemon never reads half a line


def heal(node):
    os.unlink(os.path.join(folder(node), "fault"))


def fault_was_used(node):
    return "the fault was never met" if os.path.exists(os.path.join(folder(node), "fault")) else ""


def info_says(node, state, *parts):
    def check():
        swarm_of_node = swarm(node)
        if swarm_of_node["LocalNodeState"] != state:
            return f"node {node} is {swarm_of_node}"
        missing = [part for part in parts if part not in swarm_of_node["Error"]]
        return f"node {node}: no {missing} in {swarm_of_node['Error']!r}" if missing else ""
    return lambda: tolerant(check)


def case(victim, what):
    writer.avoid = victim
    writer.standstill()
    for node in NODES:
        TROUBLE_LOG[node] = os.path.getsize(os.path.join(folder(node), "skepd.log"))
    print(f"{what}: node {victim}", flush=True)
    return time.monotonic()


def finished(began, victim):
    all_well()
    stood = writer.standstill()
    if stood > STANDSTILL_MAX_S:
        sys.exit(f"FAIL: nobody could write for {stood:.1f} s")
    print(f"  well after {time.monotonic() - began:.1f} s; the writer waited {stood:.2f} s at most", flush=True)


# --- faults of a disk under a daemon that runs --------------------------------------------


def failed_flush(victim, role):
    began = case(victim, f"one flush fails, {role}")
    fault(victim, "eio raft.db-wal")
    wait_until(10, "the failing flush", lambda: fault_was_used(victim))
    wait_until(10, "what it says", lambda: said(
        victim, "the raft log can't be written", "this manager steps down"))
    wait_until(BACK_S, "its return", lambda: said(victim, "the raft log was read again and is whole"))
    finished(began, victim)


def failing_disk():
    """The disk refuses every flush for a while: the pauses grow, and `info` says what is the matter."""
    victim = a_follower()
    began = case(victim, "every write is refused for some seconds, follower")
    fault(victim, "full raft.db")
    wait_until(10, "its state", info_says(victim, "error", "the raft log can't be written", "acknowledges nothing"))
    status, answer = engine(victim).exchange("GET", "/services")
    if status != 503 or b"the raft log can't be written" not in answer:
        sys.exit(f"FAIL: a manager without its log answers {status} {answer}")
    wait_until(20, "a second try", lambda: said(victim, *["acknowledges nothing until"] * 2))
    heal(victim)
    wait_until(BACK_S, "its return", lambda: said(victim, "the raft log was read again and is whole"))
    finished(began, victim)


def hanging_flush():
    victim = leader()
    began = case(victim, "flushes hang, leader")
    fault(victim, "hang raft.db")
    wait_until(10, "another leader", lambda: "" if leader_beside(victim) else "none")
    wait_until(10, "what it says", lambda: said(victim, "no longer the leader: the disk of this manager does not answer"))
    wait_until(10, "its state", info_says(victim, "active", "the disk of this manager does not answer"))
    stood = writer.standstill()
    heal(victim)
    wait_until(10, "the end of it", lambda: said(victim, "the disk of this manager answers again"))
    print(f"  the writer waited {stood:.2f} s for another leader")
    if stood > STANDSTILL_MAX_S:
        sys.exit("FAIL: too long")
    finished(began, victim)


def leader_beside(victim):
    for node in NODES:
        if node == victim:
            continue
        try:
            leads = [row for row in engine(node, 5).get("/nodes") if row.get("ManagerStatus", {}).get("Leader")]
        except Lost:
            continue
        if leads and leads[0]["Description"]["Hostname"] != f"{PREFIX}{victim}":
            return True
    return False


# --- damage to the files of a daemon that was killed ----------------------------------------


def data_of(node):
    return os.path.join(folder(node), "data")


def killed(what):
    victim = a_follower()
    began = case(victim, what)
    playground("kill", victim)
    return victim, began


def torn_tail():
    victim, began = killed("the end of the log is torn")
    raft_files.tear_tail(os.path.join(data_of(victim), "raft.db-wal"))
    playground("start", victim)
    finished(began, victim)


def refuses_its_log(victim, began, *sentences):
    """It says what is damaged, is a worker in deeds, and is made a manager again by demoting and promoting."""
    playground("start", victim)
    wait_until(20, "its state", info_says(victim, "error", *sentences, "not taken up again", "demote and promote"))
    wait_until(5, "what it says", lambda: said(victim, *sentences))
    if swarm(victim)["ControlAvailable"]:
        sys.exit("FAIL: it still passes for a manager")
    status, answer = engine(victim).exchange("GET", "/services")
    if status != 503 or "not taken up again" not in answer.decode():
        sys.exit(f"FAIL: a manager with a damaged log answers {status} {answer}")
    healthy = victim % len(NODES) + 1
    wait_until(20, "its session", lambda: tolerant(lambda: "" if node_row(healthy, victim)["Status"]["State"] == "ready"
                                                   else "not ready"))
    set_role(healthy, victim, "worker")
    wait_until(20, "its log to go", lambda: "it is still there" if os.path.exists(
        os.path.join(data_of(victim), "raft.db")) else "")
    wait_until(20, "a worker", info_says(victim, "active"))
    set_role(healthy, victim, "manager")
    finished(began, victim)


def node_row(asked, node):
    return next(row for row in engine(asked).get("/nodes") if row["Description"]["Hostname"] == f"{PREFIX}{node}")


def set_role(asked, node, role):
    def attempt():
        row = node_row(asked, node)
        row["Spec"]["Role"] = role
        status, answer = engine(asked, 25).call(
            "POST", f"/nodes/{row['ID']}/update?version={row['Version']['Index']}", row["Spec"])
        return "" if status == 200 else str(answer)
    wait_until(20, f"node {node} a {role}", lambda: tolerant(attempt))


def flipped_in_log():
    victim, began = killed("a bit flips in the write-ahead log")
    frame = raft_files.flip_in_log(os.path.join(data_of(victim), "raft.db-wal"))
    refuses_its_log(victim, began, f"frame {frame} of {data_of(victim)}/raft.db-wal is damaged")


def flipped_in_entry():
    victim, began = killed("a bit flips in an entry")
    # A start moves the write-ahead log into the database.
    playground("start", victim)
    all_well()
    playground("kill", victim)
    index = raft_files.flip_in_entry(os.path.join(data_of(victim), "raft.db"))
    refuses_its_log(victim, began, f"raft log on disk: entry {index} does not open with its key")


def set_snapshot_interval(entries):
    def attempt():
        cluster = engine(1).get("/swarm")
        cluster["Spec"]["Raft"]["SnapshotInterval"] = entries
        status, answer = engine(1).call("POST", f"/swarm/update?version={cluster['Version']['Index']}", cluster["Spec"])
        return "" if status == 200 else str(answer)
    wait_until(20, "another snapshot interval", lambda: tolerant(attempt))


def half_written_snapshot():
    victim = a_follower()
    began = case(victim, "killed in the middle of a snapshot")
    fault(victim, "hang snapshots")
    set_snapshot_interval(20)
    wait_until(30, "an unfinished snapshot",
               lambda: "" if raft_files.unfinished_snapshots(data_of(victim)) else "there is none")
    playground("kill", victim)
    heal(victim)
    left = raft_files.unfinished_snapshots(data_of(victim))
    if not left:
        sys.exit("FAIL: the kill left no unfinished snapshot, so this tests nothing")
    playground("start", victim)
    if any(os.path.exists(one) for one in left):
        sys.exit(f"FAIL: {left} is still there")
    wait_until(30, "a snapshot", lambda: "" if raft_files.snapshots(data_of(victim)) else "there is none")
    finished(began, victim)


def truncated_snapshot():
    victim, began = killed("the snapshot is cut short")
    newest = raft_files.snapshots(data_of(victim))[-1]
    os.truncate(newest, os.path.getsize(newest) // 2)
    refuses_its_log(victim, began, f"of the snapshot file {newest} is cut short")


# --- the whole ------------------------------------------------------------------------------


def processes():
    return {node: Reality(node).running() for node in NODES}


def complaint_of_tasks():
    tasks = [task for task in engine().get("/tasks") if task["Status"]["State"] == "running"]
    return "" if len(tasks) == REPLICAS else f"{len(tasks)} of {REPLICAS} run"


def held_against_the_book():
    for node in NODES:
        there = {service["Spec"]["Name"] for service in engine(node, 25).get("/services")}
        lost = [name for name in writer.acknowledged if name not in there]
        made = [name for name, _, _ in writer.refused if name in there]
        if lost or made:
            sys.exit(f"FAIL: node {node}: acknowledged and not there: {lost[:5]}, refused and there: {made[:5]}")
    if writer.refused:
        sys.exit(f"FAIL: refused, though there always was a majority: {writer.refused[:3]}")
    print(f"{len(writer.acknowledged)} acknowledged and there on each manager, {len(writer.unknown)} unanswered")


def begin_case(node):
    TROUBLE_LOG[node] = os.path.getsize(os.path.join(folder(node), "skepd.log"))


def kept_by_one(book, possible):
    """What one manager acknowledged is there; of what it did not answer anything may be."""
    def check():
        there = {service["Spec"]["Name"] for service in engine(1).get("/services")} - {"web"}
        if not set(book) <= there <= set(book) | set(possible):
            sys.exit(f"FAIL: acknowledged {book}, unanswered {possible}, and there are {there}")
        return ""
    wait_until(BACK_S, "the only manager's services", lambda: tolerant(check))


def alone():
    create_web()
    before = Reality(1).running()
    book, possible = [], []

    def write():
        name = f"alone{len(book) + len(possible)}"
        try:
            status, answer = engine(1, 25).call("POST", "/services/create", service_spec(name, 0))
        except Lost as lost:
            possible.append(name)
            return str(lost)
        if status != 201:
            sys.exit(f"FAIL: create {name}: {status} {answer}")
        book.append(name)
        return ""

    print("the only manager: one flush fails", flush=True)
    begin_case(1)
    write()
    fault(1, "eio raft.db-wal")
    if not write():
        sys.exit("FAIL: a write whose flush failed was acknowledged")
    wait_until(BACK_S, "its return", lambda: said(1, "the raft log was read again and is whole"))
    wait_until(BACK_S, "a write", write)
    kept_by_one(book, possible)

    print("the only manager: a flush hangs", flush=True)
    begin_case(1)
    fault(1, "hang raft.db")
    late = threading.Thread(target=write)
    late.start()
    wait_until(10, "its state", info_says(1, "active", "the disk of this manager does not answer"))
    heal(1)
    late.join(30)
    wait_until(10, "a write", write)
    kept_by_one(book, possible)

    print("the only manager: a bit flips in its log, and back", flush=True)
    playground("kill", 1)
    log = os.path.join(data_of(1), "raft.db-wal")
    frame = raft_files.flip_in_log(log)
    begin_case(1)
    playground("start", 1)
    wait_until(10, "its state", info_says(1, "error", f"frame {frame} of {log} is damaged", "restore a snapshot"))
    if Reality(1).running() != before:
        sys.exit("FAIL: a manager without its log did not leave its containers alone")
    playground("kill", 1)
    raft_files.flip_in_log(log)
    playground("start", 1)
    wait_until(BACK_S, "a write", write)
    kept_by_one(book, possible)
    if Reality(1).running() != before:
        sys.exit(f"FAIL: the containers were {before} and are {Reality(1).running()}")
    for name in engine(1).get("/services"):
        engine(1).call("DELETE", f"/services/{name['ID']}")
    print(f"alone: ok, {len(book)} acknowledged and there, {len(possible)} unanswered")


def create_web():
    status, answer = engine().call("POST", "/services/create", service_spec("web", REPLICAS))
    if status != 201:
        sys.exit(f"FAIL: create web: {status} {answer}")
    wait_until(60, "its replicas", complaint_of_tasks)


def main():
    create_web()
    all_well()
    before = processes()
    writer.start()
    failed_flush(a_follower(), "follower")
    failed_flush(leader(), "leader")
    failing_disk()
    hanging_flush()
    torn_tail()
    flipped_in_log()
    flipped_in_entry()
    half_written_snapshot()
    truncated_snapshot()
    writer.over.set()
    writer.join(60)
    held_against_the_book()
    if processes() != before:
        sys.exit(f"FAIL: the containers were {before} and are {processes()}")
    print("disk_faults: ok")


if __name__ == "__main__":
    alone() if sys.argv[1:] == ["alone"] else main()
