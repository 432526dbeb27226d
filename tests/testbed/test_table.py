"""The table of phases and failures, cell by cell: the exit code, the verdict and the reason are right, and something really failed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from .running import Ending, run
from .standin import Saboteur
from .table import EXITS, HARMLESS, cells

CELLS = {cell.name: cell for cell in cells()}
WORKERS = 8
"""Cells wait most of their time, so many go on at once."""


def end_of(name: str) -> tuple[Ending, int]:
    """How a run ends in which this cell's part fails, and how often it did."""
    cell = CELLS[name]
    saboteur = cell.saboteur()
    with tempfile.TemporaryDirectory() as folder:
        return run(saboteur, Path(folder), cell.changed, cell.waits), saboteur.hits


@pytest.fixture(scope="module")
def ends() -> Iterator[dict[str, object]]:
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        yield {name: pool.submit(end_of, name) for name in CELLS}


def test_names_are_unique_and_the_table_is_large_enough():
    assert len(CELLS) == len(cells()) >= 120


def test_a_run_in_which_nothing_fails_is_valid(tmp_path):
    ended = run(Saboteur(), tmp_path)
    assert (ended.exit_code, ended.verdict) == (0, "valid"), ended.words
    assert [(fault["kind"], fault["verified"]) for fault in ended.document["faults"]] == [("cut", True), ("kill", True)]


@pytest.mark.parametrize("name", CELLS)
def test_cell(ends, name):
    cell = CELLS[name]
    ended, hits = ends[name].result(timeout=120)
    assert hits, "nothing was made to fail"
    assert ended.exit_code in EXITS[cell.outcome], (ended.exit_code, ended.verdict, ended.words)
    assert (ended.verdict == "valid") == (cell.outcome == HARMLESS), ended.words
    assert ended.verdict != "invalid", f"a failure of the testbed was blamed on the system: {ended.words}"
    assert re.search(cell.reason, ended.words), ended.words
