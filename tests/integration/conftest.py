"""Whole runs of `tri`, as a user starts them: a process, a folder, an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a `tri` process ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture
def tri(tmp_path: Path) -> Callable[..., Ended]:
    """`tri("run", "campaigns/quickstart.yaml", "--json")`; run folders go below the test's own directory."""

    def call(*words: str, timeout_s: float = 150.0) -> Ended:
        further = ["--runs", str(tmp_path / "runs")] if words[0] == "run" else []
        command = [sys.executable, "-m", "harness.cli", *words, *further]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)
        return Ended(done.returncode, done.stdout, done.stderr)

    return call
