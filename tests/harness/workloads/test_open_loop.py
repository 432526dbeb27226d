"""Open-loop load: operations come at their rate, also while none is answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.workloads.base import MOST_CLIENTS

SECOND = 1_000_000_000
CUT_NS = (SECOND, 3 * SECOND)


def campaign(open_loop: bool, **more: Any) -> Campaign:
    return Campaign.model_validate(
        {
            "name": "open",
            "hosts": {"provider": "sim", "nodes": 3},
            "seed": 1,
            "duration": "4s",
            "operation_timeout": "2s",
            "workloads": [
                {"register": {"clients": 3, "rate": "60/s", "mix": {"write": 1}, "open_loop": open_loop, **more}}
            ],
            "faults": [{"pause": {"target": ["n1", "n2", "n3"], "after": "1s", "for": "2s"}}],
        }
    )


def begun_while_nothing_is_answered(open_loop: bool) -> int:
    done = simulate(make_plan(campaign(open_loop), Path()))
    return sum(CUT_NS[0] < op.invoke_ns < CUT_NS[1] for op in done.record.history.operations())


def test_operations_go_on_while_none_is_answered() -> None:
    assert begun_while_nothing_is_answered(False) < 15
    assert 90 < begun_while_nothing_is_answered(True) < 150


@pytest.mark.parametrize(
    ("more", "clients"),
    [
        ({}, 3 + 120),
        ({"bursts": {"every": "1s", "for": "100ms", "rate": "1000/s"}}, 3 + 120 + 100),
        ({"rate": "5000/s"}, MOST_CLIENTS),
    ],
)
def test_there_are_clients_for_all_operations_that_may_be_open_at_once(more: dict[str, Any], clients: int) -> None:
    plan = make_plan(campaign(True, **more), Path())
    assert len(plan.slots) == plan.workloads["register"].spec.clients == clients
    assert type(plan).from_json(plan.to_json()).slots == plan.slots
    assert len(make_plan(campaign(False, **more), Path()).slots) == 3
