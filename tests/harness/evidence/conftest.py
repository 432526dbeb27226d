"""Two recorded runs, each made once: one in which nothing is found, and one with a stale read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.replay.conftest import run_folder
from tribulation.harness.run.outcome.run_folder import read_facts

CAMPAIGN = """
name: {name}
hosts: {{provider: sim, nodes: 3}}
seed: 1
duration: 4s
settle: 500ms
system: {{name: reference, flaws: [{flaw}]}}
workloads:
  - register: {{keys: 2, clients: 4, rate: 100/s}}
faults:
  - partition: {{shape: leader-minority, after: 600ms, for: 1500ms}}
"""


def with_logs_and_inputs(folder: Path) -> Path:
    """A simulated run leaves none: give it some, and seal it again."""
    for name in ("logs/n1/node.log", "inputs/n1/events-1.log"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("something\nmore\n")
    read_facts(folder).sealed(folder)
    return folder


@pytest.fixture(scope="session")
def sound_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sound")
    return with_logs_and_inputs(run_folder(CAMPAIGN.format(name="sound", flaw=""), place))


@pytest.fixture(scope="session")
def stale_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stale")
    text = CAMPAIGN.format(name="stale", flaw="stale-read-from-deposed-leader")
    return with_logs_and_inputs(run_folder(text, place))
