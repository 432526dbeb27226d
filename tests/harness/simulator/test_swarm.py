"""Swarms: every seed's world can be made, knobs are drawn apart, and over many seeds each kind is on in some and off in others."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields

import pytest
from pydantic import TypeAdapter

from tribulation.harness.campaign.model import SystemSpec
from tribulation.harness.nemesis.schedule.schedule import expand
from tribulation.harness.nemesis.specs.specs import FAULT_NAMES, FaultSpec
from tribulation.harness.nemesis.topology.liveness import WAYS, LivenessSpec
from tribulation.harness.search.swarm import SORTS, swarm, swarm_faults, swarm_liveness, swarm_node
from tribulation.harness.simulator.errors import SimulationError
from tribulation.harness.simulator.options import SECOND, SimOptions

LIST: TypeAdapter[list[FaultSpec]] = TypeAdapter(list[FaultSpec])
NODES = ["n1", "n2", "n3", "n4", "n5"]
KEPT = {"codec_one_in", "check_every", "digest_full", "record_inputs", "fence"}


def test_a_seed_draws_the_same_world_again_and_other_seeds_others():
    base = SimOptions()
    assert swarm(7, base) == swarm(7, base) and len({swarm(seed, base) for seed in range(50)}) == 50
    assert swarm_faults(7, NODES, 30 * SECOND) == swarm_faults(7, NODES, 30 * SECOND)


def test_how_a_run_is_checked_is_not_drawn():
    base = SimOptions(check_every=3, digest_full=True, record_inputs=True, fence=False, codec_one_in=1)
    drawn = [swarm(seed, base) for seed in range(20)]
    assert all(getattr(world, name) == getattr(base, name) for world in drawn for name in KEPT)


def test_each_chance_is_zero_in_about_half_of_the_seeds():
    worlds = [swarm(seed, SimOptions()) for seed in range(400)]
    for name in ("loss_ppm", "duplicate_ppm", "reorder_ppm", "datagram_loss_ppm", "stale_timer_ppm", "drift_max_ppm"):
        off = sum(getattr(world, name) == 0 for world in worlds)
        # Half of the seeds, and all of the orderly worlds (15 %): 230 of 400, within four standard deviations.
        assert 190 < off < 270, (name, off)
    varied = {f.name for f in fields(SimOptions) if len({getattr(world, f.name) for world in worlds}) > 1}
    assert len(varied) >= 18


@pytest.mark.parametrize("load_s", [2, 8, 30, 120])
def test_every_seeds_faults_can_be_scheduled(load_s: int):
    for seed in range(60):
        items = swarm_faults(seed, NODES, load_s * SECOND)
        intents = expand(LIST.validate_python(items), seed=seed, load_ns=load_s * SECOND)
        assert intents and all(0 <= intent.at_ns < load_s * SECOND for intent in intents)


def test_every_sort_is_on_in_some_seeds_and_off_in_others():
    drawn = [swarm_faults(seed, NODES, 30 * SECOND) for seed in range(200)]
    kinds = Counter(next(iter(item)) for items in drawn for item in items)
    assert set(kinds) == {sort.fault for sort in SORTS.values()} | {"voters"} <= set(FAULT_NAMES)
    sizes = Counter(len(items) for items in drawn)
    assert min(sizes) < len(SORTS) // 3 and max(sizes) > len(SORTS) // 2
    assert not any("calibration" in spec for items in drawn for item in items for spec in item.values())


def test_every_way_to_stay_broken_is_drawn_and_half_of_the_seeds_have_none():
    drawn = [swarm_liveness(seed) for seed in range(200)]
    found = [LivenessSpec.model_validate(one) for one in drawn if one is not None]
    assert 70 < len(found) < 130 and {spec.rest for spec in found} == set(WAYS)


def test_a_node_takes_every_seeds_knobs():
    drawn = [swarm_node(seed) for seed in range(200)]
    specs = [SystemSpec.model_validate(more) for more in drawn]
    assert all(SystemSpec.model_validate(spec.model_dump(mode="json")) == spec for spec in specs)
    assert len({spec.snapshot_threshold for spec in specs}) == 5 and len({str(spec.timing) for spec in specs}) > 10


def test_a_world_goes_to_json_and_back():
    for seed in range(20):
        world = swarm(seed, SimOptions())
        assert SimOptions.from_json(json.loads(json.dumps(world.to_json()))) == world
    assert SimOptions.from_json({"loss_ppm": 7}) == SimOptions(loss_ppm=7)
    assert all(f"{field.name}=" in SimOptions().one_line() for field in fields(SimOptions))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"los_ppm": 1}, "no option 'los_ppm'"),
        ({"loss_ppm": 0.5}, "loss_ppm: 0.5 is not of type int"),
        ({"write_ns": True}, "write_ns: True is not of type int"),
        ({"fence": 1}, "fence: 1 is not of type bool"),
        ({"loss_ppm": 1_000_001}, "loss_ppm: 1000001 is not from 0 to 1000000"),
        ({"write_ns": -1}, "write_ns: -1 is not 0 or more"),
    ],
)
def test_a_world_that_cannot_be_is_refused_by_name(data, words):
    with pytest.raises(SimulationError, match=words):
        SimOptions.from_json(data)
