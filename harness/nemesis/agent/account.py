"""The host's own copy of the ledger: which faults of which run touched it, and since when. It tells whoever heals without the run's folder.

    {"at_ns": …, "phase": "on", "id": "cut-halves-7d4474.1", "kind": "cut", "run": "quickstart, seed 7", "by": "ada@laptop"}
    {"at_ns": …, "phase": "off", "id": "cut-halves-7d4474.1", "who": "harness"}

`at_ns` is wall time, of the harness where it is known: a fault may be what moves this host's clock. Appended and fsynced, `on` before anything is
done; a torn last line is dropped. All calls are made under the store's lock.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from typing import Any

from .store import Store

Json = dict[str, Any]
FILE = "ledger.jsonl"


def begin(store: Store, faults: Iterable[Json], run: Json, at_ns: int) -> None:
    """These are in force, or are about to be; those that are known to be are not told again."""
    known = {fault["id"] for fault in still_on(store)}
    _append(store, [{"at_ns": at_ns, "phase": "on", **fault, **run} for fault in faults if fault["id"] not in known])


def end_others(store: Store, faults: Iterable[Json], who: str, at_ns: int | None = None) -> None:
    """All but these have ended."""
    kept, at = {fault["id"] for fault in faults}, time.time_ns() if at_ns is None else at_ns
    ended = [fault["id"] for fault in still_on(store) if fault["id"] not in kept]
    _append(store, [{"at_ns": at, "phase": "off", "id": ident, "who": who} for ident in ended])


def still_on(store: Store) -> list[Json]:
    """The `on` lines without an `off`, oldest first."""
    on: dict[str, Json] = {}
    for line in _lines(store):
        if line.get("phase") == "on":
            on[line["id"]] = line
        else:
            on.pop(line.get("id", ""), None)
    return list(on.values())


def _lines(store: Store) -> list[Json]:
    try:
        with open(store.path(FILE)) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def _append(store: Store, lines: list[Json]) -> None:
    if not lines:
        return
    with open(store.path(FILE), "a+b") as file:
        # What was torn by a power loss stays unread, and does not spoil the line after it.
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.truncate(_end_of_last_line(file))
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _end_of_last_line(file: Any) -> int:
    file.seek(0)
    return int(file.read().rfind(b"\n")) + 1
