"""The schedule: periods, draws that removing another spec leaves alone, recovery windows, and refusals that say why."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.nemesis.faults.targets import WORDS
from tribulation.harness.nemesis.kinds.disks.disk import DiskEffect
from tribulation.harness.nemesis.schedule.schedule import expand
from tribulation.harness.nemesis.specs import specs
from tribulation.harness.nemesis.specs.links import Shape
from tribulation.harness.nemesis.specs.specs import FAULT_NAMES, FaultSpec

LIST: TypeAdapter[list[FaultSpec]] = TypeAdapter(list[FaultSpec])
SECOND_NS = 10**9


def plan(*items: dict[str, Any], seed: int = 7, load_s: int = 30) -> list[Intent]:
    return expand(LIST.validate_python(list(items)), seed=seed, load_ns=load_s * SECOND_NS)


def times_s(intents: list[Intent]) -> list[float]:
    return [intent.at_ns / SECOND_NS for intent in intents]


def test_the_quickstart_has_three_partitions_of_three_shapes_and_one_kill() -> None:
    intents = plan(
        {"partition": {"shape": ["halves", "majorities-ring", "isolate-one"], "every": "8s", "for": "4s"}},
        {"kill": {"target": "leader", "after": "20s", "restart_after": "2s"}},
    )
    assert times_s(intents) == [8, 16, 20, 24]
    assert [i.parameters.get("shape") for i in intents] == ["halves", "majorities-ring", None, "isolate-one"]
    kill = intents[2]
    assert (kill.kind, kill.parameters, kill.for_ns) == ("kill", {"target": "leader"}, 2 * SECOND_NS)
    assert len({i.id for i in intents}) == 4


def test_after_times_and_for_bound_a_periodic_fault() -> None:
    pause = {"target": "one", "every": "4s", "for": "1s"}
    assert times_s(plan({"pause": pause}, load_s=13)) == [4, 8, 12]
    assert times_s(plan({"pause": pause}, load_s=12)) == [4, 8], "a third could not be healed before the end"
    assert times_s(plan({"pause": {**pause, "after": "1s", "times": 2}})) == [1, 5]


def test_without_for_a_fault_lasts_until_the_final_heal() -> None:
    assert plan({"kill": {"target": "one", "after": "3s"}})[0].for_ns is None


def test_stagger_moves_each_start_later_by_less_than_itself() -> None:
    spec = {"pause": {"target": "one", "every": "4s", "for": "1s", "stagger": "2s"}}
    starts = times_s(plan(spec, load_s=100))
    delays = [start - 4 * (i + 1) for i, start in enumerate(starts)]
    assert len(starts) == 24 and all(0 <= delay <= 2 for delay in delays) and len(set(delays)) == 24
    assert times_s(plan(spec, load_s=100)) == starts != times_s(plan(spec, seed=8, load_s=100))


POOL = [
    {"partition": {"shape": "random-halves", "every": "8s", "for": "3s", "stagger": "2s"}},
    {"kill": {"target": "one", "every": "7s", "restart_after": "2s", "stagger": "1s"}},
    {"pause": {"target": "one", "every": "5s", "for": "1s", "stagger": "500ms", "overlap": True}},
    {"pause": {"target": "leader", "every": "6s", "for": "1s", "stagger": "500ms", "overlap": True}},
    {"clock": {"target": "minority", "spread": "60s", "every": "9s", "for": "4s", "stagger": "4s"}},
    {"voters": {"set": {"n5": 0}, "after": "3s", "stagger": "5s"}},
    {"power-loss": {"target": "minority", "every": "9s", "for": "1s", "stagger": "2s"}},
    {"disk": {"target": "one", "effect": "slow", "delay": "30ms", "every": "6s", "for": "2s", "stagger": "1s"}},
    {"link": {"shape": "halves", "loss": "2.5%", "jitter": "3ms", "every": "7s", "for": "2s", "stagger": "2s"}},
    {"flap": {"shape": "isolate-one", "period": "400ms", "every": "8s", "for": "2s", "stagger": "2s"}},
]


@given(st.permutations(POOL), st.integers(0, 6), st.integers())
def test_removing_a_spec_leaves_the_others_unchanged(order: list[dict[str, Any]], keep: int, seed: int) -> None:
    whole = plan(*order, seed=seed)
    kept = plan(*order[:keep], seed=seed)
    assert [intent for intent in whole if intent in kept] == kept
    assert {i.id for i in whole} >= {i.id for i in kept} and len({i.id for i in whole}) == len(whole)


@given(st.integers(), st.integers(10, 100))
def test_everything_with_an_end_is_healed_before_the_load_ends_and_kinds_do_not_overlap(seed: int, load_s: int) -> None:
    intents = plan(*POOL[:2], POOL[4], seed=seed, load_s=load_s + 10)
    for intent in intents:
        assert intent.for_ns is not None and intent.at_ns + intent.for_ns <= (load_s + 10) * SECOND_NS
    for kind in ("cut", "kill", "clock"):
        mine = [intent for intent in intents if intent.kind == kind]
        assert all(a.at_ns + (a.for_ns or 0) <= b.at_ns for a, b in pairwise(mine))


def test_no_fault_is_on_in_a_recovery_window() -> None:
    recovery = {"recovery": {"every": "10s", "for": "4s"}}
    pause = {"pause": {"target": "one", "every": "3s", "for": "1s", "after": "0s"}}
    assert times_s(plan(recovery, pause)) == [0, 3, 6, 9, 15, 18, 24, 27]
    with pytest.raises(CampaignError, match="reaches into a recovery window"):
        plan(recovery, {"kill": {"target": "one", "after": "9s", "for": "2s"}})
    with pytest.raises(CampaignError, match="reaches into a recovery window"):
        plan(recovery, {"kill": {"target": "one", "after": "5s"}})


def test_kinds_that_could_overlap_are_refused_for_every_seed_unless_both_allow_it() -> None:
    first = {"target": ["n1"], "after": "2s", "for": "2s", "stagger": "3s"}
    second = {"target": ["n2"], "after": "6s", "for": "1s"}
    for seed in range(5):
        with pytest.raises(CampaignError, match=r"faults\[0\] and faults\[1\], both pause, can be active together"):
            plan({"pause": first}, {"pause": second}, seed=seed)
    assert len(plan({"pause": {**first, "overlap": True}}, {"pause": {**second, "overlap": True}})) == 2
    assert len(plan({"pause": first}, {"kill": second})) == 2, "other kinds may be on together"
    with pytest.raises(CampaignError, match="can be active together"):
        plan(
            {"kill": {"target": "one", "after": "1s", "for": "1s", "recover": "2s"}},
            {"kill": {**second, "after": "3s"}},
        )


def test_what_does_not_fit_is_refused_with_all_reasons_at_once() -> None:
    with pytest.raises(CampaignError) as caught:
        plan(
            {"kill": {"target": "one", "after": "40s"}},
            {"pause": {"target": "one", "every": "10s", "for": "5s", "times": 4}},
        )
    assert "faults[0] (kill-one-" in str(caught.value) and "start 3 of 4 at 30s does not fit into 30s" in str(
        caught.value
    )
    assert "hint:" in str(caught.value)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"flood": {}}, "one key of: " + ", ".join(FAULT_NAMES)),
        ("partition", "one key of"),
        ({"kill": {"target": "leder"}}, "target 'leder' is not one of leader"),
        ({"kill": {"target": "random(0)"}}, "has no nodes"),
        ({"kill": {"target": ["n1", "n1"]}}, "no node twice"),
        ({"kill": {"target": "one", "every": "5s"}}, "`every` needs `for`"),
        ({"kill": {"target": "one", "restart_after": "2s", "for": "2s"}}, "not permitted"),
        ({"pause": {"target": "one", "every": "5s", "for": "6s"}}, "more than every: 5s"),
        ({"pause": {"target": "one", "for": "6s", "times": 2}}, "needs `every`"),
        ({"pause": {"target": "one", "for": "6"}}, "'6' is not a valid duration"),
        ({"clock": {"target": "one", "offset": "1s", "bump": "1s"}}, "exactly one of"),
        ({"clock": {"target": "one"}}, "exactly one of"),
        ({"clock": {"target": "one", "offset": "0s"}}, "changes nothing"),
        ({"voters": {"set": {"n5": -1}}}, "greater than or equal to 0"),
        ({"voters": {"set": {"n5": 1}, "for": "5s"}}, "happens once and stays"),
        ({"partition": {"shape": "brige"}}, "'bridge'"),
        ({"partition": {"shape": []}}, "at least 1"),
        ({"partition": {"shape": "grudge"}}, "belong together"),
        ({"partition": {"shape": "halves", "edges": [["n1", "n2"]]}}, "belong together"),
        ({"partition": {"shape": "grudge", "edges": [["n1", "n1"]]}}, "to itself"),
        ({"partition": {"shape": "halves", "target": "one"}}, "`target` needs one of"),
        ({"partition": {"shape": "bridge", "clients": "majority"}}, "`clients` needs only"),
        ({"partition": {"shape": "halves", "direction": "in"}}, "`direction` needs"),
        ({"partition": {"shape": "one-way", "direction": "both"}}, "contradicts"),
        ({"kill": {"target": "one", "foo": 1}}, "not permitted"),
        ({"link": {"shape": "halves"}}, "at least one of"),
        ({"link": {"shape": "halves", "loss": "5"}}, "'5' is not a probability"),
        ({"link": {"shape": "halves", "loss": "0.5%"}}, "0.5% is not between 1% and 90%"),
        ({"link": {"shape": "halves", "delay": "1us"}}, "not between 1ms and 10s"),
        ({"flap": {"shape": "halves", "period": "1ms"}}, "not between 10ms and 10s"),
        ({"wipe": {"target": "one"}}, "needs `calibration: true`"),
        ({"wipe": {"target": "all", "calibration": True}}, "no quorum would keep its data"),
        ({"disk": {"target": "one", "effect": "lying"}}, "needs `calibration: true`"),
        ({"disk": {"target": "one", "effect": "full", "calibration": True}}, "is only for `effect: lying`"),
        ({"disk": {"target": "one", "effect": "full", "delay": "1ms"}}, "needs `effect: slow`"),
        ({"clock": {"target": "one", "drift_ppm": 0}}, "changes nothing"),
        ({"clock": {"target": "one", "offset": "1s", "period": "1s"}}, "needs `strobe`"),
    ],
)
def test_wrong_specs_are_refused_with_the_reason(item: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LIST.validate_python([item])
    assert message in str(caught.value)


def test_a_spec_survives_json_and_names_its_nodes() -> None:
    specs = LIST.validate_python([*POOL, {"partition": {"shape": "grudge", "edges": [["n1", "clients"]], "for": "1s"}}])
    written = LIST.dump_python(specs, mode="json", by_alias=True, exclude_none=True)
    assert LIST.validate_python(written) == specs
    assert list(specs[-1].spec.names()) == ["n1", "clients"]


SPECS = list(specs.SPECS.values())


def test_every_kind_field_shape_and_target_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "faults.md").read_text(encoding="utf-8")
    fields = {field.serialization_alias or name for spec in SPECS for name, field in spec.model_fields.items()}
    words = {*FAULT_NAMES, *fields, *(shape.value for shape in Shape), *WORDS, *(effect.value for effect in DiskEffect)}
    assert {word for word in words if f"`{word}`" not in page and f"{word}:" not in page} == set()
