"""Derive the anomaly of a run again, from the witness's operations alone, by trying every order. Standard library only; it shares no code with the
checkers.

    python systems/derive.py RUN        exit code 0: the operations of the witness contradict what was promised; 1: they do not

Of the run's folder it reads which operations the witness names (`verdict.json`) and those operations (`history.jsonl`).
That an element of a queue never came out is seen in no few operations: there it reads all operations on that queue, and counts.
That an operation was answered on a side without a quorum is seen with the partitions of that time (`ledger.jsonl`) and the voters (`run.json`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

Json = dict[str, Any]
MOST = 8
"""Operations whose orders are tried."""
CHANGES = ("append", "w")
EVERY = range(2**63)


def operations(lines: Iterator[str], wanted: Container[int]) -> list[Json]:
    """The operations whose invocations have these indices, with their completions."""
    found: dict[Any, Json] = {}
    done: list[Json] = []
    for line in map(json.loads, lines):
        if line["type"] == "invoke" and line["index"] in wanted:
            began = {"begins": line["index"], "began_ns": line["time"], "node": line.get("node")}
            found[line["process"]] = {**began, "ends": None, "type": "info", **_shared(line)}
        elif line["process"] in found and line["type"] != "invoke":
            op = found.pop(line["process"])
            end = {"ends": line["index"], "ended_ns": line["time"], "type": line["type"], "returned": line.get("value")}
            # A client that follows a leader may be answered by another node than it asked first.
            done.append({**op, **end, "node": line.get("served_by") or op["node"]})
    return sorted([*done, *found.values()], key=lambda op: op["begins"])


def _shared(line: Json) -> Json:
    shared = {name: line.get(name) for name in ("key", "value", "process")}
    return {"f": line["f"], **shared, "returned": None}


def contradiction(ops: list[Json]) -> str | None:
    """Return why these operations cannot have happened as they were answered; None when they can."""
    if any(op["f"] == "txn" for op in ops):
        return _no_serial_order(ops)
    if any(op["f"] == "insert" for op in ops):
        return _both_inserted(ops)
    if any(op["f"] == "add" for op in ops):
        return _missing_elements(ops)
    if any(op["f"] == "acquire" for op in ops):
        return _two_holders(ops)
    return _no_linear_order(ops)


def _no_serial_order(ops: list[Json]) -> str | None:
    """Elements are unique and lists only grow, so a read has those elements that stand before it and none of those after it. Registers are written once."""
    txns = [op["returned"] for op in ops if op["type"] == "ok"]
    if forked := _forked(txns):
        return f"two committed transactions read {forked} as lists of which neither begins with the other"
    if len(txns) < 2 or len(txns) > MOST or any(_is_serial(order) for order in permutations(txns)):
        return None
    return f"none of the orders of {len(txns)} committed transactions explains their reads"


def _forked(txns: list[Any]) -> str | None:
    """The key of two such reads: a list that is only appended to has one history."""
    reads = sorted(
        ([key, seen or []] for txn in txns for f, key, seen in txn if f == "r" and not isinstance(seen, int)),
        key=lambda read: len(read[1]),
    )
    pairs = ((key, one, other) for at, (key, one) in enumerate(reads) for k, other in reads[at:] if k == key)
    return next((key for key, one, other in pairs if other[: len(one)] != one), None)


def _is_serial(order: tuple[Any, ...]) -> bool:
    for place, txn in enumerate(order):
        for f, key, seen in txn:
            if f == "r":
                before = [v for other in order[:place] for g, k, v in other if g in CHANGES and k == key]
                after = [v for other in order[place + 1 :] for g, k, v in other if g in CHANGES and k == key]
                if not set(before) <= _elements(seen) or set(after) & _elements(seen):
                    return False
    return True


def _elements(seen: Any) -> set[Any]:
    return set(seen) if isinstance(seen, list) else set() if seen is None else {seen}


def _both_inserted(ops: list[Json]) -> str | None:
    """An insert of a key is done only where no row of that key is there, and nothing removes rows: in every order of two that were done the later one
    finds the earlier one's row.
    """
    done: set[str] = set()
    for op in (op for op in ops if op["f"] == "insert" and op["type"] == "ok"):
        if (key := op["value"][0]) in done:
            return f"two inserts of {key} were done, each of which looked for rows of {key} and found none"
        done.add(key)
    return None


def _missing_elements(ops: list[Json]) -> str | None:
    """An element whose add was acknowledged before a read began is in that read: nothing removes elements."""
    for read in (op for op in ops if op["f"] == "read" and op["type"] == "ok"):
        missing = [
            op["value"]
            for op in ops
            if op["f"] == "add"
            and op["type"] == "ok"
            and op["ends"] < read["begins"]
            and op["key"] == read["key"]
            and op["value"] not in (read["returned"] or ())
        ]
        if missing:
            return f"{missing} had been acknowledged before the read at index {read['begins']} began, which lacks them"
    return None


def never_came_out(ops: list[Json], history: list[Json]) -> str | None:
    """Elements were acknowledged before a dequeue began that found the queue empty, and more of them never came out than dequeues without an answer
    can have taken.
    """
    gone = [op for op in ops if op["f"] == "enqueue" and op["type"] == "ok"]
    empty = [op for op in ops if op["f"] == "dequeue" and op["type"] == "ok" and op["returned"] is None]
    if not gone or not empty or gone[0]["ends"] > empty[-1]["begins"]:
        return None
    key, begins, ends = gone[0]["key"], empty[-1]["begins"], empty[-1]["ends"]
    dequeues = [op for op in history if op["f"] == "dequeue" and op["key"] == key]
    out = {op["returned"] for op in dequeues if op["type"] == "ok"}
    puts = [op for op in history if op["f"] == "enqueue" and op["key"] == key and op["type"] == "ok"]
    missing = [op["value"] for op in puts if op["ends"] < begins and op["value"] not in out]
    unanswered = sum(op["type"] == "info" and op["begins"] < ends for op in dequeues)
    if gone[0]["value"] in out or len(missing) <= unanswered:
        return None
    return f"{len(missing)} elements of {key} were acknowledged before the dequeue at index {begins} found it empty, and never came out; {unanswered} dequeues have no answer"


def _two_holders(ops: list[Json]) -> str | None:
    """A process holds a lock at least from the answer to its acquire until it begins to release it; without a release here, only at that answer."""
    held = []
    for taken in (op for op in ops if op["f"] == "acquire" and op["type"] == "ok"):
        given = [op["begins"] for op in ops if op["f"] == "release" and op["process"] == taken["process"]]
        until = min((at for at in given if at > taken["ends"]), default=taken["ends"])
        held.append((taken["ends"], until, taken["process"], taken["key"]))
    for (begun, ended, one, key), (begins, ends, other, same) in permutations(held, 2):
        if key == same and one != other and begun <= begins <= ended:
            return f"process {one} held {key} from index {begun} to {ended} at least, and process {other} from {begins} to {ends}"
    return None


def _no_linear_order(ops: list[Json]) -> str | None:
    """Written values are unique, and the key had been written before it was first read. Every order that keeps to real time is tried."""
    done = [op for op in ops if op["type"] == "ok"]
    if len(done) < len(ops) or len(done) > MOST or any(_is_linear(order) for order in permutations(done)):
        return None
    return (
        f"none of the orders of {len(done)} operations on {done[0]['key']} keeps to real time and explains the answers"
    )


def _is_linear(order: tuple[Json, ...]) -> bool:
    latest, state, known = -1, None, False
    for op in order:
        if op["ends"] < latest:
            return False
        latest = max(latest, op["begins"])
        sees = op["value"][0] if op["f"] == "cas" else op["returned"] if op["f"] == "read" else None
        if op["f"] != "write":
            if known and state != sees:
                return False
            state, known = sees, True
        if op["f"] != "read":
            state, known = (op["value"][1] if op["f"] == "cas" else op["value"]), True
    return True


def without_quorum(op: Json, ledger: list[Json], voters: dict[str, int]) -> str | None:
    """An acknowledged operation began and ended while verified partitions left its node no exchange with nodes of more than half of the votes."""
    if op["type"] != "ok":
        return None
    cut: set[tuple[str, str]] = set()
    for fault in (line for line in ledger if line.get("kind") == "cut"):
        own = {line["phase"]: line for line in ledger if line.get("id") == fault["id"]}
        in_force = own.get("verified", {}).get("verified") and own["injected"]["time"] <= op["began_ns"]
        if in_force and op["ended_ns"] <= own.get("healing", {"time": op["ended_ns"]})["time"]:
            cut |= {(a, b) for a, b in fault["what"]["edges"]}
    side, size = {op["node"]}, 0
    while size < len(side):
        size = len(side)
        side |= {b for a in side for b in voters if (a, b) not in cut and (b, a) not in cut}
    votes = sum(weight for node, weight in voters.items() if node in side)
    if 2 * votes > sum(voters.values()):
        return None
    return f"it was answered by {op['node']} while partitions left it {votes} of {sum(voters.values())} votes"


def witnesses(verdict: Json) -> Iterator[tuple[str, list[int]]]:
    for name, result in verdict["checkers"].items():
        for anomaly in result["anomalies"]:
            yield f"{name}: {anomaly['kind']}", anomaly["ops"]


def main(run: str) -> int:
    folder = Path(run)
    found = list(witnesses(json.loads((folder / "verdict.json").read_text())))
    voters = json.loads((folder / "run.json").read_text()).get("voters") or {}
    ledger = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    derived = 0
    for name, wanted in found:
        with (folder / "history.jsonl").open() as lines:
            ops = operations(lines, set(wanted))
        alone = name.startswith("quorum: ") and len(ops) == 1
        why = without_quorum(ops[0], ledger, voters) if alone else contradiction(ops)
        if any(op["f"] == "enqueue" for op in ops):
            with (folder / "history.jsonl").open() as lines:
                why = never_came_out(ops, operations(lines, EVERY))
        derived += why is not None
        print(f"{name} {wanted}: {why or 'not derived'}")
    print(f"{derived} of {len(found)} derived again")
    return 0 if derived else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
