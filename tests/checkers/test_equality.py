"""Values are names: another name for each changes no verdict, on any path, also where Python calls two of the names equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, check, checker
from tribulation.checkers.base.budget import Meter
from tribulation.checkers.linearizability.search.problem import Problem, calls_of
from tribulation.checkers.linearizability.search.search import search
from tribulation.checkers.models.named import SequenceModel
from tribulation.checkers.models.registers import RegisterModel
from tribulation.checkers.models.structures import QueueModel, SetModel, StackModel
from tribulation.checkers.verify import verify_order, verify_witness
from tribulation.histories import Event, History, Type, parse

from . import random_histories
from .golden import transacted, workloads
from .structures.objects import cases as structures
from .transactions.stories import history as history_of

NAMES: list[Any] = [
    True,
    1,
    "1",
    0,
    False,
    "0",
    "True",
    1.5,
    "1.5",
    "",
    "null",
    "None",
    -1,
    "a",
    2**60,
    2.5,
    "nan",
    "z",
    7,
    "7",
]
NESTED: list[Any] = [*NAMES[:8], [1], [True], [], {"a": 1}, {"a": True}, [["a", 1]], {"a": None}, [None], *NAMES[8:]]


def renamed(value: Any, names: Mapping[int, Any]) -> Any:
    """Whole numbers get other names; lists and mappings keep their form."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return names.get(value, f"other {value}")
    return [renamed(item, names) for item in value] if isinstance(value, list | tuple) else value


def in_transactions(value: Any, names: Mapping[int, Any]) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return [[f, key, renamed(operand, names)] for f, key, operand in value]


def other_names(history: History, pool: list[Any], random: Random, rename: Callable[..., Any] = renamed) -> History:
    names: dict[int, Any] = dict(zip(range(-3, len(pool) - 3), random.sample(pool, len(pool)), strict=True))
    return History([replace(event, value=rename(event.value, names)) for event in history.events])


def judged(name: str, history: History, **more: Any) -> CheckResult:
    return checker(name).check(RunRecord(history, **more), Budget())


def alike(name: str, history: History, other: History, **more: Any) -> None:
    one, two = judged(name, history, **more), judged(name, other, **more)
    assert (one.verdict, sorted(a.kind for a in one.anomalies)) == (
        two.verdict,
        sorted(a.kind for a in two.anomalies),
    ), list(other.events)


REGISTERS = [random_histories.unique_register, random_histories.linked_register, random_histories.small_register]


@pytest.mark.parametrize("fill", REGISTERS)
@pytest.mark.parametrize("pool", [NAMES, NESTED], ids=["scalars", "nested"])
def test_registers_by_the_fast_path_and_by_search(fill, pool):
    verdicts = set()
    for seed in range(80):
        random = Random(f"{fill.__name__}/{seed}/names")
        history = random_histories.history(random, 9, 3, fill)
        other = other_names(history, pool, random)
        alike("linearizable", history, other, options={"exact": True})
        verdict = judged("linearizable", other, options={"exact": True}).verdict
        assert (verdict is Verdict.VALID) == _legal(other, RegisterModel())
        verdicts.add(verdict)
    assert {Verdict.VALID, Verdict.INVALID} <= verdicts


def _legal(history: History, model: Any) -> bool:
    meter = Meter(20, 2000)
    return bool(search(Problem(calls_of(history.operations(), model), model, meter), meter).legal)


@pytest.mark.parametrize(
    ("case", "model"),
    [("queue", QueueModel()), ("queue-again", QueueModel()), ("stack", StackModel()), ("set-all", SetModel())],
)
@pytest.mark.parametrize("pool", [NAMES, NESTED], ids=["scalars", "nested"])
def test_structures_by_the_fast_path_and_by_search(case, model, pool):
    for seed in range(40):
        random = Random(f"{case}/{seed}/names")
        history = structures(9)[case][1](random)
        # An `add` may answer true or false, which then is no element.
        names = [name for name in pool if not isinstance(name, bool)] if case == "set-all" else pool
        other = other_names(history, names, random)
        if pool is NAMES:  # where values are lists, a search answers instead, with a kind of its own
            alike("linearizable", history, other, options={"exact": True})
        assert judged("linearizable", other).verdict is judged("linearizable", history).verdict
        assert (judged("linearizable", other).verdict is Verdict.VALID) == _legal(other, model)


def test_sets_that_grow():
    kinds = set()
    for seed in range(120):
        random = Random(f"grow-only sets/{seed}/names")
        history = random_histories.history(random, 8, 3, random_histories.unique_set)
        # Only what is read without an add is a list: where a list is added, a search answers instead.
        other = _with_strangers(history)
        judgement = judged("linearizable", other)
        assert judgement.verdict is judged("linearizable", history).verdict, judgement
        assert (judgement.verdict is Verdict.VALID) == _legal(other, SetModel())
        kinds |= {anomaly.kind for anomaly in judgement.anomalies}
    assert "thin-air" in kinds


def _with_strangers(history: History) -> History:
    """Elements that no operation adds are lists in the reads that have them."""
    added = {event.value for event in history.events if event.f == "add"}
    return History(
        [
            replace(event, value=[item if item in added else [item] for item in event.value])
            if isinstance(event.value, list)
            else event
            for event in history.events
        ]
    )


def test_lists_that_grow():
    for seed in range(60):
        random = Random(f"lists/{seed}/names")
        history = random_histories.history(random, 8, 3, random_histories.appends)
        other = other_names(history, NAMES, random)
        alike("linearizable", history, other)
        assert (judged("linearizable", other).verdict is Verdict.VALID) == _legal(other, SequenceModel())


@pytest.mark.parametrize(("shop", "names"), [("sets", ("set", "set-full")), ("queues", ("total-queue",))])
def test_workloads(shop, names):
    for seed in range(60):
        record = workloads.record(shop, seed)
        other = other_names(record.history, NESTED[:8] + list(range(100, 160)), Random(f"{shop}/{seed}/names"))
        for name in names:
            if checker(name).applies(record):
                alike(name, record.history, other, phases=record.phases)


@pytest.mark.parametrize(
    ("name", "lists", "level"),
    [
        ("list-append", True, "serializable"),
        ("rw-register", False, "strict-serializable"),
        ("causal", False, "causal"),
        ("session-guarantees", True, "read-your-writes"),
    ],
)
def test_transactions(name, lists, level):
    for seed in range(60):
        history = history_of(transacted.bent(name, lists, seed))
        pool = [True, 1, "1", False, "0", *range(100, 300)]
        alike(
            name,
            history,
            other_names(history, pool, Random(f"{name}/{seed}/names"), in_transactions),
            options={"consistency": level},
        )


def _written(*values: Any) -> History:
    """Each is written, then the first is read at the end: legal only if the first and the last are the same value."""
    events: list[Event] = []
    for f, value in [*(("write", value) for value in values), ("read", values[0])]:
        at = len(events)
        events.append(Event(at, at, 0, Type.INVOKE, f, None if f == "read" else value))
        events.append(Event(at + 1, at + 1, 0, Type.OK, f, value))
    return History(events)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (True, 1, False),
        (1, True, False),
        (1, 1.0, True),
        (1, "1", False),
        ([1], [True], False),
        ([1], [1.0], True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, [["a", 1]], False),
        (False, 0, False),
        (0, 0.0, True),
    ],
)
def test_each_pair_of_values_is_distinguished_or_not_on_every_path(one, other, equal):
    expected = Verdict.VALID if equal else Verdict.INVALID
    history = _written(one, other)
    assert judged("linearizable", history).verdict is expected
    assert _legal(history, RegisterModel()) is equal
    assert (verify_order(history.operations(), [0, 2, 4], "register") is None) is equal
    assert (verify_witness(history.operations(), "register") is not None) is equal
    quiet = {"phases": {"quiet_end": 0}, "final_states": {"n1": {"index": 1, "digest": 1}}, "nodes": ("n1",)}
    reads = parse("p0 r1 | p1 r1")
    values = iter([one, other])
    two = History([replace(e, value=next(values) if e.type is Type.OK else None) for e in reads.events])
    found = check(RunRecord(two, **quiet), "convergence")["convergence"]  # type: ignore[arg-type]
    assert found.verdict is expected
