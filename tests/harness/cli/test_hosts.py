"""What is said of regions on the command line becomes a campaign's `hosts`, or is refused."""

from __future__ import annotations

import pytest

from tribulation.harness.cli.machines.hosts import _spec
from tribulation.harness.errors import CampaignError
from tribulation.harness.wan import Way

MS = 1_000_000


def test_words_become_what_a_campaign_would_say() -> None:
    placed = _spec(
        "local", None, "eu=2,us=1,ap=1", ("delay=40ms,rate=20mbit", "us-ap:delay=90ms,jitter=2ms"), "library"
    ).placed
    assert placed is not None and dict(placed.sizes) == {"eu": 2, "us": 1, "ap": 1}
    assert placed.way("eu", "us") == Way(40 * MS, 0, 20_000_000)
    assert placed.way("us", "ap") == Way(90 * MS, 2 * MS, 20_000_000)
    assert (
        _spec("local", None, None, (), "library").nodes == 5 and _spec("local", 3, None, (), "library").placed is None
    )
    assert _spec("qemu", None, None, (), "system").nodes == 3


@pytest.mark.parametrize(
    ("nodes", "regions", "wan", "reported"),
    [
        (None, "eu,us", (), "'eu' is not name=value"),
        (4, "eu=1,us=2", (), "3 nodes together"),
        (None, None, ("delay=5ms",), "set `regions:` as well"),
        (None, "eu=1,us=1", ("eu-asia:delay=5ms",), "is not a pair of eu, us"),
        (None, "eu=1,us=1", ("speed=5ms",), "xtra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused(nodes: int | None, regions: str | None, wan: tuple[str, ...], reported: str) -> None:
    with pytest.raises(CampaignError, match=reported):
        _spec("local", nodes, regions, wan, "library")
