"""`systems/derive.py` sees what a few operations contradict, and nothing where they can have happened."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location("derive", Path(__file__).resolve().parents[2] / "systems" / "derive.py")
assert _SPEC is not None and _SPEC.loader is not None
derive: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(derive)


def op(f: str, process: int, begins: int, ends: int | None, type: str = "ok", key: str = "k", **more: Any) -> Any:
    return {"f": f, "process": process, "begins": begins, "ends": ends, "type": type, "key": key, **more}


TAKEN = op("acquire", 1, 0, 1)


@pytest.mark.parametrize(
    ("ops", "two"),
    [
        ([TAKEN, op("acquire", 2, 2, 3), op("release", 1, 4, 5)], True),
        ([TAKEN, op("acquire", 2, 2, 3), op("release", 1, 4, None, "info")], True),
        ([TAKEN, op("release", 1, 2, None, "info"), op("acquire", 2, 3, 4)], False),
        ([TAKEN, op("acquire", 2, 2, 4), op("release", 1, 3, 5)], False),
        ([TAKEN, op("acquire", 2, 2, 3, "fail"), op("release", 1, 4, 5)], False),
        ([TAKEN, op("acquire", 2, 2, 3, key="other"), op("release", 1, 4, 5)], False),
        ([TAKEN, op("acquire", 2, 2, 3)], False),
    ],
)
def test_two_holders_of_a_lock(ops: list[Any], two: bool) -> None:
    assert (derive.contradiction(ops) is not None) == two


def wrote(*parts: Any) -> Any:
    return op("txn", 1, 0, 1, returned=[["w", key, value] for key, value in parts])


def read(*parts: Any) -> Any:
    return op("txn", 2, 2, 3, returned=[["r", key, value] for key, value in parts])


@pytest.mark.parametrize(
    ("ops", "forked"),
    [
        ([wrote(("x", 1)), wrote(("y", 1)), read(("x", 1), ("y", None)), read(("y", 1), ("x", None))], True),
        ([wrote(("x", 1)), wrote(("y", 1)), read(("x", 1), ("y", None)), read(("y", 1), ("x", 1))], False),
        ([wrote(("x", 1)), wrote(("y", 1)), read(("x", None), ("y", None)), read(("y", 1), ("x", None))], False),
        ([wrote(("x", 1), ("y", 1)), read(("x", 1), ("y", None))], True),
    ],
)
def test_a_long_fork(ops: list[Any], forked: bool) -> None:
    assert (derive.contradiction(ops) is not None) == forked


PUTS = [op("enqueue", 1, 0, 1, value=7, returned=7), op("enqueue", 1, 2, 3, value=8, returned=8)]
EMPTY = op("dequeue", 2, 8, 9, value=None, returned=None)


@pytest.mark.parametrize(
    ("between", "lost"),
    [
        ([], True),
        ([op("dequeue", 2, 4, 5, returned=8)], True),
        ([op("dequeue", 2, 4, 5, returned=7)], False),
        ([op("dequeue", 2, 4, None, "info")], True),
        ([op("dequeue", 2, 4, None, "info"), op("dequeue", 3, 5, None, "info")], False),
        ([op("dequeue", 2, 4, 5, returned=8), op("dequeue", 3, 5, None, "info")], False),
        ([op("dequeue", 2, 4, 5, returned=8), op("dequeue", 3, 10, None, "info")], True),
        ([op("dequeue", 2, 4, None, "info", key="other"), op("dequeue", 3, 5, None, "info", key="other")], True),
        ([op("dequeue", 2, 4, None, "fail"), op("dequeue", 3, 5, None, "fail")], True),
    ],
)
def test_an_element_that_never_came_out(between: list[Any], lost: bool) -> None:
    history = [*PUTS, *between, EMPTY]
    assert (derive.never_came_out([PUTS[0], EMPTY], history) is not None) == lost


def test_an_empty_answer_from_before_proves_nothing() -> None:
    early = op("dequeue", 2, 0, 4, value=None, returned=None)
    assert derive.never_came_out([PUTS[1], early], [*PUTS, early]) is None


@pytest.mark.parametrize(
    ("second", "both"),
    [(("b", "ok"), False), (("a", "fail"), False), (("a", "info"), False), (("a", "ok"), True)],
)
def test_two_inserts_that_were_each_to_find_no_row(second: tuple[str, str], both: bool) -> None:
    key, type = second
    first = op("insert", 1, 0, 2, key=None, value=["a", [1, None]])
    other = op("insert", 2, 1, 3, type, key=None, value=[key, [None, 2]])
    assert (derive.contradiction([first, other]) is not None) == both


CUT = {"n1-n2": ("n1", "n2"), "n1-n3": ("n1", "n3")}
VOTERS = {"n1": 1, "n2": 1, "n3": 1}


def ledger(*edges: str, verified: bool = True, end_ns: int | None = 90) -> list[Any]:
    what = {"edges": [way for edge in edges for way in (CUT[edge], CUT[edge][::-1])]}
    lines = [
        {"time": 10, "phase": "intended", "id": "cut.1", "kind": "cut", "what": what},
        {"time": 20, "phase": "injected", "id": "cut.1"},
        {"time": 40, "phase": "verified", "id": "cut.1", "verified": verified},
    ]
    return [*lines, *([{"time": end_ns, "phase": "healing", "id": "cut.1"}] if end_ns else [])]


def answered(began_ns: int, ended_ns: int, node: str = "n1") -> Any:
    return op("read", 1, 0, 1, began_ns=began_ns, ended_ns=ended_ns, node=node)


@pytest.mark.parametrize(
    ("one", "lines", "without"),
    [
        (answered(20, 90), ledger("n1-n2", "n1-n3"), True),
        (answered(30, 500), ledger("n1-n2", "n1-n3", end_ns=None), True),
        (answered(19, 60), ledger("n1-n2", "n1-n3"), False),
        (answered(30, 91), ledger("n1-n2", "n1-n3"), False),
        (answered(30, 60, "n2"), ledger("n1-n2", "n1-n3"), False),
        (answered(30, 60), ledger("n1-n2"), False),
        (answered(30, 60), ledger("n1-n2", "n1-n3", verified=False), False),
        (op("read", 1, 0, None, "info", began_ns=30, node="n1"), ledger("n1-n2", "n1-n3"), False),
    ],
)
def test_an_answer_on_a_side_without_a_quorum(one: Any, lines: list[Any], without: bool) -> None:
    assert (derive.without_quorum(one, lines, VOTERS) is not None) == without
