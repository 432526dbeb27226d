"""Resolution is a function of intent, situation and seed, and several faults add up to one state of the cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.simulator.real import leader, real_cluster
from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.faults.fault import Intent, Resolved, Situation
from tribulation.harness.nemesis.faults.force import Force
from tribulation.harness.nemesis.topology.resolve import in_force, resolve
from tribulation.harness.simulator.faults.injector import SimInjector

NODES = ["n1", "n2", "n3", "n4", "n5"]
FIVE = Situation(NODES, dict.fromkeys(NODES, 1), "n3", NODES)


def intent(kind: str, key: str = "f.1", **parameters: Any) -> Intent:
    return Intent(key, kind, parameters, 0, 10**9, key)


def test_each_kind_resolves_to_its_form() -> None:
    assert resolve(intent("cut", shape="isolate-one", target=["n1"]), FIVE, 7).what["edges"][0] == ["n1", "n2"]
    assert resolve(intent("kill", target="leader"), FIVE, 7).what == {"nodes": ["n3"]}
    assert resolve(intent("pause", target=["n5", "n1"]), FIVE, 7).what == {"nodes": ["n1", "n5"]}
    assert resolve(intent("clock", target=["n2"], offset_ns=-5), FIVE, 7).what == {"offsets_ns": {"n2": -5}}
    assert resolve(intent("voters", set={"n5": 0}), FIVE, 7).what == {"voters": {"n5": 0}}
    assert resolve(intent("power", target="all"), FIVE, 7).what == {"nodes": NODES}
    slow = resolve(intent("disk", target="leader", effect="slow", delay_ns=5), FIVE, 7).what
    assert slow == {"nodes": ["n3"], "effect": "slow", "delay_ns": 5}
    drift = resolve(intent("clock", target=["n2"], drift_ppm=-9), FIVE, 7).what
    assert drift == {"drift_ppm": {"n2": -9}}
    strobe = resolve(intent("clock", target=["n2"], strobe_ns=3, period_ns=8), FIVE, 7).what
    assert strobe == {"strobe_ns": {"n2": 3}, "period_ns": 8}
    edges = [["n1", "n2"], ["n2", "n1"], ["clients", "n4"], ["n5", "n4"]]
    link = resolve(intent("link", shape="grudge", edges=edges, loss_ppm=10_000), FIVE, 7).what
    assert link == {"edges": sorted(edges), "loss_ppm": 10_000}
    reset = resolve(intent("reset", shape="grudge", edges=edges, period_ns=8), FIVE, 7).what
    assert reset == {"edges": [["n1", "n2"], ["n4", "n5"]], "period_ns": 8}, "pairs of nodes, each once"
    assert len(resolve(intent("clog", shape="every-link"), FIVE, 7).what["edges"]) == 20
    with pytest.raises(CampaignError, match="unknown kind 'flood'"):
        resolve(intent("flood"), FIVE, 7)


@given(st.integers(), st.integers(1, 10**12))
def test_a_nodes_clock_draw_does_not_depend_on_the_other_targets(seed: int, amount_ns: int) -> None:
    alone = resolve(intent("clock", target=["n2"], spread_ns=amount_ns), FIVE, seed).what["offsets_ns"]
    together = resolve(intent("clock", target="all", spread_ns=amount_ns), FIVE, seed).what["offsets_ns"]
    assert alone["n2"] == together["n2"] and all(abs(offset) <= amount_ns for offset in together.values())
    jumps = resolve(intent("clock", target="all", jump_ns=amount_ns), FIVE, seed).what["offsets_ns"]
    assert {abs(offset) for offset in jumps.values()} == {amount_ns}


def test_seeds_and_keys_draw_differently_and_repeatably() -> None:
    drawn = [resolve(intent("kill", f"f.{i}", target="one"), FIVE, 7).what["nodes"][0] for i in range(40)]
    assert set(drawn) == set(NODES)
    assert drawn == [resolve(intent("kill", f"f.{i}", target="one"), FIVE, 7).what["nodes"][0] for i in range(40)]
    assert drawn != [resolve(intent("kill", f"f.{i}", target="one"), FIVE, 8).what["nodes"][0] for i in range(40)]


def test_faults_that_are_on_together_add_up() -> None:
    faults = [
        Resolved(intent("cut"), {"edges": [["n1", "n2"]]}),
        Resolved(intent("cut"), {"edges": [["n2", "n1"], ["n1", "n2"]]}),
        Resolved(intent("kill"), {"nodes": ["n1"]}),
        Resolved(intent("pause"), {"nodes": ["n2", "n3"]}),
        Resolved(intent("clock"), {"offsets_ns": {"n1": 5, "n2": 6}}),
        Resolved(intent("clock"), {"offsets_ns": {"n1": -7}}),
        Resolved(intent("voters"), {"voters": {"n5": 1}}),
    ]
    edges = frozenset({("n1", "n2"), ("n2", "n1")})
    clocks, holders = {"n1": {"offset_ns": -7}, "n2": {"offset_ns": 6}}, dict.fromkeys(("n1", "n2"), "f.1")
    assert in_force(faults) == Force(edges, frozenset({"n1"}), frozenset({"n2", "n3"}), clocks, holders)
    assert in_force([]) == Force()


def test_a_role_is_what_nodes_say_of_themselves_and_is_asked_for_only_when_needed() -> None:
    asked = []

    def roles() -> dict[str, str]:
        asked.append("roles")
        return {"n1": "follower", "n3": "leader", "n5": "follower"}

    situation = replace(FIVE, roles=roles)
    assert resolve(intent("pause", target="random(2)"), situation, 7).what["nodes"] and asked == []
    assert resolve(intent("pause", target="role(follower)"), situation, 7).what == {"nodes": ["n1", "n5"]}
    assert resolve(intent("kill", target="role(candidate)"), situation, 7).what == {"nodes": []}
    assert asked == ["roles", "roles"]


def test_in_the_simulator_and_on_hosts_roles_have_the_same_names() -> None:
    cluster = real_cluster()
    reported = SimInjector(cluster).situation().roles()
    assert sorted(reported.values()) == ["follower", "follower", "leader"] and reported[leader(cluster)] == "leader"
