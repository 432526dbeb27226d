"""A campaign that asks hosts for what they cannot do is refused before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.hosts.ssh.inventory import Inventory
from tribulation.harness.hosts.ssh.provider import SshProvider
from tribulation.harness.nemesis.schedule.abilities import EVERY, lacking
from tribulation.harness.run.plan.requirements import Requirements
from tribulation.harness.user_files.quantities import format_ppm, parse_ppm

SYSTEM = frozenset({"clock", "voters", "traces", "disk"})
LOCAL = LocalProvider(nodes=1, name="never-up")
SSH = SshProvider(Inventory(hosts=[{"name": "n1", "address": "192.0.2.1"}], consent=True))


def campaign(*faults: dict[str, Any]) -> Campaign:
    return Campaign.model_validate({"name": "c", "workloads": [{"register": {}}], "faults": list(faults)})


ONE = {"target": "one", "after": "1s", "for": "1s"}
LINKS = {"shape": "halves", "after": "1s", "for": "1s"}

FORMS = [
    ({"power-loss": ONE}, "power"),
    ({"wipe": {**ONE, "calibration": True}}, "wipe"),
    ({"disk": {**ONE, "effect": "stall"}}, "disk"),
    ({"clock": {**ONE, "drift_ppm": 50}}, "clock-oscillator"),
    ({"clock": {**ONE, "drift_ppm": 50, "monotonic": False}}, "clock-drift"),
    ({"clock": {**ONE, "strobe": "1s"}}, "clock-strobe"),
    ({"link": {**LINKS, "loss": "5%"}}, "link"),
    ({"clog": LINKS}, "clog"),
    ({"flap": LINKS}, "flap"),
    ({"reset": LINKS}, "reset"),
]


@pytest.mark.parametrize(("item", "need"), FORMS)
def test_what_no_host_can_do_is_refused_and_what_one_may_is_left_to_trying(item: dict[str, Any], need: str) -> None:
    """As soon as a package offers to try an ability, only trying it on the hosts shows."""
    if need in EVERY:
        Requirements.of(campaign(item)).require(LOCAL, SYSTEM)
        return
    with pytest.raises(CampaignError, match=f"do not support: {need}"):
        Requirements.of(campaign(item)).require(LOCAL, SYSTEM)


def test_what_a_provider_alone_can_grant_is_refused_where_it_does_not() -> None:
    assert [able.ability for able in lacking(["cut", "power"], SSH)] == ["power"]
    assert all(able.hint for able in lacking(["power", "no-such"], SSH))


def test_what_the_system_must_lend_a_hand_to_is_refused_without() -> None:
    moves = Requirements.of(campaign({"clock": {**ONE, "offset": "1s"}}, {"voters": {"set": {"n1": 2}}}))
    with pytest.raises(CampaignError, match="do not support: clock, voters"):
        moves.require(LOCAL, frozenset({"traces"}))


def test_real_hosts_take_what_they_can_do() -> None:
    items = [{"kill": ONE}, {"pause": ONE}, {"clock": {**ONE, "offset": "1s"}}, {"partition": LINKS}]
    moves = Requirements.of(campaign(*items, {"voters": {"set": {"n1": 2}}}))
    moves.require(LOCAL, SYSTEM)
    assert moves.needs() == {"kill", "pause", "clock", "cut", "voters"}


@pytest.mark.parametrize(("text", "ppm"), [("5%", 50_000), ("2.5%", 25_000), ("0.0001%", 1), ("100%", 1_000_000)])
def test_chances_are_read_and_written_exactly(text: str, ppm: int) -> None:
    assert parse_ppm(text) == ppm and format_ppm(ppm) == text


@pytest.mark.parametrize("text", ["5", 5, "-5%", "0.00001%", "", None, "5 percent"])
def test_what_is_no_chance_is_refused_with_what_would_do(text: Any) -> None:
    with pytest.raises(ValueError, match=r"5%|finer"):
        parse_ppm(text)
