"""Composed faults: every sort occurs, lanes keep apart what must not meet, recovery stays quiet, and what cannot be done is left out by name."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.nemesis.schedule.abilities import Able
from tribulation.harness.nemesis.schedule.mix import composed_needs, labelled, needs, planned, possible_needs, skipped
from tribulation.harness.nemesis.specs.draws import LINKS, NODES, SORTS, names_of, stream_of
from tribulation.harness.nemesis.specs.specs import FaultSpec

ITEMS: TypeAdapter[list[FaultSpec]] = TypeAdapter(list[FaultSpec])
SECOND = 1_000_000_000
FINE = [name for name, sort in SORTS.items() if not sort.coarse]
seeds = st.integers(0, 2**31)


def items(*faults: dict[str, Any]) -> list[Any]:
    return ITEMS.validate_python(list(faults))


def sort_of(intent: Intent) -> str:
    stream = intent.key.partition("-")[2].rpartition(".")[0]
    return next(name for name in SORTS if stream_of(name) == stream)


@given(seeds, st.integers(60, 400))
def test_every_sort_occurs_and_a_lane_has_one_at_a_time(seed: int, load_s: int) -> None:
    intents = planned(items({"all": {}}), seed=seed, load_ns=load_s * SECOND)
    assert {sort_of(intent) for intent in intents} == set(FINE)
    for lane in {intent.lane for intent in intents}:
        mine = [intent for intent in intents if intent.lane == lane]
        assert all(first.at_ns + (first.for_ns or 0) <= second.at_ns for first, second in pairwise(mine))
    assert all(intent.at_ns >= 0 and intent.at_ns + (intent.for_ns or 0) <= load_s * SECOND for intent in intents)


def test_without_overlap_no_two_are_on_together() -> None:
    intents = planned(items({"all": {"overlap": False}}), seed=1, load_ns=300 * SECOND)
    assert all(first.at_ns + (first.for_ns or 0) <= second.at_ns for first, second in pairwise(intents))


@given(seeds)
def test_nothing_reaches_into_recovery(seed: int) -> None:
    campaign = items({"all": {}}, {"recovery": {"every": "30s", "for": "10s"}})
    for intent in planned(campaign, seed=seed, load_ns=240 * SECOND):
        start_s, end_s = intent.at_ns / SECOND, (intent.at_ns + (intent.for_ns or 0)) / SECOND
        assert not any(start_s < window + 10 and window < end_s for window in range(30, 240, 30))


def test_what_may_take_a_node_down_is_in_one_lane_and_meets_a_minority() -> None:
    intents = planned(items({"all": {}}), seed=5, load_ns=600 * SECOND)
    of_nodes = [
        intent for intent in intents if intent.kind not in ("cut", "link", "clog", "flap", "reset", "clock", "transfer")
    ]
    assert {intent.lane for intent in of_nodes} == {NODES}
    assert {intent.parameters["target"] for intent in of_nodes} <= {"leader", "follower", "one", "minority"}
    assert {intent.lane for intent in intents if intent.kind in ("cut", "link", "clog", "flap", "reset")} == {LINKS}


def test_a_swarm_is_a_subset_of_its_own_for_each_seed() -> None:
    drawn = [planned(items({"swarm": {}}), seed=seed, load_ns=200 * SECOND) for seed in range(60)]
    chosen = [frozenset(sort_of(intent) for intent in intents) for intents in drawn]
    assert all(chosen) and len(set(chosen)) == 60
    for name in FINE:
        assert 10 < sum(name in one for one in chosen) < 50, name
    paces = {max(intent.for_ns or 0 for intent in intents) // SECOND for intents in drawn}
    assert len(paces) > 2, "how long faults last is drawn too"


def test_a_seed_means_the_same_again_and_what_hosts_cannot_do_is_left_out_by_name() -> None:
    campaign = items({"all": {"kinds": ["partition", "kill", "pause", "link"]}})
    everything = planned(campaign, seed=9, load_ns=60 * SECOND)
    assert everything == planned(campaign, seed=9, load_ns=60 * SECOND)
    assert possible_needs(campaign) == {"cut", "kill", "pause", "freeze", "link"}
    some = planned(campaign, seed=9, load_ns=60 * SECOND, able={"cut", "kill", "pause"})
    assert {sort_of(intent) for intent in some} == {"partition", "one-way", "kill", "slow-start", "pause"}
    assert composed_needs(campaign, some) == {"cut", "kill", "pause"}
    tried = [Able("link", "n1", False, "no netem", "apt install it"), Able("cut", "n1", True, "nft")]
    reported = skipped(campaign, tried)
    assert [one["sort"] for one in reported] == [name for name in names_of("link") if name in FINE]
    assert reported[0]["why"] == "link on n1: no netem" and reported[0]["hint"] == "apt install it"


def test_a_load_too_short_is_refused_whatever_the_seed() -> None:
    with pytest.raises(CampaignError, match=r"`all` of \d+ \w+ faults"):
        planned(items({"all": {}}), seed=1, load_ns=10 * SECOND)


def test_words_that_name_nothing_are_refused_and_two_mixes_have_two_names() -> None:
    with pytest.raises(ValidationError, match="no kind or sort of fault 'partitoin'"):
        items({"swarm": {"kinds": ["partitoin"]}})
    two = items({"all": {"kinds": ["kill"]}}, {"swarm": {"kinds": ["partition"]}}, {"swarm": {"kinds": ["pause"]}})
    assert [label for label, _ in labelled(two)] == ["all", "swarm", "swarm-3"]
    found = planned(two, seed=1, load_ns=60 * SECOND)
    assert len({intent.id for intent in found}) == len(found)


@pytest.mark.parametrize("said", ["all", {"all": None}, [{"all": {}}]])
def test_a_campaign_may_say_all_in_a_word(said: Any) -> None:
    base = {"name": "c", "workloads": [{"register": {}}]}
    assert Campaign.model_validate({**base, "faults": said}) == Campaign.model_validate(
        {**base, "faults": [{"all": {}}]}
    )


@pytest.mark.parametrize("name", SORTS)
def test_every_sort_is_an_item_that_says_what_hosts_must_do(name: str) -> None:
    assert needs(name)
