"""Whole runs of `tri`, as a user starts them: a process, a folder, an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.documents import problems, schema_of
from tests.integration.running import RunningTri
from tribulation.harness.errors import HostError
from tribulation.harness.hosts.local import LocalProvider, launch, list_labs

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a `tri` process ended."""

    exit_code: int
    stdout: str
    stderr: str
    words: tuple[str, ...] = ()

    @property
    def document(self) -> Any:
        """What was printed with `--json`; it fits the schema of its command."""
        document, name = json.loads(self.stdout), schema_of(self.words) if self.words else None
        assert name is None or problems(name, document) == []
        return document


@pytest.fixture
def labs(tmp_path: Path) -> Iterator[Path]:
    """Where the test's labs are, and no others. Whatever is still up afterwards is taken down."""
    base = tmp_path / "labs"
    yield base
    for left in list_labs(base):
        LocalProvider(name=left.name, directory=base).down()


@pytest.fixture
def tri(tmp_path: Path, labs: Path) -> Callable[..., Ended]:
    """`tri("run", "campaigns/quickstart.yaml", "--json")`; run folders go below the test's own directory."""

    def call(*words: str, timeout_s: float = 150.0) -> Ended:
        further = ["--runs", str(tmp_path / "runs")] if words[0] == "run" else []
        command = [sys.executable, "-m", "tribulation.harness.cli", *words, *further]
        environment = {**os.environ, "TRI_LABS": str(labs)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s)
        return Ended(done.returncode, done.stdout, done.stderr, words)

    return call


@pytest.fixture
def started(tmp_path: Path, labs: Path, namespaces: None) -> Iterator[Callable[..., RunningTri]]:
    """`started("long-cut.yaml")`: a `tri run` that goes on until the test ends it."""
    running: list[RunningTri] = []

    def start(campaign: str, *words: str) -> RunningTri:
        running.append(RunningTri(ROOT / "tests/integration/campaigns" / campaign, tmp_path, labs, words))
        return running[-1]

    yield start
    for one in running:
        one.kill()


@pytest.fixture(scope="session")
def namespaces() -> None:
    try:
        launch.check_programs()
        launch.check_namespaces()
    except HostError as error:
        pytest.skip(str(error))
