"""Which provider stands behind a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.campaign.model import HostsSpec
from tribulation.harness.errors import CampaignError
from tribulation.harness.hosts.selection.chosen import Chosen, chosen, described, provider_of

GIVEN = {"provider": "local", "nodes": 3, "keep": True}


@pytest.mark.parametrize(
    ("word", "given", "expected"),
    [
        ("sim", GIVEN, {"provider": "sim", "nodes": 3}),
        ("local", None, {"provider": "local"}),
        ("vagrant", GIVEN, {"provider": "vagrant", "nodes": 3}),
        (
            "qemu",
            {**GIVEN, "clock": "system", "lab": "mine"},
            {"provider": "qemu", "nodes": 3, "clock": "system", "lab": "mine"},
        ),
        ("vagrant", {"clock": "system", "lab": "mine"}, {"provider": "vagrant", "clock": "system"}),
        ("local", {"provider": "qemu", "nodes": 3, "clock": "system"}, {"provider": "local", "nodes": 3}),
        ("vps.yaml", GIVEN, {"provider": "ssh", "inventory": "vps.yaml"}),
    ],
)
def test_other_hosts_for_a_campaign(
    word: str, given: Any, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vps.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert described(word, given) == expected
    HostsSpec.model_validate(expected)


@pytest.mark.parametrize("choose", [described, chosen])
def test_anything_else_is_refused(choose: Any) -> None:
    with pytest.raises(CampaignError, match=r"is not .* or an inventory file"):
        choose("elsewhere")


@pytest.mark.parametrize(
    "hosts",
    [{"provider": "local", "clock": "system"}, {"provider": "vagrant", "lab": "mine"}, {"provider": "ssh"}],
)
def test_what_does_not_go_together_is_refused(hosts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"clock|lab|inventory"):
        HostsSpec.model_validate(hosts)


def test_each_word_has_its_provider(tmp_path: Path) -> None:
    inventory = tmp_path / "vps.yaml"
    inventory.write_text("consent: true\nhosts: [{name: n1, address: 192.0.2.1}]\n")
    choices = [Chosen("local"), Chosen("qemu"), Chosen("vagrant"), chosen(str(inventory))]
    assert [provider_of(choice, name="lab").name for choice in choices] == ["local", "qemu", "vagrant", "ssh"]
