"""Damage at rest waits, within the plan's bound, until there is something to damage; what could damage nothing stays a doubt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tribulation.checkers import Budget, Verdict
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.run.outcome.verdict import judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import Simulated, simulate
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND

from .real import NODES, Writer, real_cluster


def decay(*nodes: str) -> Resolved:
    return Resolved(
        Intent("f1", "disk", {}, 0, None, "f1"), {"effect": "misdirected-write", "nodes": list(nodes or NODES[:1])}
    )


def test_a_fault_that_would_change_nothing_waits_until_it_would_and_no_longer_than_it_may() -> None:
    cluster = real_cluster()
    injector = SimInjector(cluster, 3 * SECOND)
    assert injector.waits(decay()) and not SimInjector(cluster).waits(decay())
    cluster.run_until(cluster.now_ns + 2 * SECOND)
    assert injector.waits(decay())
    cluster.run_until(cluster.now_ns + 2 * SECOND)
    assert not injector.waits(decay())
    assert not injector.inject(decay()).verified, "there was nothing to damage"
    cluster = real_cluster()
    Writer(cluster, "n1").write(20)
    cluster.run_until(cluster.now_ns + SECOND)
    assert not SimInjector(cluster, 3 * SECOND).waits(decay())


def run(rate: str, paced: bool = True) -> Simulated:
    campaign = Campaign.model_validate(
        {
            "name": "decay",
            "hosts": {"provider": "sim", "nodes": 3},
            "seed": 3,
            "duration": "1500ms",
            "workloads": [{"register": {"keys": 2, "clients": 2, "rate": rate}}],
            "faults": [
                {
                    "disk": {
                        "effect": "misdirected-write",
                        "target": "follower",
                        "every": "1s",
                        "for": "500ms",
                        "stagger": "0s",
                    }
                }
            ],
        }
    )
    plan = make_plan(campaign, Path())
    return simulate(plan if paced else replace(plan, pace=None))


@pytest.mark.parametrize(
    ("rate", "paced", "verified"), [("6/s", True, True), ("6/s", False, False), ("1/s", True, False)]
)
def test_a_run_waits_with_damage_for_what_clients_write(rate: str, paced: bool, verified: bool) -> None:
    done = run(rate, paced)
    (fault,) = done.record.faults
    assert fault.verified == verified, fault
    assert fault.injected_ns is not None and (fault.injected_ns > SECOND) == paced, "noted when it happens"
    judged = judge_record(done.record, done.facts, Budget(), "decay")
    assert (judged.verdict is Verdict.VALID) == verified
    if not verified:
        assert judged.verdict is Verdict.UNKNOWN and "not observed to take effect" in (
            judged.results["vacuity"].reason or ""
        )
