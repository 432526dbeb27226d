"""A campaign that asks hosts for what they cannot do is refused before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from harness.campaign.model import Campaign
from harness.errors import CampaignError
from harness.nemesis.percent import format_ppm, parse_ppm
from harness.run.assemble import HOST_FAULTS, SIM_FAULTS, require_capabilities

SYSTEM = frozenset({"clock", "voters", "traces"})


def campaign(*faults: dict[str, Any]) -> Campaign:
    return Campaign.model_validate({"name": "c", "workloads": [{"register": {}}], "faults": list(faults)})


ONE = {"target": "one", "after": "1s", "for": "1s"}
LINKS = {"shape": "halves", "after": "1s", "for": "1s"}

SIMULATED = [
    ({"power": ONE}, "power"),
    ({"wipe": {**ONE, "calibration": True}}, "wipe"),
    ({"disk": {**ONE, "effect": "stall"}}, "disk"),
    ({"clock": {**ONE, "drift_ppm": 50}}, "clock-drift"),
    ({"clock": {**ONE, "strobe": "1s"}}, "clock-strobe"),
    ({"link": {**LINKS, "loss": "5%"}}, "link"),
    ({"clog": LINKS}, "clog"),
    ({"flap": LINKS}, "flap"),
    ({"reset": LINKS}, "reset"),
]


@pytest.mark.parametrize(("item", "need"), SIMULATED)
def test_real_hosts_refuse_what_only_the_simulator_can_do(item: dict[str, Any], need: str) -> None:
    """A provider whose machines can be switched off still loses no unsynced bytes."""
    with pytest.raises(CampaignError, match=f"cannot do: {need}"):
        require_capabilities(campaign(item), "local", HOST_FAULTS | {"power"}, SYSTEM)
    assert need in SIM_FAULTS


def test_real_hosts_take_what_they_can_do() -> None:
    items = [{"kill": ONE}, {"pause": ONE}, {"clock": {**ONE, "offset": "1s"}}, {"partition": LINKS}]
    require_capabilities(campaign(*items, {"voters": {"set": {"n1": 2}}}), "local", HOST_FAULTS, SYSTEM)


@pytest.mark.parametrize(("text", "ppm"), [("5%", 50_000), ("2.5%", 25_000), ("0.0001%", 1), ("100%", 1_000_000)])
def test_chances_are_read_and_written_exactly(text: str, ppm: int) -> None:
    assert parse_ppm(text) == ppm and format_ppm(ppm) == text


@pytest.mark.parametrize("text", ["5", 5, "-5%", "0.00001%", "", None, "5 percent"])
def test_what_is_no_chance_is_refused_with_what_would_do(text: Any) -> None:
    with pytest.raises(ValueError, match=r"5%|finer"):
        parse_ppm(text)
