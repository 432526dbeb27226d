"""The table of docs/concepts/verdicts.md, row by row, on recorded runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tribulation.harness.run.outcome.verdict import Judgement, judge

from .damage import DAMAGES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "concepts" / "verdicts.md"
HEAD = "| evidence | damage | nothing found | stale read found | what is said |"


@dataclass(frozen=True)
class Row:
    evidence: str
    damage: str
    sound: str
    stale: str
    said: str


def rows() -> Iterator[Row]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for line in lines[lines.index(HEAD) + 2 :]:
        if not line.startswith("|"):
            return
        yield Row(*(cell.strip() for cell in line.strip("|").split("|")))


ROWS = list(rows())
each_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.evidence}: {row.damage}" for row in ROWS])


def damaged(run: Path, place: Path, row: Row) -> Judgement:
    copy = Path(shutil.copytree(run, place / "run"))
    DAMAGES[row.evidence, row.damage](copy)
    return judge(copy)


def said(judgement: Judgement) -> str:
    return json.dumps(judgement.document)


def test_the_table_and_the_test_know_the_same_damages() -> None:
    assert [(row.evidence, row.damage) for row in ROWS] == list(DAMAGES)


@each_row
def test_nothing_found(sound_run: Path, tmp_path: Path, row: Row) -> None:
    judgement = damaged(sound_run, tmp_path, row)
    assert judgement.verdict.value == row.sound, said(judgement)
    assert row.said in said(judgement)
    assert not any(result.anomalies for result in judgement.results.values())


@each_row
def test_an_anomaly_found(stale_run: Path, tmp_path: Path, row: Row) -> None:
    judgement = damaged(stale_run, tmp_path, row)
    assert judgement.verdict.value == row.stale, said(judgement)
    assert row.said in said(judgement)
