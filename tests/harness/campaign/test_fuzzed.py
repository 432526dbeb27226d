"""Whatever a campaign file says, loading it ends soon, in a campaign that can be planned and written down or in a refusal with its place."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tribulation.harness.campaign.load import dump_campaign, load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.hosts.ssh.inventory import Inventory, load_inventory
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan

from .mutations import HOSTILE, PUBLISHED, damaged, places, value_at

SOON_S = 1.5
"""CPU time of a refusal: a second, and something for a slow machine."""
START_S = 0.002
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


def judged(path: Path, overrides: tuple[str, ...] = ()) -> bool:
    """Whether it was taken. All that may happen is checked here."""
    begun_s = time.thread_time()
    try:
        campaign = load_campaign(path, overrides)
    except CampaignError as error:
        assert time.thread_time() - begun_s < SOON_S, error.message
        first = error.message.split("\n")[0]
        assert first.startswith((f"{path}", "--set ")) or ".yaml" in first, first
        assert error.hint and len(str(error)) < 20_000
        str(error).encode("utf-8", "backslashreplace")
        return False
    took_s = time.thread_time() - begun_s
    try:
        plan = make_plan(campaign, path.parent)
    except CampaignError:
        return False
    assert took_s < SOON_S + START_S * len(plan.intents)
    if len(plan.intents) < 2000:
        text = json.dumps(plan.to_json(), allow_nan=False)
        assert Plan.from_json(json.loads(text)) == plan
    again = path.with_name("again.yaml")
    again.write_text(dump_campaign(campaign), encoding="utf-8")
    assert load_campaign(again) == campaign
    return True


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=damaged())
def test_a_campaign_file_gives_a_plan_or_a_refusal_with_its_place_and_soon(folder: Path, text: str) -> None:
    path = folder / "story.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    event("taken" if judged(path) else "refused")


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_any_override_of_a_good_campaign_is_taken_or_blamed(folder: Path, data: st.DataObject) -> None:
    draw: Callable[[Any], Any] = data.draw
    base = draw(st.sampled_from(PUBLISHED))
    at = draw(st.sampled_from([place for place in places(base) if place]))
    value = draw(st.one_of(st.sampled_from(HOSTILE), st.just(value_at(base, at)), st.text(max_size=12)))
    name = ".".join(map(str, (*at, *draw(st.lists(st.sampled_from(("0", "x", "for", "")), max_size=2)))))
    path = folder / "good.yaml"
    path.write_text(json.dumps(base))
    judged(path, (f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}",))


HOST = {"name": "n1", "address": "203.0.113.11", "port": 22, "user": "root", "key": "id", "jump": "ops@bastion:2222"}
LAST = {
    "name": "n2",
    "address": "2001:db8::1",
    "login": "n2.lab",
    "sudo": True,
    "directory": "/var/tmp/t",
    "clock": "system",
}
INVENTORY = {
    "consent": True,
    "hosts": [HOST, {**LAST, "login_timeout": "5s"}],
    "known_hosts": "known",
    "firewall": True,
}


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=damaged([INVENTORY], Inventory))
def test_an_inventory_is_taken_or_refused_with_its_place_and_soon(folder: Path, text: str) -> None:
    path = folder / "hosts.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    begun_s = time.thread_time()
    try:
        load_inventory(path)
        event("taken")
    except CampaignError as error:
        event("refused")
        assert error.message.startswith(str(path)) and error.hint and len(str(error)) < 20_000
    assert time.thread_time() - begun_s < SOON_S
