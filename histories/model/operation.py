"""The vocabulary of a history: events as recorded, operations as checked.

A history is a list of *events* in the order in which one recorder wrote them. An operation is an `invoke` and, perhaps, its completion by the same
process. An event line of `history.jsonl`:

    {"index": 12, "time": 1034000000, "process": 3, "type": "invoke", "f": "write", "key": "k1", "value": 5,
     "workload": "register", "level": "linearizable", "node": "n2"}
    {"index": 15, "time": 1041000000, "process": 3, "type": "ok", "f": "write", "key": "k1", "value": 5, "log_index": 131, ...}

`time` is in ns since the run began, `index` counts lines. Completions of reads carry the value read; `error` names why an operation failed or is
unknown. Lines of process `"nemesis"` (type `info`) record what was done to the cluster; they are not operations.

Three outcomes: `ok` it happened; `fail` it did not (but `error: "mismatch"` on a cas means that it ran and saw another value); `info` unknown, so the
process that issued it is retired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

NEMESIS = "nemesis"
MISMATCH = "mismatch"
EMPTY = "empty"
FOUND_NOTHING = frozenset({EMPTY, "queue-empty", "exhausted"})
"""Errors of a removal that failed because there was nothing to remove: it ran, and observed that."""
REMOVALS = frozenset({"dequeue", "pop", "poll", "delete-min", "extract-min", "delete-max", "extract-max"})
"""Operations that remove a value."""


class Type(str, Enum):
    """Type of an event, and outcome of an operation."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history. `extra` keeps every field that is not named here, so that nothing recorded is lost."""

    index: int
    time_ns: int
    process: int | str
    type: Type
    f: str
    value: Any = None
    key: Any = None
    workload: str | None = None
    level: str | None = None
    node: str | None = None
    error: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """An invocation with its completion. Positions, not clocks, define precedence.

    `invoke_index` and `complete_index` are positions in the history (`complete_index` is None while unknown). `a` precedes `b` iff `a.complete_index
    < b.invoke_index`. `argument` is the invocation's value, `result` the completion's. An invocation without a completion is `INFO`.
    """

    process: int | str
    f: str
    type: Type
    invoke_index: int
    complete_index: int | None
    invoke_ns: int
    complete_ns: int | None
    argument: Any = None
    result: Any = None
    key: Any = None
    workload: str | None = None
    level: str | None = None
    node: str | None = None
    error: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
