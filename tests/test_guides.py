"""The Python examples of these pages run as they stand, each by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tribulation.checkers.model_names import MODELS
from tribulation.histories.formats import FORMATS

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs/guides/checking-histories.md"
TEXT = GUIDE.read_text(encoding="utf-8")
EXAMPLES = {
    f"{path.stem} {number}": example
    for path in (GUIDE, ROOT / "docs/reference/python.md")
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.S))
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    """A file that has tests is given to pytest, as its reader does."""
    (tmp_path / "test_example.py").write_text(EXAMPLES[name], encoding="utf-8")
    has_tests = re.search(r"^def test_", EXAMPLES[name], re.M) is not None
    how = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if has_tests else []
    done = subprocess.run(
        [sys.executable, *how, "test_example.py"],
        cwd=tmp_path,
        # In CI, Hypothesis does not take a busy machine for a slow strategy.
        env={"PYTHONPATH": str(ROOT), "CI": "true"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guide_names_every_model_and_every_format() -> None:
    assert [name for name in [*MODELS, *FORMATS] if f"`{name}`" not in TEXT] == []
