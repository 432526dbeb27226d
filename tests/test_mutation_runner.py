"""The mutation runner tries mutants in a copy of the project in which the unchanged code passes its tests, and names the tests that it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = "checkers/base/options.py"
READS_A_PAGE = (
    "tests/checkers/test_options.py::test_every_default_is_none_or_accepted_and_the_reference_lists_every_option"
)


def _mutate(tests: str | Path) -> subprocess.CompletedProcess[str]:
    return _run("scripts/mutate.py", MODULE, "--tests", str(tests), "--sample", "1", "--least", "0")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=200)


def test_a_test_that_reads_a_page_passes_in_the_copy() -> None:
    done = _mutate(READS_A_PAGE)
    assert done.returncode == 0, done.stderr
    assert " of 1 killed (" in done.stdout


def test_tests_that_the_unchanged_code_fails_are_named(tmp_path: Path) -> None:
    (tmp_path / "test_no.py").write_text("def test_that_never_passes():\n    assert False\n", encoding="utf-8")
    done = _mutate(tmp_path / "test_no.py")
    assert done.returncode == 1
    assert "test_no.py::test_that_never_passes" in done.stderr


def test_a_mutant_of_the_node_is_put_in_place_and_searched() -> None:
    """None was, since the node is imported by another name of its file, and that was reported as all of them found."""
    done = _run(
        "scripts/mutate_node.py",
        *("--paths", "node/core/raft/commit.py", "--sample", "1"),
        *("--cpu", "0.1", "--campaigns", "quickstart"),
    )
    assert done.returncode == 0, done.stderr
    assert " of 1 killed (" in done.stdout


def test_no_mutant_is_no_success() -> None:
    done = _run("scripts/mutate_node.py", "--paths", "node/core/interface/__init__.py", "--campaigns", "quickstart")
    assert done.returncode == 1
    assert "no mutant was tried" in done.stderr
