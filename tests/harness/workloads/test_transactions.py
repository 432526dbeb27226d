"""Transactions: parts of one kind, unique values, some refused; and what the checkers say of a cluster that keeps them whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers import check
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.systems.reference.client import micro_operations
from tribulation.harness.workloads.generators import Context
from tribulation.harness.workloads.transactions import Transactions, TransactionSpec


def drawn(**options: Any) -> list[list[list[Any]]]:
    workload = Transactions("t", TransactionSpec(**options))
    emits = [workload.load().next(Context(3, "t", client, 4, n, 0))[0] for client in range(4) for n in range(40)]
    assert all(emit is not None and emit.op.f == "txn" and micro_operations(emit.op) for emit in emits)
    return [emit.op.value for emit in emits if emit is not None]


def test_lists_are_appended_to_and_read_and_every_element_is_unique() -> None:
    parts = [part for value in drawn() for part in value]
    assert {part[0] for part in parts} == {"r", "append"}
    values = [part[2] for part in parts if part[0] == "append"]
    assert len(values) == len(set(values)) > 100


def test_some_transactions_on_registers_end_in_a_cas_that_fails() -> None:
    values = drawn(of="registers", refused=30)
    refused = [value for value in values if value[-1][0] == "cas"]
    assert 10 < len(refused) < 90 and any(part[0] == "w" for value in refused for part in value)


@pytest.mark.parametrize(
    ("options", "checker"),
    [("of: lists", "list-append"), ("of: registers", "rw-register"), ("of: registers, refused: 30", "linearizable")],
)
def test_a_run_is_judged_and_valid(options: str, checker: str, tmp_path: Path) -> None:
    text = f"name: t\nhosts: {{provider: sim, nodes: 3}}\nseed: 5\nduration: 3s\nworkloads: [{{transactions: {{rate: 20/s, {options}}}}}]\n"
    (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
    done = simulate(make_plan(load_campaign(tmp_path / "t.yaml"), tmp_path))
    results = check(done.record, [checker, "final-reads"])
    assert {name: result.verdict.value for name, result in results.items()} == {
        checker: "valid",
        "final-reads": "valid",
    }
