"""Histories lose what their failure does not need, and never gain a failure that the whole does not have."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.checkers import RunRecord, Verdict, check
from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.allowance import Allowance
from tribulation.harness.failures.signature import Signature, signatures
from tribulation.harness.shrink.history import part_of, shrink_history
from tribulation.harness.shrink.observing import Links
from tribulation.histories import Event, History, Type
from tribulation.histories.formats import read, write

SIMPLE = (
    "register",
    "set",
    "queue",
    "stack",
    "counter",
    "mutex",
    "own-mutex",
    "list",
    "cas",
    "list-append",
    "rw-register",
)


def history_of(*events: tuple[Any, ...]) -> History:
    """Events as (process, type, f, value)."""
    return History(
        Event(index, index * 1000, process, Type(kind), f, value)
        for index, (process, kind, f, value) in enumerate(events)
    )


def whole(*ops: tuple[int, str, Any, Any]) -> History:
    """Operations (process, f, argument, result) one after the other, all ok."""
    events = []
    for process, f, argument, result in ops:
        events += [(process, "invoke", f, argument), (process, "ok", f, argument if result is None else result)]
    return history_of(*events)


def shrunk(history: History, checker: str, kind: str) -> list[tuple[str, Any]]:
    found = shrink_history(RunRecord(history), Signature(checker, kind), Allowance(runs=500))
    assert found.one_minimal
    assert found.anomaly.kind == kind
    return [(op.f, op.result if op.result is not None else op.argument) for op in found.history.operations()]


def test_a_stale_read_needs_two_writes_somebody_who_saw_both_and_the_read() -> None:
    noise = [(9, "write", 100 + n, None) for n in range(40)]
    history = whole((0, "write", 1, None), *noise, (0, "write", 2, None), (1, "read", None, 2), (2, "read", None, 1))
    assert shrunk(history, "linearizable", "stale-read") == [("write", 1), ("write", 2), ("read", 2), ("read", 1)]


def test_an_observed_write_is_never_left_out() -> None:
    """Without the write of 1 its read would come from nowhere, which is another anomaly, and not one of this history."""
    history = whole((0, "write", 1, None), (0, "write", 2, None), (1, "read", None, 1))
    assert Links(history.operations()).closure([2]) == {0, 2}
    found = shrink_history(RunRecord(history), Signature("linearizable", "lost-write"), Allowance())
    assert found.operations == (3, 3)


def test_a_lost_element_is_not_made_by_leaving_out_who_had_it() -> None:
    """2 is late in one read, and there in the end: leaving out the last read would lose it. 1 is lost for good."""
    adds = [(0, "add", n, None) for n in range(5)]
    history = whole(
        *adds, (1, "read", None, [0, 1, 3, 4]), (1, "read", None, [0, 2, 3, 4]), (1, "read", None, [0, 2, 3, 4])
    )
    for allowance in range(1, 30):
        found = shrink_history(RunRecord(history), Signature("set", "lost-write"), Allowance(runs=allowance))
        assert found.anomaly.details["elements"] == [1]


def test_a_queue_keeps_puts_and_takes_together() -> None:
    history = whole(
        (0, "enqueue", 1, None), (0, "enqueue", 2, None), (0, "enqueue", 3, None), (0, "enqueue", 4, None),
        (1, "dequeue", None, 1), (1, "dequeue", None, 3), (1, "dequeue", None, 2), (1, "dequeue", None, 4),
    )  # fmt: skip
    links = Links(history.operations())
    assert links.closure([0]) == {0, 4} and links.closure([5]) == {2, 5}
    found = check(RunRecord(history), ["linearizable"])["linearizable"]
    small = shrunk(history, "linearizable", found.anomalies[0].kind)
    assert small == [("enqueue", 2), ("enqueue", 3), ("dequeue", 3), ("dequeue", 2)]


def test_a_take_of_unknown_outcome_stays() -> None:
    """It may have taken 1, and then 2 is rightly first: nothing is wrong, and leaving it out would make it wrong."""
    history = history_of(
        (0, "invoke", "enqueue", 1), (0, "ok", "enqueue", 1), (0, "invoke", "enqueue", 2), (0, "ok", "enqueue", 2),
        (1, "invoke", "dequeue", None), (1, "info", "dequeue", None),
        (2, "invoke", "dequeue", None), (2, "ok", "dequeue", 2),
    )  # fmt: skip
    assert Links(history.operations()).closure([3]) >= {1, 2, 3}


def test_sums_need_every_change() -> None:
    history = whole((0, "add", 1, None), (0, "add", 2, None), (1, "read", None, 2), (1, "read", None, 3))
    links = Links(history.operations())
    assert links.closure([3]) == {0, 1, 3}


def test_transactions_need_whom_they_read() -> None:
    def txn(*parts: list[Any]) -> list[list[Any]]:
        return [list(part) for part in parts]

    history = whole(
        (0, "txn", txn(["append", "x", 1]), txn(["append", "x", 1])),
        (0, "txn", txn(["append", "x", 2], ["append", "y", 7]), txn(["append", "x", 2], ["append", "y", 7])),
        (1, "txn", txn(["r", "x", None]), txn(["r", "x", [1, 2]])),
        (1, "txn", txn(["r", "y", None]), txn(["r", "y", []])),
    )
    links = Links(history.operations())
    assert links.closure([2]) == {0, 1, 2} and links.closure([3]) == {3} and links.closure([1]) == {1}


def test_a_checker_that_needs_everything_is_refused() -> None:
    with pytest.raises(CampaignError, match="kafka"):
        shrink_history(RunRecord(whole((0, "send", 1, None))), Signature("kafka", "lost-write"), Allowance())


def test_a_failure_that_is_not_there_is_refused() -> None:
    with pytest.raises(CampaignError, match="finds no stale-read"):
        shrink_history(RunRecord(whole((0, "write", 1, None))), Signature("linearizable", "stale-read"), Allowance())


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, History]:
    """Legal histories of one object: operations take effect one after the other, their ends overlap, some end in doubt."""
    kind, dice = draw(st.sampled_from(SIMPLE)), random.Random(draw(st.integers(0, 10**6)))
    return kind, legal_history(kind, dice, draw(st.integers(1, 14)))


def legal_history(kind: str, dice: random.Random, count: int) -> History:
    state: Any = {
        "register": None,
        "cas": None,
        "set": [],
        "list": [],
        "counter": 0,
        "mutex": None,
        "own-mutex": None,
    }.get(kind, [])
    events: list[tuple[float, int, tuple[Any, ...]]] = []
    for number in range(count):
        # Each of a process of its own, so that any may overlap any; but the one that takes a lock gives it back.
        own = kind == "own-mutex"
        process = number // 2 if own else number
        f, argument, result, state = _one(kind, dice, state, number)
        at = number + dice.random() * 0.1
        longest = 0.4 if own else 2
        begin, end = at - dice.random() * longest, at + 0.1 + dice.random() * longest
        events.append((begin, 0, (process, "invoke", f, argument)))
        if own or dice.random() < 0.8:
            events.append((end, 1, (process, "ok", f, argument if result is None else result)))
        else:
            events.append((end + 50, 1, (process, "info", f, argument)))
    return history_of(*(event for _, _, event in sorted(events, key=lambda one: one[:2])))


def _one(kind: str, dice: random.Random, state: Any, number: int) -> tuple[str, Any, Any, Any]:
    coin = dice.random() < 0.5
    if kind in ("register", "cas"):
        if kind == "cas" and coin and state is not None:
            return "cas", [state, number], [state, number], number
        return ("write", number, None, number) if coin or state is None else ("read", None, state, state)
    if kind in ("set", "list"):
        f = "add" if kind == "set" else "append"
        return (f, number, None, [*state, number]) if coin else ("read", None, list(state), state)
    if kind in ("list-append", "rw-register"):
        return _transaction(kind, dice, state, number)
    if kind == "counter":
        return ("increment", 1, None, state + 1) if coin else ("read", None, state, state)
    if "mutex" in kind:
        return ("acquire", None, None, True) if not state else ("release", None, None, None)
    put, take, at = ("enqueue", "dequeue", 0) if kind == "queue" else ("push", "pop", -1)
    if coin or not state:
        return put, number, None, [*state, number]
    rest = list(state)
    return take, None, rest.pop(at), rest


def _transaction(kind: str, dice: random.Random, state: dict[str, Any], number: int) -> tuple[str, Any, Any, Any]:
    asked, answered, after = [], [], dict(state)
    for place in range(dice.randint(1, 3)):
        key, value = dice.choice("xy"), 10 * number + place
        if dice.random() < 0.5:
            asked.append(["r", key, None])
            answered.append(["r", key, after.get(key)])
        else:
            change = ["append" if kind == "list-append" else "w", key, value]
            asked.append(change)
            answered.append(change)
            after[key] = [*(after.get(key) or []), value] if kind == "list-append" else value
    return "txn", asked, answered, after


@settings(max_examples=300)
@given(histories(), st.integers(0, 10**6))
def test_what_is_left_of_a_legal_history_is_legal(case: tuple[str, History], seed: int) -> None:
    """The rule itself: no part up to some moment that is closed under what it saw looks wrong when the whole is right."""
    kind, history = case
    model = {"cas": "cas-register", "list": "list", "own-mutex": "mutex"}.get(kind, kind)
    name = kind if kind in ("list-append", "rw-register") else "linearizable"
    if check(RunRecord(history), [name], model=model)[name].verdict is Verdict.INVALID:
        return
    dice = random.Random(seed)
    short = History(history.events[: dice.randint(1, len(history))])
    ops = short.operations()
    rows = Links(ops).closure(row for row in range(len(ops)) if dice.random() < 0.4)
    part = part_of(short, [ops[row] for row in sorted(rows)])
    found = check(RunRecord(part), [name], model=model)[name]
    assert found.verdict is not Verdict.INVALID, (kind, found.anomalies)


def test_tri_shrink_of_a_file_writes_a_smaller_one_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = [(9, "write", 100 + n, None) for n in range(40)]
    history = whole((0, "write", 1, None), *noise, (0, "write", 2, None), (2, "read", None, 1))
    for name in ("history.edn", "history.jsonl"):
        source = tmp_path / name
        write(history, source)
        with pytest.raises(SystemExit) as ended:
            main(["shrink", str(source), "--json"])
        assert ended.value.code in (None, 0)
        reported = json.loads(capsys.readouterr().out)
        small = read(reported["history"])
        assert Path(reported["history"]).name == name.replace(".", ".small.")
        assert len(small.operations()) == reported["operations"][1] == 3
        assert reported["operations"][0] == 43
        results = check(RunRecord(small), ["linearizable"])
        assert signatures(results, small)[0].kind == reported["signature"]["kind"]


def test_a_file_that_is_right_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(whole((0, "write", 1, None), (0, "read", None, 1)), tmp_path / "history.jsonl")
    with pytest.raises(SystemExit) as ended:
        main(["shrink", str(tmp_path / "history.jsonl")])
    assert ended.value.code == 2 and "did not fail" in capsys.readouterr().err
