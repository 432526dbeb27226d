"""Models by name: the kind of object of a history, and the checkers that judge it.

    model = infer(history.columns)            # "cas-register", or None when the operations fit no single model
    history = prepared(history, model)        # keys inside the values are separated
    check(history, checkers_of(model))

The names are those that users of Jepsen, Knossos, Elle and Porcupine know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories import History
from tribulation.histories.model.columns import ABSENT, APPEND, CAS, OK, WRITE, Columns
from tribulation.histories.model.keyed import looks_keyed, split_keys
from tribulation.histories.model.rows import history_of_columns

from .models.operation_names import PRIORITY_QUEUE
from .registry import CHECKERS

_REGISTER = frozenset({"read", "write", "cas"})
_KEYED = frozenset({"get", "put", "cas", "delete", "append", *_REGISTER})
_TXN = frozenset({"txn"})


@dataclass(frozen=True, slots=True)
class ModelName:
    """`names` are the operations; `checkers` are those that judge it, as far as they exist. `keyed`: a value may be `[key, value]`."""

    title: str
    names: frozenset[str]
    checkers: tuple[str, ...] = ("linearizable",)
    keyed: bool = False


MODELS: dict[str, ModelName] = {
    "register": ModelName("one value: read, write", _REGISTER),
    "cas-register": ModelName("one value: read, write, cas [from, to]", _REGISTER),
    "kv": ModelName(
        "registers by key: read/get, write/put, cas; with the key in a field, or values [key, value]",
        _KEYED,
        keyed=True,
    ),
    "kv-append": ModelName("text by key: get, put, append", _KEYED, keyed=True),
    "mutex": ModelName("a lock: acquire, release", frozenset({"acquire", "release"})),
    "fenced-mutex": ModelName(
        "a lock that returns tokens: acquire, release",
        frozenset({"acquire", "release"}),
        ("linearizable", "fencing-tokens"),
    ),
    "queue": ModelName(
        "first in, first out: enqueue, dequeue, drain",
        frozenset({"enqueue", "dequeue", "drain"}),
    ),
    "unordered-queue": ModelName(
        "a queue without order: enqueue, dequeue, drain", frozenset({"enqueue", "dequeue", "drain"}), ("total-queue",)
    ),
    "stack": ModelName("last in, first out: push, pop", frozenset({"push", "pop"})),
    "priority-queue": ModelName("the greatest first: insert, poll; or the least: insert, delete-min", PRIORITY_QUEUE),
    "set": ModelName(
        "add, remove, contains, read of the whole",
        frozenset({"add", "remove", "contains", "read"}),
    ),
    "set-full": ModelName(
        "add, read of the whole; elements may appear late but not get lost", frozenset({"add", "read"}), ("set-full",)
    ),
    "counter": ModelName(
        "add, increment, decrement, read of the sum",
        frozenset({"add", "increment", "decrement", "inc", "dec", "read", "fetch-and-add", "add-and-get"}),
    ),
    "counter-bounds": ModelName(
        "add, read of a sum within the bounds of possible sums",
        frozenset({"add", "read"}),
        ("counter-bounds",),
    ),
    "list": ModelName("append, read of the whole", frozenset({"append", "read", "get", "write", "put"})),
    "list-append": ModelName("transactions: r, append", _TXN, ("list-append",)),
    "rw-register": ModelName("transactions: r, w", _TXN, ("rw-register",)),
    "multi-register": ModelName("transactions on few registers, by search: r, w", _TXN),
    "bank": ModelName("transfer, read of all balances", frozenset({"transfer", "read"}), ("bank",)),
    "long-fork": ModelName("transactions: r, w; each key is written once", _TXN, ("long-fork",)),
    "write-skew": ModelName("transactions: r, w", _TXN, ("write-skew",)),
    "causal-reverse": ModelName("transactions: r, w", _TXN, ("causal-reverse",)),
    "unique-ids": ModelName("generate", frozenset({"generate"}), ("unique-ids",)),
    "kafka": ModelName(
        "logs: send, poll, assign, subscribe",
        frozenset({"send", "poll", "txn", "assign", "subscribe", "crash"}),
        ("kafka",),
    ),
}

ALIASES = {
    "rw-register-txn": "rw-register",
    "list-append-txn": "list-append",
    "fifo-queue": "queue",
    "lock": "mutex",
    "g-set": "set",
    "pqueue": "priority-queue",
}


def model_named(name: str) -> str | None:
    """Return the model's own name; None for an unknown one."""
    found = ALIASES.get(name, name)
    return found if found in MODELS else None


def checkers_of(model: str) -> list[str]:
    """Return the checkers that judge histories of this model."""
    return [name for name in MODELS[model].checkers if name in CHECKERS]


def prepared(history: History, model: str | None) -> History:
    """Return the history in the form that checkers of the model need: keys separate from values. Raises `HistoryError` where it is inconsistent."""
    if model is not None and not MODELS[model].keyed:
        return history
    columns = history.columns
    said = model is not None and len(columns) > 0 and not (columns.key != ABSENT).any()
    if not looks_keyed(columns) and not (said and (columns.argument_list != ABSENT).all()):
        return history
    return history_of_columns(split_keys(columns, history.source), history.source, history.torn)


def infer(columns: Columns) -> str | None:
    """Return the model that fits names and values of the operations; None when none does."""
    names = columns.names()
    if not names:
        return None
    if names == {"txn"}:
        return _transactions(columns)
    if names <= _KEYED and names != {"append"} and not (names == {"read"} or _adds_lists(columns, names)):
        return _registers(columns, names)
    if "add" in names and names <= MODELS["counter"].names | MODELS["set"].names:
        return "set" if _reads_lists(columns) or names & {"remove", "contains"} else "counter"
    for model in ("mutex", "queue", "stack", "bank", "unique-ids", "counter", "set", "list", "priority-queue"):
        if names <= MODELS[model].names:
            return model
    return None


def _registers(columns: Columns, names: set[str]) -> str:
    if "append" in names:
        return "kv-append"
    if (columns.key != ABSENT).any() or looks_keyed(columns) or names & {"get", "put"}:
        return "kv"
    return "cas-register" if "cas" in names else "register"


def _transactions(columns: Columns) -> str | None:
    if columns.txns is None:
        return None
    kinds = set(np.unique(columns.txns.kind).tolist())
    if APPEND in kinds:
        return "list-append" if kinds.isdisjoint({WRITE, CAS}) else None
    if CAS in kinds:
        return None
    # With reads alone, the returned values determine the kind.
    return "list-append" if WRITE not in kinds and (columns.txns.list != ABSENT).any() else "rw-register"


def _reads_lists(columns: Columns) -> bool:
    """Return whether reads returned lists, or nothing returned at all: a set that was never read is still a set."""
    reads = _rows(columns, "read")
    lists = columns.result_list[reads] != ABSENT
    return bool(lists.any()) or not len(lists)


def _adds_lists(columns: Columns, names: set[str]) -> bool:
    """Return whether reads return a list that grows by appending, not a text."""
    return "append" in names and bool((columns.result_list[_rows(columns, "read", "get")] != ABSENT).any())


def _rows(columns: Columns, *names: str) -> Any:
    codes = [code for code, name in enumerate(columns.f_names) if name in names]
    return np.flatnonzero(np.isin(columns.f, codes) & (columns.type == OK))
