"""Run on a host: programs write to a fault disk as known systems do, the power goes, and each looks for what it had been promised.

python3 crash_patterns.py DISK_PYZ FOLDER MODEL DRAWS    prints {pattern: [how many acknowledged steps were missing, by draw]}; -1: not whole
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO

SEGMENT = 4
STEPS = 100


def sqlite(journal: str, synchronous: str) -> Callable[[str], Iterator[int]]:
    def steps(folder: str) -> Iterator[int]:
        with closing(sqlite3.connect(f"{folder}/db", isolation_level=None)) as db:
            db.execute(f"PRAGMA journal_mode={journal}")
            db.execute(f"PRAGMA synchronous={synchronous}")
            db.execute("CREATE TABLE t (i INTEGER PRIMARY KEY, filler BLOB)")
            for number in range(STEPS):
                db.execute("INSERT INTO t VALUES (?, randomblob(1500))", (number,))
                yield number

    return steps


def sqlite_left(folder: str) -> set[int] | None:
    with closing(sqlite3.connect(f"{folder}/db")) as db:
        if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            return None
        return {row[0] for row in db.execute("SELECT i FROM t")}


def log(folder: str) -> Iterator[int]:
    """As etcd: segments of a preallocated size that are made under another name, renamed when they are begun, and synced with no directory ever."""
    os.mkdir(f"{folder}/wal")
    for number in range(STEPS):
        if number % SEGMENT == 0:
            made = os.open(f"{folder}/wal/next.tmp", os.O_CREAT | os.O_RDWR)
            os.ftruncate(made, 64 << 10)
            os.fsync(made)
            os.rename(f"{folder}/wal/next.tmp", f"{folder}/wal/{number:05}.wal")
        os.pwrite(made, b"%06d\n" % number * 100, number % SEGMENT * 700)
        os.fdatasync(made)
        yield number


def log_left(folder: str) -> set[int] | None:
    found = set()
    for name in sorted(os.listdir(f"{folder}/wal")):
        with open(f"{folder}/wal/{name}", "rb") as file:
            content = file.read()
        for at in range(0, SEGMENT * 700, 700):
            record = content[at : at + 700]
            if record[:7].strip(b"\0") and record == record[:7] * 100:
                found.add(int(record[:6]))
    return found


def replaced(*, careful: bool) -> Callable[[str], Iterator[int]]:
    """As PostgreSQL: a new version under another name, synced, renamed over the old one, and its directory synced; or without any sync."""

    def steps(folder: str) -> Iterator[int]:
        directory = os.open(folder, os.O_RDONLY)
        for number in range(STEPS):
            made = os.open(f"{folder}/state.tmp", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.write(made, b"%06d\n" % number * 2000)
            if careful:
                os.fsync(made)
            os.close(made)
            os.rename(f"{folder}/state.tmp", f"{folder}/state")
            if careful:
                os.fsync(directory)
            yield number

    return steps


def replaced_left(folder: str) -> set[int] | None:
    try:
        with open(f"{folder}/state", "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return set()
    if len(content) != 14_000 or content != content[:7] * 2000:
        return None
    return set(range(int(content[:6]) + 1))


PATTERNS: dict[str, tuple[Callable[[str], Iterator[int]], Callable[[str], set[int] | None]]] = {
    "sqlite": (sqlite("DELETE", "EXTRA"), sqlite_left),
    "sqlite-full": (sqlite("DELETE", "FULL"), sqlite_left),
    "sqlite-wal": (sqlite("WAL", "FULL"), sqlite_left),
    "log": (log, log_left),
    "replaced": (replaced(careful=True), replaced_left),
    "careless": (replaced(careful=False), replaced_left),
}


def missing(pattern: str, base: str, model: str, draw: int) -> int:
    """Of the steps that were acknowledged before the power went, how many are not there; -1 when what is there is not whole."""
    from tribulation_agent.fault_disk import control, daemon, mount

    def kill() -> None:
        os.kill(control.ask(state, {"do": "status"})["pid"], signal.SIGKILL)

    data, state = f"{base}/{pattern}-{draw}", f"{base}/{pattern}-{draw}.state"
    os.makedirs(data)
    assert daemon.serve(data, state, model) == 0
    writer, said = started(pattern, data)
    acknowledged = {int(said.readline()) for _ in range(random.Random(draw).randrange(1, 12))}
    control.ask(state, {"do": "lose_power", "id": "power.1", "draw": draw})
    kill()
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    said.close()
    assert daemon.serve(data, state) == 0
    left = PATTERNS[pattern][1](data)
    kill()
    mount.unmount(data)
    return -1 if left is None else len(acknowledged - left)


def started(pattern: str, data: str) -> tuple[int, IO[str]]:
    """A process that does its steps, and what it says of each when it is done."""
    read_end, write_end = os.pipe()
    writer = os.fork()
    if writer:
        os.close(write_end)
        return writer, os.fdopen(read_end)
    try:
        for number in PATTERNS[pattern][0](data):
            os.write(write_end, b"%d\n" % number)
    finally:
        os._exit(0)


def main(disk: str, base: str, model: str, draws: str) -> None:
    sys.path.insert(0, disk)
    found = {name: [missing(name, base, model, draw) for draw in range(int(draws))] for name in PATTERNS}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
