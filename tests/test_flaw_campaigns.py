"""Each campaign of a flaw shows it, with the one command that `tri show flaw` and the campaign's comment name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.catalogue.entries import entry
from tribulation.harness.cli.main import main
from tribulation.node.flaws.switch import FLAWS

from .full import full

ROOT = Path(__file__).resolve().parent.parent
FILES = {path.stem: path for path in sorted((ROOT / "campaigns/flaws").glob("*.yaml"))}
SAMPLE = ("config-not-rolled-back", "lww-tie", "snapshot-without-voters", "commit-past-verified")


def _command(name: str) -> str:
    """A run at the pinned seed, or the search that the comment names."""
    if load_campaign(FILES[name]).seed is not None:
        return f"tri run flaws/{name} --hosts sim"
    named = re.search(rf"`(tri search flaws/{name} --first \d+ --seeds 1)`", FILES[name].read_text(encoding="utf-8"))
    assert named, f"{name} pins no seed and names no search that shows it"
    return named[1]


@pytest.mark.parametrize("name", FILES)
def test_a_campaign_names_the_command_that_shows_its_flaw(name: str) -> None:
    command = _command(name)
    if name in FLAWS:
        assert entry("flaw", name).example.split(" --")[0] == command.split(" --")[0]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [*SAMPLE, *full(*(name for name in FILES if name not in SAMPLE))])
def test_the_command_finds_the_flaw(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(_command(name))[1:])
    assert ended.value.code == 1
