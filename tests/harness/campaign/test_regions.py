"""The fields `regions` and `wan`: what they become, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tribulation.harness.campaign.load import dump_campaign, load_campaign
from tribulation.harness.campaign.model import HostsSpec
from tribulation.harness.errors import CampaignError
from tribulation.harness.wan import Regions, Way

MS = 1_000_000
ROOT = Path(__file__).parents[3]
WAN = {
    "delay": "40ms",
    "rate": "20mbit",
    "between": {"us-eu": {"delay": "90ms"}, "us-ap": {"rate": "5mbit", "jitter": "2ms"}},
}


def test_a_pair_has_what_is_said_of_it_and_of_the_rest_what_is_said_of_all() -> None:
    spec = HostsSpec.model_validate({"regions": {"eu": 2, "us": 2, "ap": 1}, "wan": WAN})
    placed = spec.placed
    assert spec.nodes == 5 and placed is not None
    assert list(placed.names.items()) == [("n1", "eu"), ("n2", "eu"), ("n3", "us"), ("n4", "us"), ("n5", "ap")]
    assert placed.way("eu", "us") == placed.way("us", "eu") == Way(90 * MS, 0, 20_000_000)
    assert placed.way("ap", "us") == Way(40 * MS, 2 * MS, 5_000_000)
    assert placed.way("eu", "ap") == Way(40 * MS, 0, 20_000_000)
    assert Regions.from_json(placed.to_json()) == placed
    assert len(placed.links()) == 5 * 4 - 2 - 2 and ("n1", "n2") not in placed.links()


@pytest.mark.parametrize(
    ("hosts", "reported"),
    [
        ({"wan": {"delay": "5ms"}}, "set `regions:` as well"),
        ({"regions": {"eu": 3}}, "give 2 to 8"),
        ({"regions": {"eu": 1, "u-s": 1}}, "'u-s' is not 1 to 10"),
        ({"regions": {"eu": 2, "us": 2}, "nodes": 5}, "4 nodes together, but `nodes` is 5"),
        ({"regions": {"eu": 2, "us": 0}}, "greater than or equal to 1"),
        (
            {"regions": {"eu": 1, "us": 1}, "wan": {"between": {"eu-ap": {}}}},
            "`between: eu-ap` is not a pair of eu, us",
        ),
        ({"regions": {"eu": 1, "us": 1}, "wan": {"between": {"eu-us": {}, "us-eu": {}}}}, "given for both directions"),
        ({"regions": {"eu": 1, "us": 1}, "wan": {"delay": "3s"}}, "not between 1ms and 1s"),
        ({"regions": {"eu": 1, "us": 1}, "wan": {"rate": "1kbit"}}, "is not between"),
        ({"regions": {"eu": 1, "us": 1}, "provider": "ssh", "inventory": "x.yaml"}, "not with ssh"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(hosts: dict[str, object], reported: str) -> None:
    with pytest.raises(ValidationError) as refused:
        HostsSpec.model_validate(hosts)
    assert reported in str(refused.value)


@pytest.mark.parametrize("hosts", ["sim", "local"])
def test_the_campaign_keeps_its_regions_wherever_it_runs_and_when_it_is_resolved(hosts: str, tmp_path: Path) -> None:
    campaign = load_campaign(ROOT / "campaigns/three-regions.yaml", hosts=hosts)
    assert campaign.hosts.provider == hosts and campaign.hosts.placed is not None
    assert dict(campaign.hosts.placed.sizes) == {"eu": 2, "us": 2, "ap": 1}
    assert [item.spec.target for item in campaign.faults] == [["n1", "n2"], ["n3", "n4"]]  # type: ignore[union-attr]
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(dump_campaign(campaign))
    assert load_campaign(resolved) == campaign


def test_a_region_that_there_is_not_is_no_target() -> None:
    with pytest.raises(CampaignError, match=r"target 'region\(asia\)' is not one of"):
        load_campaign(ROOT / "campaigns/three-regions.yaml", ["faults.partition.target=region(asia)"])
