"""The structure of an object, the fastest exact method for it, and the general search where that method does not apply.

`linearizable` and the checkers of single structures share this table. A structure is known by the requested model, or by the names of its operations;
`add` and `read` are a counter where the reads are numbers and a set where they are lists.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from tribulation.histories import History
from tribulation.histories.model.columns import ABSENT, Int64

from ...base.budget import Meter
from ...base.options import choice, whole
from ...base.result import Anomaly, Verdict
from ...base.wording import on_key
from ...models.model import Model
from ...models.named import MutexModel, SequenceModel
from ...models.operation_names import ACQUIRES, COUNTER, LEAST_FIRST, LIST, LOCK, PRIORITY_QUEUE, QUEUE, SET, STACK
from ...models.structures import (
    CounterModel,
    ElementModel,
    GreatestFirstModel,
    LeastFirstModel,
    QueueModel,
    SetModel,
    StackModel,
    TokenLockModel,
)
from .fallback import Judged, judge_by_search
from .parts.finding import Doubt, Finding, Strange, Unsuitable
from .parts.strange import strange
from .parts.view import View

LEVEL = "linearizable"
Options = Mapping[str, Any]

INITIAL = whole("initial", 0, "the sum of counters at the beginning", shared=True)
PRIORITY = choice("priority", "max", ["min"], "which element leaves a priority queue first", shared=True)


@dataclass(frozen=True, slots=True)
class Structure:
    """`check` returns a finding or None, or raises `Unsuitable` or `Doubt`; `order` returns a legal order of the places of a valid object."""

    name: str
    names: frozenset[str]
    check: Callable[[View, Options], Finding | None]
    order: Callable[[View, Options], Int64]
    model: Callable[[View, Options], Model]


def _later(module: str, name: str) -> Callable[..., Any]:
    """Import a function when it is needed: most histories have objects of one kind, and importing all modules takes longer than checking a small one."""
    found: Callable[..., Any] = getattr(import_module(f".{module}", __package__), name)
    return found


def _initial_of(options: Options) -> int:
    found: int = _later("objects.counter", "initial_of")(options)
    return found


def _least(options: Options) -> bool:
    return options.get("priority") == "min"


def _priorities(view: View, options: Options) -> Model:
    least = _least(options) or bool(view.names() & LEAST_FIRST)
    return LeastFirstModel() if least else GreatestFirstModel()


def _set_model(view: View, options: Options) -> Model:
    alone = not view.called("read").any() and not (view.argument != view.argument[0]).any()
    return ElementModel() if alone else SetModel()


STRUCTURES: dict[str, Structure] = {
    made.name: made
    for made in (
        Structure(
            "queue",
            QUEUE,
            lambda v, o: _later("containers.queue", "check_queue")(v),
            lambda v, o: _later("containers.queue", "queue_order")(v),
            lambda v, o: QueueModel(),
        ),
        Structure(
            "stack",
            STACK,
            lambda v, o: _later("containers.stack", "check_stack")(v),
            lambda v, o: _later("containers.stack", "stack_order")(v),
            lambda v, o: StackModel(),
        ),
        Structure(
            "priority-queue",
            PRIORITY_QUEUE,
            lambda v, o: _later("containers.priority_queue", "check_priority_queue")(v, _least(o)),
            lambda v, o: _later("containers.priority_queue", "priority_queue_order")(v, _least(o)),
            _priorities,
        ),
        Structure(
            "counter",
            COUNTER,
            lambda v, o: _later("objects.counter", "check_counter")(v, _initial_of(o)),
            lambda v, o: _later("objects.counter", "counter_order")(v, _initial_of(o)),
            lambda v, o: CounterModel(_initial_of(o)),
        ),
        Structure(
            "set",
            SET,
            lambda v, o: _later("objects.sets", "check_set")(v),
            lambda v, o: _later("objects.sets", "set_order")(v),
            _set_model,
        ),
        Structure(
            "mutex",
            LOCK,
            lambda v, o: _later("objects.mutex", "check_mutex")(v),
            lambda v, o: _later("objects.mutex", "mutex_order")(v),
            lambda v, o: MutexModel(),
        ),
        Structure(
            "fenced-mutex",
            LOCK,
            lambda v, o: _later("objects.fencing", "check_fencing")(v),
            lambda v, o: _later("objects.fencing", "fencing_order")(v),
            lambda v, o: TokenLockModel(),
        ),
        Structure(
            "list",
            LIST,
            lambda v, o: _later("objects.append_list", "check_append_list")(v),
            lambda v, o: _later("objects.append_list", "append_list_order")(v),
            lambda v, o: SequenceModel(),
        ),
        Structure(
            "text",
            LIST,
            lambda v, o: _later("objects.append_text", "check_append_text")(v),
            lambda v, o: _later("objects.append_text", "append_text_order")(v),
            lambda v, o: SequenceModel(""),
        ),
    )
}

OTHER_NAMES = {
    "fifo-queue": "queue",
    "lifo-stack": "stack",
    "pqueue": "priority-queue",
    "lock": "mutex",
    "fencing": "fenced-mutex",
    "token-lock": "fenced-mutex",
    "append-list": "list",
    "g-set": "set",
}


def structure_named(model: object) -> Structure | None:
    """Return the structure that a model's name means, None if it is none of these."""
    return STRUCTURES.get(OTHER_NAMES.get(str(model), str(model)))


def structure_of(view: View) -> Structure | None:
    """Return the structure of these operations, by their names and by what reads returned; None when they belong to none."""
    names = view.names()
    for name in ("queue", "stack", "mutex"):
        if names <= STRUCTURES[name].names:
            return STRUCTURES["fenced-mutex"] if name == "mutex" and _has_tokens(view) else STRUCTURES[name]
    if "insert" in names and names <= PRIORITY_QUEUE:
        return STRUCTURES["priority-queue"]
    lists = bool((view.columns.result_list[view.rows] != ABSENT).any())
    if names <= SET and names & {"add", "remove"}:
        numbers = "read" in names and names <= COUNTER and not lists and _reads_numbers(view)
        return STRUCTURES["counter" if numbers else "set"]
    if names <= COUNTER and names - {"read"}:
        return STRUCTURES["counter"]
    if "append" not in names or not names <= LIST:
        return None
    return STRUCTURES["list"] if lists else text_of(view)


def text_of(view: View) -> Structure | None:
    """Return the structure `text` where reads returned texts."""
    return STRUCTURES["text"] if _later("objects.append_text", "reads_texts")(view) else None


def _reads_numbers(view: View) -> bool:
    reads = np.flatnonzero(view.called("read") & view.ok)
    return bool(len(reads)) and type(view.value(int(view.result[reads[0]]))) is int


def _has_tokens(view: View) -> bool:
    acquired = np.flatnonzero(view.called(*ACQUIRES) & view.ok)
    return bool(len(acquired)) and bool(
        all(type(view.value(int(view.result[place]))) is int for place in acquired[:8])
        and (view.result[acquired] != view.argument[acquired]).all()
    )


def objects(history: History) -> Iterator[tuple[tuple[str | None, Hashable], View]]:
    """Return the objects of a history: operations by workload and key, those of level `linearizable` or of none."""
    columns = history.columns
    levels = [code for code, name in enumerate(columns.level_names) if name in (None, LEVEL)]
    rows = np.flatnonzero(np.isin(columns.level, levels))
    if not len(rows):
        return
    code = columns.workload[rows].astype(np.int64) << 32 | (columns.key[rows].astype(np.int64) + 1)
    if not (code != code[0]).any():
        parts = [rows]
    else:
        order = np.argsort(code, kind="stable")
        rows = rows[order]
        parts = np.split(rows, np.flatnonzero(np.diff(code[order])) + 1)
    for part in parts:
        key = int(columns.key[part[0]])
        name = columns.workload_names[columns.workload[part[0]]], None if key == ABSENT else columns.keys[key]
        yield name, View(columns, part, history.operation)


def judge(view: View, structure: Structure, key: Hashable, meter: Meter, options: Options | None = None) -> Judged:
    """Return the verdict on one object."""
    options = options or {}
    wrong = strange(view, structure.name)
    if wrong is not None:
        return Judged(Verdict.UNKNOWN, structure.name, len(view), reason=wrong)
    try:
        finding = structure.check(view, options)
    except Strange as why:
        return Judged(Verdict.UNKNOWN, structure.name, len(view), reason=str(why))
    except Unsuitable as why:
        if why.parts:
            return _apart(view, why, structure, key, meter, options)
        return _search(view, structure, key, meter, options)
    except Doubt as doubt:
        return _resolve(view, doubt, structure, key, meter, options)
    if finding is None:
        return Judged(Verdict.VALID, structure.name, len(view))
    return Judged(Verdict.INVALID, structure.name, len(view), anomaly_of(finding, view, key))


def anomaly_of(finding: Finding, view: View, key: Hashable) -> Anomaly:
    ops = tuple(sorted({int(view.start[row]) for row in finding.rows}))
    sentence = on_key(key) + finding.text
    return Anomaly(finding.kind, ops, sentence[0].upper() + sentence[1:], {"key": key, **finding.details})


def _search(view: View, structure: Structure, key: Hashable, meter: Meter, options: Options) -> Judged:
    return judge_by_search(view, structure.model(view, options), key, meter)


def _apart(view: View, why: Unsuitable, structure: Structure, key: Hashable, meter: Meter, options: Options) -> Judged:
    """Judge part by part: an illegal part makes the whole invalid; else an undecided one makes it unknown."""
    undecided: Judged | None = None
    for part in why.parts:
        judged = _search(view.only(part), structure, key, meter.part(meter.left_s), options)
        if judged.verdict is Verdict.INVALID:
            return replace(judged, operations=len(view))
        undecided = judged if judged.verdict is Verdict.UNKNOWN else undecided
    return Judged(Verdict.VALID, "search", len(view)) if undecided is None else replace(undecided, operations=len(view))


_SUSPECTS_AT_MOST = 400


def _resolve(view: View, doubt: Doubt, structure: Structure, key: Hashable, meter: Meter, options: Options) -> Judged:
    """Search the suspects, which alone may prove the violation; otherwise all operations."""
    if 0 < len(doubt.suspects) <= _SUSPECTS_AT_MOST:
        part = view.only(doubt.suspects)
        judged = _search(part, structure, key, meter.part(meter.left_s / 4), options)
        if judged.verdict is Verdict.INVALID:
            return Judged(Verdict.INVALID, "suspects", len(view), judged.anomaly)
    judged = _search(view, structure, key, meter, options)
    if judged.verdict is not Verdict.UNKNOWN:
        return judged
    reason = f"{doubt}, and {judged.reason}"
    return Judged(Verdict.UNKNOWN, judged.method, len(view), None, reason, judged.proven_to)
