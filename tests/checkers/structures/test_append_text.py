"""Texts that grow by appends: as an exhaustive search says, with parts written once and more than once, and quickly where violated."""

from __future__ import annotations

from random import Random
from time import thread_time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checkers.oracle import WRONG, linearizable
from tests.checkers.random_histories import history
from tests.full import examples
from tribulation.checkers import Verdict, check
from tribulation.checkers.linearizability.structures.dispatch import STRUCTURES
from tribulation.checkers.linearizability.structures.parts.finding import Unsuitable
from tribulation.checkers.linearizability.structures.parts.view import View
from tribulation.checkers.verify import verify_order
from tribulation.histories import Event, History, Type


def text(state, op):
    state = state or ""
    if op.f == "append":
        return state + op.argument
    if op.f == "put":
        return op.argument
    return state if op.type is Type.INFO or state == (op.result or "") else WRONG


def filler(parts: list[str], puts: float, seen: list[str]):
    def fill(random: Random, number: int):
        kind = random.choices([Type.OK, Type.INFO, Type.FAIL], [8, 1, 1])[0]
        if random.random() < 0.5:
            result = random.choice([*seen, seen[-1], seen[-1] + random.choice(parts)])
            return "get", None, result or None, kind, None
        part = random.choice(parts) if parts[0] == "a;" else parts[number % len(parts)]
        if random.random() < puts:
            seen.append(part)
            return "put", part, part, kind, None
        seen.append(seen[-1] + part)
        return "append", part, part, kind, None

    return fill


UNIQUE = [f"{name};" for name in "hijklmnopqrs"]
FEW = ["a;", "b;", "c;", "d;", "e;"]
NOT_APART = ["a;", "ab", "a", "bc;"]


@given(st.integers(0, 2**32), st.sampled_from([UNIQUE, FEW, FEW, NOT_APART]), st.sampled_from([0.0, 0.2, 0.5]))
@settings(max_examples=examples(1500))
def test_as_every_order_says(seed, parts, puts):
    recorded = history(Random(seed), 8, 3, filler(parts, puts, [""]))
    legal = linearizable(recorded.operations(), text)
    columns = recorded.columns
    view = View(columns, np.arange(len(columns)))
    try:
        found = STRUCTURES["text"].check(view, {})
    except Unsuitable:
        assert parts is not UNIQUE or not any(op.f != "get" for op in recorded.operations())
    else:
        assert (found is None) == legal, found
        if found is not None:
            proof = {int(view.start[row]) for row in found.rows}
            assert proof <= {op.invoke_index for op in recorded.operations()} and len(proof) == len(set(found.rows))
    result = check(recorded, ["linearizable"], model="kv-append")["linearizable"]
    assert result.verdict is (Verdict.VALID if legal else Verdict.INVALID) or not any(
        op.type is Type.OK for op in recorded.operations()
    )


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3]))
@settings(max_examples=examples(200))
def test_an_order_is_given_that_is_legal(seed, puts):
    recorded = history(Random(seed), 8, 3, filler(UNIQUE, puts, [""]))
    result = check(recorded, ["linearizable"], model="kv-append", certificate=True)["linearizable"]
    for order in (result.certificate or {}).values():
        assert verify_order(recorded.operations(), list(order), "text") is None


def test_a_violation_among_many_parts_written_twice_is_found_at_once_and_shown_in_few_operations():
    """The published history of 50 clients took the whole budget: a part that a client wrote again made the search judge all."""
    events: list[Event] = []
    state, count = "", 400

    def did(process: int, f: str, argument, result) -> None:
        for kind, value in ((Type.INVOKE, argument), (Type.OK, result)):
            events.append(Event(len(events), len(events) * 1000, process, kind, f, value, key="k"))

    for number in range(count):
        part = f"x {number % 390} y"
        did(number % 50, "append", part, part)
        state += part
        did(50, "get", None, state if number != 350 else state[: -len(part)])
    began_s = thread_time()
    result = check(History(events), ["linearizable"], model="kv-append")["linearizable"]
    assert result.verdict is Verdict.INVALID
    assert all(len(anomaly.ops) <= 4 for anomaly in result.anomalies)
    assert thread_time() - began_s < 5


def test_a_violation_among_parts_of_which_one_was_written_twice_names_the_operations() -> None:
    ops = [("append", "a;"), ("append", "a;"), ("append", "b;"), ("append", "c;"), ("get", "a;b;"), ("get", "a;c;")]
    events = [
        Event(2 * at + done, 2 * at + done, at, kind, f, None if f == "get" and not done else value, "k")
        for at, (f, value) in enumerate(ops)
        for done, kind in enumerate((Type.INVOKE, Type.OK))
    ]
    result = check(History(events), ["linearizable"], model="kv-append")["linearizable"]
    (anomaly,) = result.anomalies
    assert (anomaly.kind, anomaly.ops) == ("incompatible-order", (8, 10))
