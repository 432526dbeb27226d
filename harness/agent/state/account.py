"""The host's own copy of the ledger: which faults of which run touched it, and since when. It informs a heal without the run's folder.

    {"at_ns": …, "phase": "on", "id": "cut-halves-7d4474.1", "kind": "cut", "run": "quickstart, seed 7", "by": "ada@laptop"}
    `{"at_ns": …, "phase": "off", "id": "cut-halves-7d4474.1", "who": "harness"}`

`at_ns` is wall time, of the harness where it is known: a fault may be what moves this host's clock. Appended and fsynced, `on` before anything is
done. No undo relies on it (`store` is for that): damaged lines are left out, and an end that cannot be written does not stop a heal. All calls are made
under the store's lock.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from .store import Store

Json = dict[str, Any]
FILE = "ledger.jsonl"


def begin(store: Store, faults: Iterable[Json], run: Json, at_ns: int) -> None:
    """Record faults that are active, or about to be; those already recorded are left out."""
    known = {fault["id"] for fault in still_on(store)}
    store.append(
        FILE, [{"at_ns": at_ns, "phase": "on", **fault, **run} for fault in faults if fault["id"] not in known]
    )


def end_others(store: Store, faults: Iterable[Json], who: str, at_ns: int | None = None) -> None:
    """Record that all faults but these have ended; what a full disk does not take is lost."""
    kept, at = {fault["id"] for fault in faults}, time.time_ns() if at_ns is None else at_ns
    ended = [fault["id"] for fault in still_on(store) if fault["id"] not in kept]
    with contextlib.suppress(OSError):
        store.append(FILE, [{"at_ns": at, "phase": "off", "id": ident, "who": who} for ident in ended])


def still_on(store: Store) -> list[Json]:
    """Return the `on` lines without an `off`, oldest first."""
    on: dict[str, Json] = {}
    for line in _lines(store):
        if line["phase"] == "on":
            on[line["id"]] = line
        else:
            on.pop(line["id"], None)
    return list(on.values())


def _lines(store: Store) -> Iterator[Json]:
    return (
        line for line in store.lines(FILE) if {"id", "phase", "at_ns"} <= line.keys() and isinstance(line["id"], str)
    )
