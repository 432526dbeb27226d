"""Mutants of the node that lose nothing and serve badly: each is found by the rule that names its promise, and the correct node breaks none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers import check
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.search.trial import Task, Trial, run_trial
from tribulation.node.core.agents.agents import Agents
from tribulation.node.core.clients.clients import Clients
from tribulation.node.core.clients.routing import Router
from tribulation.node.core.detector.swim import Swim
from tribulation.node.core.detector.watcher import SUSPECT

from .campaigns import campaign

SWIM = {"membership": {"swim_period": "100ms", "swim_timeout": "40ms"}}
REGISTER = {"register": {"keys": 2, "clients": 3, "rate": "20/s"}}
ISOLATED = {"partition": {"shape": "isolate-one", "after": "2s", "for": "4s"}}

SETUPS: dict[str, dict[str, Any]] = {
    "silent-to-its-clients": {
        "duration": "4s",
        "operation_timeout": "600ms",
        "faults": [{"partition": {"shape": "leader-minority", "after": "500ms", "for": "3s"}}],
    },
    "forwards-no-transactions": {
        "workloads": [REGISTER, {"transactions": {"of": "lists", "clients": 3, "rate": "20/s"}}],
        "duration": "20s",
        "operation_timeout": "1s",
        "faults": [{"partition": {"shape": "isolate-one", "after": "1s", "for": "500ms"}}],
    },
    "suspects-no-crash": {
        "system": SWIM,
        "workloads": [REGISTER],
        "duration": "12s",
        "faults": [{"kill": {"target": "one", "after": "2s", "for": "9s"}}],
    },
    "suspects-for-good": {
        "system": SWIM,
        "workloads": [REGISTER],
        "duration": "7s",
        "settle": "6s",
        "faults": [{"partition": {"shape": "isolate-one", "after": "2s", "for": "500ms"}}],
    },
    "runs-moved-agents-on": {
        "system": {**SWIM, "agents": {}},
        "workloads": [{"tasks": {"clients": 3, "rate": "20/s", "agents": 6}}],
        "duration": "8s",
        "settle": "9s",
        "faults": [ISOLATED],
    },
}


def silent_to_its_clients(patch: pytest.MonkeyPatch) -> None:
    """Requests that nothing settles by their deadlines are forgotten."""

    def forgets(clients: Clients, now_ns: int, key: str) -> None:
        clients._timer_ns = None
        for pending in clients._table.expired(now_ns):
            clients._table.remove(pending)

    patch.setattr(Clients, "on_timer", forgets)


def forwards_no_transactions(patch: pytest.MonkeyPatch) -> None:
    forward = Router._forward

    def but_transactions(router: Router, now_ns: int, pending: Any) -> None:
        command = pending.work.get("command", [""])
        if command[0] != "kv.tx" or all(op[0] != "append" for op in command[3]):
            forward(router, now_ns, pending)

    patch.setattr(Router, "_forward", but_transactions)


def suspects_no_crash(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Swim, "_conclude", lambda swim, now_ns, probe: None)


def suspects_for_good(patch: pytest.MonkeyPatch) -> None:
    """A suspicion is not refuted, and no `failed` follows it."""
    alive = Swim._alive

    def unless_suspected(swim: Swim, name: str, number: int) -> None:
        if swim.peers[name].belief != SUSPECT:
            alive(swim, name, number)

    patch.setattr(Swim, "_alive", unless_suspected)
    patch.setattr(Swim, "_fail", lambda swim, name, peer, number, source: setattr(peer.suspicion, "start_ns", 1 << 60))


def runs_moved_agents_on(patch: pytest.MonkeyPatch) -> None:
    reconcile = Agents._reconcile

    def but_never_drops(agents: Agents, now_ns: int, agent: str) -> None:
        record = agents._view.get(agent)
        if agent not in agents._live or record is None or record["host"] == agents._me:
            reconcile(agents, now_ns, agent)

    patch.setattr(Agents, "_reconcile", but_never_drops)
    patch.setattr(Agents, "check", lambda agents: None)


FOUND: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    silent_to_its_clients: "availability/never-answered",
    forwards_no_transactions: "availability/never-served-through-node",
    suspects_no_crash: "failure-detector/crash-not-detected",
    suspects_for_good: "failure-detector/lasting-mistake",
    runs_moved_agents_on: "agents/two-hosts-at-once",
}


def trial(name: str) -> Trial:
    return run_trial(Task(campaign(**SETUPS[name]), 3, swarm=False))


@pytest.mark.parametrize("mutate", FOUND, ids=lambda mutate: mutate.__name__)
def test_a_mutant_that_serves_badly_is_found(mutate, monkeypatch):
    mutate(monkeypatch)
    found = trial(mutate.__name__.replace("_", "-"))
    kinds = [f"{one.checker}/{one.kind}" for one in found.signatures]
    assert FOUND[mutate] in kinds, (kinds, found.explanations, found.doubts)


@pytest.mark.parametrize("name", SETUPS)
def test_the_correct_node_is_valid_there(name):
    found = trial(name)
    assert (found.verdict, found.explanations, found.doubts) == ("valid", (), ())


def test_late_messages_are_no_promise_of_a_leader() -> None:
    """Nothing is lost or reordered here, but answers come a few elections late: a follower rightly reports that it has no quorum."""
    timing = {"heartbeat": "50ms", "election_min": "200ms", "election_max": "250ms"}
    mix = {"read": 98, "write": 2}
    plan = make_plan(
        Campaign.model_validate(
            {
                "name": "late",
                "hosts": {"provider": "sim", "nodes": 3},
                "seed": 5,
                "duration": "3s",
                "operation_timeout": "1s",
                "system": {"timing": timing},
                "workloads": [{"register": {"keys": 4, "clients": 9, "rate": "150/s", "mix": mix}}],
            }
        ),
        Path(),
    )
    done = simulate(replace(plan, world={**plan.world, "late_ppm": 700_000, "late_ns": 750_000_000}))
    assert any(op.error == "no-quorum" for op in done.record.history.operations())
    assert check(done.record, ["availability"])["availability"].anomalies == ()
