"""The rest that stays broken: which nodes are the core, which links and nodes are broken, and what a campaign may ask."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tribulation.harness.nemesis.faults.fault import Situation
from tribulation.harness.nemesis.topology.liveness import WAYS, LivenessSpec
from tribulation.harness.nemesis.topology.resolve import resolve

NODES = ["n1", "n2", "n3", "n4", "n5"]
FIVE = Situation(NODES, dict.fromkeys(NODES, 1), "n3", NODES)


def broken(rest: str, situation: Situation = FIVE, seed: int = 7, **more: Any) -> dict[str, Any]:
    (intent,) = LivenessSpec.model_validate({"rest": rest, **more}).intents()
    return dict(resolve(intent, situation, seed).what)


@given(
    st.sampled_from(sorted(set(WAYS) - {"ring"})),
    st.integers(0, 50),
    st.lists(st.integers(0, 3), min_size=5, max_size=5),
)
def test_the_core_is_a_quorum_with_nobody_to_spare(rest, seed, weights):
    if not any(weights):
        return
    voters = dict(zip(NODES, weights, strict=True))
    core = broken(rest, Situation(NODES, voters, "n3", NODES), seed)["core"]
    weight = sum(voters[node] for node in core)
    assert 2 * weight > sum(weights)
    last = [node for node in core if voters[node] and 2 * (weight - voters[node]) > sum(weights)]
    assert len(last) < len(core)


def test_another_seed_draws_another_core_and_the_same_seed_the_same():
    assert broken("isolated") == broken("isolated")
    assert len({tuple(broken("isolated", seed=seed)["core"]) for seed in range(30)}) > 4


def test_each_way_breaks_what_it_says():
    core = ["n1", "n2", "n3"]
    out = [["n4", "n1"], ["n4", "n2"], ["n4", "n3"], ["n5", "n1"], ["n5", "n2"], ["n5", "n3"]]
    into = sorted([b, a] for a, b in out)
    assert broken("isolated", core=core) == {"edges": sorted(out + into), "core": core}
    assert broken("deaf", core=core)["edges"] == into
    assert broken("mute", core=core)["edges"] == out
    assert broken("bridged", core=core)["edges"] == [["n3", "n4"], ["n3", "n5"], ["n4", "n3"], ["n5", "n3"]]
    assert broken("down", core=core) == broken("paused", core=core) == {"nodes": ["n4", "n5"], "core": core}
    assert broken("flapping", core=core) == {"edges": sorted(out + into), "core": core, "period_ns": 10**9}
    assert [WAYS[rest].kind for rest in ("isolated", "clogged", "flapping", "down", "paused")] == [
        "cut",
        "clog",
        "flap",
        "kill",
        "pause",
    ]


def test_over_a_bridge_the_leader_is_of_the_core_and_waited_for():
    assert all("n3" in broken("bridged", seed=seed)["core"] for seed in range(20))
    leaderless = Situation(NODES, dict.fromkeys(NODES, 1), None, NODES)
    cut = broken("bridged", leaderless)
    assert len({edge[0] for edge in cut["edges"]} & set(cut["core"])) == 1
    assert LivenessSpec(rest="bridged").settle_ns() and LivenessSpec(rest="isolated").settle_ns() is None


def test_in_a_ring_every_node_is_of_the_core_and_none_is_seen_by_all():
    ring = broken("ring")
    assert ring["core"] == NODES
    for node in NODES:
        assert sum(edge[0] == node for edge in ring["edges"]) == 2


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"for": "10s"}, "`for: 10s` is not longer than `within: 10s`"),
        ({"within": "20s"}, "`for: 15s` is not longer than `within: 20s`"),
        ({"core": ["n1", "n1"]}, "names a node twice"),
        ({"core": "minority"}, "majority"),
        ({"rest": "ring", "core": ["n1"]}, "has every node in the core"),
        ({"rest": "gone"}, "isolated"),
        ({"elections": -1}, "greater than or equal to 0"),
    ],
)
def test_what_makes_no_sense_is_refused(spec, words):
    with pytest.raises(ValidationError, match=words):
        LivenessSpec.model_validate(spec)


@pytest.mark.parametrize("rest", WAYS)
def test_what_is_broken_has_the_amounts_of_its_way(rest: str) -> None:
    """A flapping rest without its period ended simulated runs with a KeyError."""
    assert {name: broken(rest).get(name) for name in WAYS[rest].parameters} == WAYS[rest].parameters
