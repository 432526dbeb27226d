"""The examples in the guide about histories run as they stand, each by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tribulation.checkers.model_names import MODELS
from tribulation.histories.formats import FORMATS

GUIDE = Path(__file__).resolve().parent.parent / "docs/guides/checking-histories.md"
TEXT = GUIDE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLES[number]],
        cwd=tmp_path,
        env={"PYTHONPATH": str(GUIDE.parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_the_guide_names_every_model_and_every_format() -> None:
    assert [name for name in [*MODELS, *FORMATS] if f"`{name}`" not in TEXT] == []
