"""A small simulated run in a folder of its own, made once for all tests that only read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.settings import Settings
from tribulation.harness.run.simulated import run_in_simulator

CAMPAIGN = """
name: small
hosts: {provider: sim, nodes: 3}
seed: 5
duration: 2s
settle: 500ms
workloads:
  - register: {keys: 2, clients: 3, rate: 60/s}
faults:
  - kill: {target: follower, after: 600ms, restart_after: 500ms}
"""


def run_folder(text: str, place: Path) -> Path:
    """The folder of a simulated run of this campaign."""
    path = place / "campaign.yaml"
    path.write_text(text, encoding="utf-8")
    settings = Settings("tri run campaign.yaml", place, place / "runs", lambda phase, detail: None)
    return Path(run_in_simulator(load_campaign(path), settings).document["run"])


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(CAMPAIGN, tmp_path_factory.mktemp("small"))


@pytest.fixture
def own_run(small_run: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(small_run, tmp_path / "run"))
