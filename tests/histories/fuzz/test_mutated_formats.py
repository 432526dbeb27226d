"""A history of every format, mutated: it is read, or refused with its place; what is read is judged, and judged the same after conversion."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tribulation.checkers import Budget, check
from tribulation.histories import History, HistoryError
from tribulation.histories.files.reading import read_columns
from tribulation.histories.formats import FORMATS, read, write
from tribulation.histories.model.rows import history_of_columns, operation

from .bases import KINDS, base, sessions
from .hostile import Mutation, mutations

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "25")), deadline=None, suppress_health_check=list(HealthCheck)
)
BUDGET = Budget(time_s=2, memory_mb=1024)
MAPS = ("jsonl", "edn", "elle-json")


@pytest.mark.parametrize("format", FORMATS)
def test_it_is_read_or_refused_and_no_checker_fails(format: str) -> None:
    @FUZZ
    @given(st.sampled_from(sorted(KINDS)), st.integers(0, 50), st.booleans(), mutations(format))
    def explore(kind: str, seed: int, with_nemesis: bool, changes: list[Mutation]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history"
            write(sessions(seed) if FORMATS[format].sessions else base(kind, seed, with_nemesis), path, format)
            for change in changes:
                path.write_bytes(change(path.read_bytes()))
            _judge(path, format)

    explore()


def _judge(path: Path, format: str) -> None:
    try:
        history = read(path, format)
        history.columns  # noqa: B018 (an inconsistent history is refused here)
    except HistoryError as error:
        assert str(path) in error.message and error.hint and len(error.message) < 3000, error
        return
    verdict = _verdict(history)
    if format == "jsonl":
        _assert_alike(history, verdict, path)
    for other in MAPS:
        converted = path.with_name(f"converted-{other}")
        try:
            write(history, converted, other)
        except HistoryError:
            continue
        assert _verdict(read(converted, other)) == verdict, other


def _verdict(history: History) -> dict[str, str]:
    """Of every checker."""
    results = check(history, budget=BUDGET)
    failed = [result.reason for result in results.values() if "the checker failed" in (result.reason or "")]
    assert failed == []
    return {name: result.verdict.value for name, result in results.items()}


def _assert_alike(history: History, verdict: dict[str, str], path: Path) -> None:
    """A large file is read another way. Numbers of values are its own, operations and verdicts are not."""
    reading = read_columns(path)
    other, rows = reading.columns, range(len(history.columns))
    assert len(other) == len(rows) and reading.torn == history.torn
    for row in rows:
        assert repr(operation(other, row)) == repr(operation(history.columns, row))
    assert _verdict(history_of_columns(other, str(path), reading.torn)) == verdict
