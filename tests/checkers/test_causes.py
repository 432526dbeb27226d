"""Causes are shown before their consequences."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.checkers.soundness.severity import STAGES, rank, stage

SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in (Path(__file__).parents[2] / "checkers").rglob("*.py")
    if path.name not in ("causes.py", "rests_on.py")
)


@pytest.mark.parametrize(
    "chain",
    [
        ("double-vote", "SB1-two-leaders", "committed-entry-lost", "lost-write", "stale-read", "not-converged"),
        ("Q1-acknowledged-before-quorum", "acknowledged-entry-lost", "lost-write", "diverged", "no-recovery"),
        ("lost-update", "wrong-total", "final-reads-differ"),
        ("G0", "G-single", "write-skew"),
        ("runs-without-quorum", "lost-task", "what nobody put into the table", "views-differ"),
    ],
)
def test_each_cause_comes_before_its_consequences(chain):
    assert [stage(kind) for kind in chain] == sorted({stage(kind) for kind in chain})


def test_in_one_stage_what_operations_prove_comes_first_and_the_earliest_of_that():
    found = [("lost-write", (9, 40)), ("lost-write", ()), ("lost-write", (2, 20)), ("diverged", (1, 2))]
    assert sorted(found, key=lambda item: rank(*item)) == [found[2], found[0], found[1], found[3]]


def test_the_table_names_kinds_that_there_are_and_each_once():
    kinds = [kind for _, some in STAGES for kind in some]
    assert len(kinds) == len(set(kinds))
    for kind in kinds:
        assert f'"{kind.removeprefix("SB1-")}"' in SOURCES, kind
