"""What workloads declare: that it is complete, that checkers and runs act on it, and that the page says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tribulation.checkers.base.acknowledged import is_write, without_log
from tribulation.checkers.registry import CHECKERS
from tribulation.checkers.soundness.exercised import looks_only
from tribulation.harness.run.plan.plan import Plan, Timing
from tribulation.harness.systems.base import Op
from tribulation.harness.systems.operations import TAKEN
from tribulation.harness.workloads import WORKLOADS, Workload
from tribulation.harness.workloads.base import CHANGES, NEITHER, PREPARES, READS
from tribulation.harness.workloads.generators import Context
from tribulation.histories import Operation, Type

PAGE = Path(__file__).parents[3] / "docs/reference/workloads.md"
MADE: dict[str, Workload] = {name: make(name, spec()) for name, (spec, make) in WORKLOADS.items()}
ANY = {name: workload for name, workload in MADE.items() if workload.checkers() is not None}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_declaration_is_whole(name: str) -> None:
    workload = MADE[name]
    assert workload.operations and workload.needs and workload.asked() <= set(workload.operations)
    assert not TAKEN & {f.replace("-", "_") for f in workload.operations}, "a client has these names for other things"
    assert set(workload.checkers() or ()) <= set(CHECKERS)


@pytest.mark.parametrize("name", ANY)
def test_it_asks_for_what_it_declares_and_a_seed_decides_what(name: str) -> None:
    def drawn() -> list[Op]:
        generator, found = MADE[name].load(), []
        for count in range(60):
            emit, generator = generator.next(Context(7, name, 1, 3, count, count * 10_000_000))
            assert emit is not None
            found.append(emit.op)
        return found

    ops = drawn()
    assert ops == drawn()
    assert {op.f for op in ops} <= MADE[name].asked() and {op.workload for op in ops} == {name}
    assert all(key is None or isinstance(key, str) for op in ops for key in MADE[name].keys_of(op))


def test_only_what_names_do_not_say_is_recorded() -> None:
    plan = Plan("t", 1, ("n1",), {"n1": 1}, Timing(1, 1, 1, 1), MADE, [], [])
    assert plan.effects == {
        ("queue", "dequeue"): "changes",
        ("log", "poll"): "reads",
        ("unique-ids", "generate"): "neither",
    }
    for name, workload in MADE.items():
        for f, effect in workload.operations.items():
            extra = {"effect": plan.effects[name, f]} if (name, f) in plan.effects else {}
            op = Operation(0, f, Type.OK, 0, 1, 0, 1, None, 1, None, name, None, None, None, extra)
            parts = f == "txn"
            assert is_write(op) is (effect in (CHANGES, PREPARES)) or parts, (name, f)
            assert looks_only(f, extra.get("effect")) is (effect is READS), (name, f)
            assert (effect is not NEITHER) or without_log(op)


def test_the_page_names_operations_and_checkers_of_each() -> None:
    rows = dict(re.findall(r"(?m)^\| `([a-z-]+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8").partition("## ")[0]))
    assert rows.keys() == ANY.keys()
    for name, row in rows.items():
        reported, judges, *_ = row.split(" | ")
        assert set(ANY[name].operations) <= set(re.findall(r"`([a-z]+)`", reported)), name
        assert set(ANY[name].checkers() or ()) <= set(re.findall(r"`([a-z-]+)`", judges)), name
