"""Flaws with a campaign of their own: it finds them within a few seeds."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.full import full
from tribulation.harness.search.zoo.campaigns import attempt, read_state
from tribulation.node.flaws.switch import FLAWS, SHOWN

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ("commit-counts-learners", "value-changed-in-place")
SEEDS = range(1, 31)
REST = [name for name in SHOWN if name not in SAMPLE]


@pytest.mark.parametrize("flaw", [*SAMPLE, *full(*REST)])
def test_its_campaign_finds_it(flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds that found it before are tried first: unless plans have changed, one is enough."""
    monkeypatch.chdir(ROOT)
    expected = FLAWS[flaw].checker + "/"
    recorded = [shown for shown in read_state(ROOT / "benchmarks/zoo-campaigns.jsonl") if shown.flaw == flaw]
    hits = [one.seed for one in recorded if one.flawed and any(o.startswith(expected) for o in one.objections)]
    outcomes = (attempt(flaw, seed, flawed=True).objections for seed in chain(hits[:1], SEEDS))
    assert any(objection.startswith(expected) for objections in outcomes for objection in objections)
